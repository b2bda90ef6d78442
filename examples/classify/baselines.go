package main

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
)

func sortBy[T any](all []T, key func(T) uint64) {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// majority is the share of the most frequent label of training in the test.
func majority(training, test []example) float64 {
	count := map[string]int{}
	best := training[0].Label
	for _, e := range training {
		if count[e.Label]++; count[e.Label] > count[best] {
			best = e.Label
		}
	}
	right := 0
	for _, e := range test {
		if e.Label == best {
			right++
		}
	}
	return float64(right) / float64(len(test))
}

var word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+|[0-9]+`)

// words are the parts of identifiers and of prose, in lower case.
func words(text string) []string {
	all := word.FindAllString(text, -1)
	for i, w := range all {
		all[i] = strings.ToLower(w)
	}
	return all
}

// bagOfWords is multinomial naive Bayes over words with add-one smoothing: its
// accuracy on the test.
func bagOfWords(training, test []example) float64 {
	vocabulary := map[string]bool{}
	count, total, docs := map[string]map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, e := range training {
		if count[e.Label] == nil {
			count[e.Label] = map[string]float64{}
		}
		docs[e.Label]++
		for _, w := range words(e.Text) {
			vocabulary[w] = true
			count[e.Label][w]++
			total[e.Label]++
		}
	}
	right := 0
	for _, e := range test {
		best, at := "", math.Inf(-1)
		for _, p := range packages {
			score := math.Log(docs[p] / float64(len(training)))
			for _, w := range words(e.Text) {
				if vocabulary[w] {
					score += math.Log((count[p][w] + 1) / (total[p] + float64(len(vocabulary))))
				}
			}
			if score > at {
				best, at = p, score
			}
		}
		if best == e.Label {
			right++
		}
	}
	return float64(right) / float64(len(test))
}
