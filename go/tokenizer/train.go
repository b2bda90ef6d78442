package tokenizer

import (
	"container/heap"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// maxVocab is far beyond any vocabulary.
const maxVocab = 1 << 24

// TrainOptions say what vocabulary to learn.
type TrainOptions struct {
	VocabSize     int      // ids in all: special tokens, 256 bytes, merges
	Pattern       string   // split pattern; empty means PatternGPT2
	SpecialTokens []string // take the first ids, in this order
	MinFrequency  int      // of a pair to be merged; 0 means 1
}

// trainWord is a distinct word of the corpus as token ids.
type trainWord struct {
	ids   []int32
	count int
}

// trainPair is a candidate merge. Its count may be out of date: it is checked
// when it comes to the top.
type trainPair struct {
	a, b  int32
	count int
}

type pairHeap []trainPair

func (h pairHeap) Len() int { return len(h) }
func (h pairHeap) Less(i, j int) bool {
	if h[i].count != h[j].count {
		return h[i].count > h[j].count
	}
	return pairOf(h[i].a, h[i].b) < pairOf(h[j].a, h[j].b)
}
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *pairHeap) Push(x any)   { *h = append(*h, x.(trainPair)) }
func (h *pairHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// TrainBPE learns a byte-level BPE vocabulary: the most frequent pair is merged
// first, ties by the smaller ids, as upstream. The result holds all 256 bytes,
// so every text can be encoded.
func TrainBPE(ctx context.Context, texts iter.Seq[string], o TrainOptions) (*Tokenizer, error) {
	if o.Pattern == "" {
		o.Pattern = PatternGPT2
	}
	if least := 256 + len(o.SpecialTokens); o.VocabSize < least || o.VocabSize > maxVocab {
		return nil, failure.Config("vocabulary size %d is not in [%d, %d]", o.VocabSize, least, maxVocab)
	}
	split, err := compile(o.Pattern)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := split.matches(text, func(i, j int) {
			if i < j {
				if _, ok := counts[text[i:j]]; !ok {
					counts[strings.Clone(text[i:j])] = 0
				}
				counts[text[i:j]]++
			}
		}); err != nil {
			return nil, err
		}
	}
	tr, err := newTrainer(counts, o)
	if err != nil {
		return nil, err
	}
	if err := tr.run(ctx, o); err != nil {
		return nil, err
	}
	data, err := tr.file(o)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

type trainer struct {
	words  []trainWord
	tokens []string
	ids    map[string]int32
	merges [][2]string
	counts map[uint64]int
	where  map[uint64]map[int32]struct{} // words that hold or held a pair
	queue  pairHeap
}

func newTrainer(counts map[string]int, o TrainOptions) (*trainer, error) {
	t := &trainer{ids: map[string]int32{}, counts: map[uint64]int{}, where: map[uint64]map[int32]struct{}{}}
	for _, s := range o.SpecialTokens {
		if _, ok := t.ids[s]; ok || s == "" {
			return nil, failure.Config("special token %q is empty or given twice", s)
		}
		t.token(s)
	}
	alphabet := slices.Clone(byteText[:])
	slices.Sort(alphabet)
	for _, s := range alphabet {
		t.token(s)
	}
	for word, n := range counts {
		w := trainWord{count: n, ids: make([]int32, len(word))}
		for i := range len(word) {
			w.ids[i] = t.ids[byteText[word[i]]]
		}
		for i := 1; i < len(w.ids); i++ {
			t.change(w.ids[i-1], w.ids[i], n, int32(len(t.words)))
		}
		t.words = append(t.words, w)
	}
	for p, n := range t.counts {
		t.queue = append(t.queue, trainPair{int32(p >> 32), int32(uint32(p)), n})
	}
	heap.Init(&t.queue)
	return t, nil
}

func (t *trainer) token(s string) int32 {
	id, ok := t.ids[s]
	if !ok {
		id = int32(len(t.tokens))
		t.ids[s] = id
		t.tokens = append(t.tokens, s)
	}
	return id
}

func (t *trainer) change(a, b int32, n int, word int32) {
	p := pairOf(a, b)
	t.counts[p] += n
	if n > 0 {
		if t.where[p] == nil {
			t.where[p] = map[int32]struct{}{}
		}
		t.where[p][word] = struct{}{}
	}
}

func (t *trainer) run(ctx context.Context, o TrainOptions) error {
	for len(t.tokens) < o.VocabSize && len(t.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := heap.Pop(&t.queue).(trainPair)
		p := pairOf(top.a, top.b)
		if n := t.counts[p]; n != top.count {
			if top.count = n; n > 0 {
				heap.Push(&t.queue, top)
			}
			continue
		}
		if top.count < max(1, o.MinFrequency) {
			break
		}
		t.merge(top.a, top.b)
	}
	return nil
}

// merge joins a pair in every word that holds it and queues the pairs it makes.
func (t *trainer) merge(a, b int32) {
	t.merges = append(t.merges, [2]string{t.tokens[a], t.tokens[b]})
	id := t.token(t.tokens[a] + t.tokens[b])
	words := t.where[pairOf(a, b)]
	delete(t.where, pairOf(a, b))
	fresh := map[uint64]struct{}{}
	for at := range words {
		w := &t.words[at]
		out := w.ids[:0]
		old := w.ids
		for i := 0; i < len(old); i++ {
			if i+1 == len(old) || old[i] != a || old[i+1] != b {
				out = append(out, old[i])
				continue
			}
			t.change(a, b, -w.count, at)
			if len(out) > 0 {
				left := out[len(out)-1]
				t.change(left, a, -w.count, at)
				t.change(left, id, w.count, at)
				fresh[pairOf(left, id)] = struct{}{}
			}
			if i+2 < len(old) {
				right := old[i+2]
				t.change(b, right, -w.count, at)
				t.change(id, right, w.count, at)
				fresh[pairOf(id, right)] = struct{}{}
			}
			out = append(out, id)
			i++
		}
		w.ids = out
	}
	delete(t.counts, pairOf(a, b))
	for p := range fresh {
		if n := t.counts[p]; n > 0 {
			heap.Push(&t.queue, trainPair{int32(p >> 32), int32(uint32(p)), n})
		}
	}
}

// file writes what was learned as a tokenizer.json.
func (t *trainer) file(o TrainOptions) ([]byte, error) {
	type m = map[string]any
	added := []m{}
	for i, s := range o.SpecialTokens {
		added = append(added, m{"id": i, "content": s, "single_word": false, "lstrip": false,
			"rstrip": false, "normalized": false, "special": true})
	}
	bytes := m{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": o.Pattern == PatternGPT2}
	pre := bytes
	if o.Pattern != PatternGPT2 {
		split := m{"type": "Split", "pattern": m{"Regex": o.Pattern}, "behavior": isolated, "invert": false}
		pre = m{"type": "Sequence", "pretokenizers": []m{split, bytes}}
	}
	merges := t.merges
	if merges == nil {
		merges = [][2]string{}
	}
	post := m{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true}
	data, err := json.MarshalIndent(m{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": pre, "post_processor": post,
		"decoder": m{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model": m{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
			"vocab": t.ids, "merges": merges},
	}, "", "  ")
	if err != nil {
		return nil, failure.Internal("%w", err)
	}
	return append(data, '\n'), nil
}
