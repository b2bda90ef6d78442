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

// logistic is softmax regression over TF-IDF of the same words, as scikit-learn
// has both (sublinear counts, smoothed idf, rows of length 1; a penalty of
// ‖w‖²/2C), with the C of 1, 10 and 100 that is best on what there is to choose
// by: its accuracy on the test.
func logistic(all parts) (onTest float64) {
	idf := map[string]float64{}
	for _, e := range all.train {
		for w := range counts(e) {
			idf[w]++
		}
	}
	for w, n := range idf {
		idf[w] = math.Log((1+float64(len(all.train)))/(1+n)) + 1
	}
	vector := func(e example) map[string]float64 {
		v, length := map[string]float64{}, 0.0
		for w, n := range counts(e) {
			if idf[w] > 0 {
				v[w] = (1 + math.Log(n)) * idf[w]
				length += v[w] * v[w]
			}
		}
		for w := range v {
			v[w] /= math.Sqrt(length)
		}
		v[""] = 1
		return v
	}
	best := -1.0
	for _, c := range []float64{1, 10, 100} {
		weights := softmax(all.train, vector, c)
		if right := accuracy(weights, all.choose, vector); right > best {
			best, onTest = right, accuracy(weights, all.test, vector)
		}
	}
	return onTest
}

func counts(e example) map[string]float64 {
	n := map[string]float64{}
	for _, w := range words(e.Text) {
		n[w]++
	}
	return n
}

// softmax fits weights by gradient descent with momentum. The word "" is the
// bias, which has no penalty.
func softmax(training []example, vector func(example) map[string]float64, c float64) map[string][]float64 {
	const steps, rate, momentum = 400, 2.0, 0.9
	weights, speed := map[string][]float64{}, map[string][]float64{}
	var rows []map[string]float64
	for _, e := range training {
		v := vector(e)
		for w := range v {
			if weights[w] == nil {
				weights[w] = make([]float64, len(packages))
			}
		}
		rows = append(rows, v)
	}
	for w := range weights {
		speed[w] = make([]float64, len(packages))
	}
	n := float64(len(training))
	for range steps {
		for w, s := range speed {
			for k := range s {
				s[k] *= momentum
				if w != "" {
					s[k] -= rate * weights[w][k] / (c * n)
				}
			}
		}
		for i, row := range rows {
			p := scores(weights, row)
			top, sum := slices.Max(p), 0.0
			for k := range p {
				p[k] = math.Exp(p[k] - top)
				sum += p[k]
			}
			for k := range p {
				g := p[k] / sum
				if packages[k] == training[i].Label {
					g--
				}
				for w, x := range row {
					speed[w][k] -= rate * g * x / n
				}
			}
		}
		for w, s := range speed {
			for k := range s {
				weights[w][k] += s[k]
			}
		}
	}
	return weights
}

func scores(weights map[string][]float64, row map[string]float64) []float64 {
	z := make([]float64, len(packages))
	for w, x := range row {
		for k, y := range weights[w] {
			z[k] += x * y
		}
	}
	return z
}

func accuracy(weights map[string][]float64, of []example, vector func(example) map[string]float64) float64 {
	right := 0
	for _, e := range of {
		v := vector(e)
		z := scores(weights, v)
		if packages[slices.Index(z, slices.Max(z))] == e.Label {
			right++
		}
	}
	return float64(right) / float64(len(of))
}
