package data_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corpus has n rows of pseudo-random lengths, told apart by their numbers.
func corpus(t *testing.T, n int) *data.Rows {
	rng := rand.New(rand.NewSource(int64(n)))
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "{\"prompt\":\"%d:\",\"completion\":\"%s\"}\n", i, strings.Repeat("x", 1+rng.Intn(90)))
	}
	rows, _, err := load(t, file.String(), nil)
	require.NoError(t, err)
	return rows
}

func options(packing bool) data.LoaderOptions {
	return data.LoaderOptions{MaxSeqLength: 128, MicroBatchSize: 3, Accumulation: 4, Epochs: 3, Packing: packing, Shuffle: true, Seed: 42}
}

func TestEveryRowOncePerEpochWithExactlyItsLabels(t *testing.T) {
	for _, n := range []int{1, 2, 11, 12, 13, 500, 2500} {
		rows := corpus(t, n)
		for _, packing := range []bool{false, true} {
			l, err := data.NewLoader(rows, options(packing))
			require.NoError(t, err)
			buckets := map[data.Bucket]bool{}
			for _, b := range l.Buckets() {
				buckets[b] = true
			}
			step := 0
			for epoch := range 3 {
				seen := make([]int, n)
				for range l.StepsPerEpoch(epoch) {
					assert.Equal(t, epoch, int(l.Epoch(step)))
					documents := l.Documents(step)
					for b, m := range get(l.Step(step)) {
						assert.True(t, buckets[data.Bucket{Tokens: len(m.IDs), Sequences: len(m.Cu) - 1, Targets: len(m.Rows)}])
						checkBatch(t, rows, documents[b], m)
						for _, r := range documents[b] {
							seen[r]++
						}
					}
					step++
				}
				for r, times := range seen {
					require.Equal(t, 1, times, "row %d in epoch %d", r, epoch)
				}
			}
			assert.Equal(t, step, l.Steps())
		}
	}
}

// checkBatch reads a filled micro-batch back: the documents, their labels and
// nothing else.
func checkBatch(t *testing.T, rows *data.Rows, documents []int32, m data.MicroBatch) {
	require.Len(t, m.Positions, len(m.IDs))
	labels := make([]int32, len(m.IDs))
	for i := range labels {
		labels[i] = data.Masked
	}
	for i, row := range m.Rows {
		if m.Weights[i] == 0 {
			assert.Equal(t, []int32{0, 0}, []int32{row, m.Targets[i]})
			continue
		}
		assert.Equal(t, float32(1), m.Weights[i])
		assert.Equal(t, m.IDs[row+1], m.Targets[i])
		labels[row+1] = m.Targets[i]
	}
	longest := int32(0)
	for s, d := range documents {
		want := get(rows.Row(int(d)))
		start, end := m.Cu[s], m.Cu[s+1]
		assert.Equal(t, want.IDs, m.IDs[start:end])
		assert.Equal(t, want.Labels, labels[start:end])
		for i := range want.IDs {
			assert.Equal(t, int32(i), m.Positions[int(start)+i])
			longest = max(longest, int32(i))
		}
	}
	tail := len(m.Cu) - 2
	for s := len(documents); s < tail; s++ {
		assert.Equal(t, int32(m.Tokens), m.Cu[s])
	}
	assert.Equal(t, int32(len(m.IDs)), m.Cu[tail+1])
	for i := m.Tokens; i < len(m.IDs); i++ {
		assert.Equal(t, []int32{0, data.Masked}, []int32{m.IDs[i], labels[i]})
		assert.LessOrEqual(t, m.Positions[i], longest)
	}
}

func TestRandomAccessEqualsSequential(t *testing.T) {
	rows := corpus(t, 300)
	for _, packing := range []bool{false, true} {
		l, err := data.NewLoader(rows, options(packing))
		require.NoError(t, err)
		var want [][]data.MicroBatch
		for i := range l.Steps() {
			want = append(want, get(l.Step(i)))
		}
		for _, i := range rand.New(rand.NewSource(1)).Perm(len(want)) {
			fresh, err := data.NewLoader(rows, options(packing))
			require.NoError(t, err)
			require.Equal(t, want[i], get(fresh.Step(i)))
			require.Equal(t, want[i], get(l.Step(i)))
		}
		other := options(packing)
		other.Seed++
		l, err = data.NewLoader(rows, other)
		require.NoError(t, err)
		assert.NotEqual(t, want[0], get(l.Step(0)))
		assert.NotEqual(t, want[0], want[len(want)/2])
	}
}

func TestStepsFollowHuggingFace(t *testing.T) {
	rows := corpus(t, 50) // 17 micro-batches of 3, 5 steps of at most 4
	l, err := data.NewLoader(rows, options(false))
	require.NoError(t, err)
	assert.Equal(t, 5, l.StepsPerEpoch(0))
	assert.Equal(t, 15, l.Steps())
	assert.Len(t, get(l.Step(4)), 1, "the short last group still steps")
	assert.Len(t, get(l.Step(5)), 4)
	assert.Equal(t, 7, l.TotalSteps(3, 7))
	assert.Equal(t, 15, l.TotalSteps(3, 70))
	assert.Equal(t, 70, l.TotalSteps(0, 70))
	assert.Equal(t, 1.2, l.Epoch(6))
}

func TestWithoutShuffleTheFilesDecide(t *testing.T) {
	o := options(false)
	o.Shuffle = false
	l, err := data.NewLoader(corpus(t, 7), o)
	require.NoError(t, err)
	assert.Equal(t, [][]int32{{0, 1, 2}, {3, 4, 5}, {6}}, l.Documents(0))
	assert.Len(t, get(l.All()), 9)
}

func TestWeightsRepeatAndSample(t *testing.T) {
	twice, half := write(t, "a.jsonl", strings.Repeat("{\"text\":\"a\"}\n", 10)), write(t, "b.jsonl", strings.Repeat("{\"text\":\"b\"}\n", 10))
	rows, _, err := load(t, "", func(o *data.Options) {
		o.Sources = []data.Source{{Path: twice, Weight: 2.3}, {Path: half, Weight: 0.5}}
	})
	require.NoError(t, err)
	l, err := data.NewLoader(rows, options(false))
	require.NoError(t, err)
	var chosen [2]map[int32]int
	for epoch := range chosen {
		chosen[epoch] = map[int32]int{}
		for i := range l.StepsPerEpoch(epoch) {
			for _, group := range l.Documents(epoch*l.StepsPerEpoch(0) + i) {
				for _, r := range group {
					chosen[epoch][r]++
				}
			}
		}
		first, second := 0, 0
		for r := range int32(10) {
			assert.Contains(t, []int{2, 3}, chosen[epoch][r])
			assert.Contains(t, []int{0, 1}, chosen[epoch][r+10])
			first, second = first+chosen[epoch][r], second+chosen[epoch][r+10]
		}
		assert.Equal(t, []int{23, 5}, []int{first, second})
	}
	assert.NotEqual(t, chosen[0], chosen[1], "another part in each epoch")
}

func TestBucketsAreFewAndHold(t *testing.T) {
	const limit = 5000
	tokens, targets := map[int]bool{}, map[int]bool{}
	for n := 1; n <= limit; n++ {
		b := data.BucketFor(n, 1+n/100, n/2, limit)
		assert.GreaterOrEqual(t, b.Tokens, n)
		assert.LessOrEqual(t, b.Tokens, limit)
		assert.True(t, b.Tokens%64 == 0 || b.Tokens == limit)
		assert.Less(t, b.Tokens-n, max(64, n/8+1))
		assert.GreaterOrEqual(t, b.Targets, n/2)
		assert.LessOrEqual(t, b.Targets, b.Tokens)
		assert.GreaterOrEqual(t, b.Sequences, 1+n/100)
		if b.Tokens > n {
			assert.Greater(t, b.Sequences, 1+n/100, "room for the tail")
		}
		assert.Zero(t, b.Sequences&(b.Sequences-1))
		tokens[b.Tokens], targets[b.Targets] = true, true
	}
	assert.LessOrEqual(t, len(tokens), 8+8+8+8+3)
	full := data.BucketFor(limit, 4, limit, limit)
	assert.Equal(t, data.Bucket{Tokens: limit, Sequences: 4, Targets: limit}, full)
}

func TestPackingUsesItsRoom(t *testing.T) {
	rows := corpus(t, 2000)
	o := options(true)
	o.MicroBatchSize = 1
	l, err := data.NewLoader(rows, o)
	require.NoError(t, err)
	total, packed := 0, 0
	for i := range l.StepsPerEpoch(0) {
		for _, m := range get(l.Step(i)) {
			assert.LessOrEqual(t, m.Tokens, 128)
			total, packed = total+m.Tokens, packed+len(m.IDs)
		}
	}
	assert.InDelta(t, float64(total)/float64(packed), l.Efficiency(0), 1e-12)
	assert.Greater(t, l.Efficiency(0), 0.95)
	_, err = data.NewLoader(rows, data.LoaderOptions{MaxSeqLength: 50, MicroBatchSize: 1, Accumulation: 1, Epochs: 1, Packing: true})
	assert.ErrorContains(t, err, "at least the longest row")
}

// TestGroupByLength: every row once an epoch, in micro-batches of rows of like
// length, and any step alone is the step of the run.
func TestGroupByLength(t *testing.T) {
	rows := corpus(t, 400)
	o := data.LoaderOptions{MicroBatchSize: 4, Accumulation: 3, Epochs: 2, Shuffle: true, Seed: 7, GroupByLength: true}
	spread := func(o data.LoaderOptions) (sum int) {
		l := get(data.NewLoader(rows, o))
		for i := range l.Steps() {
			for _, g := range l.Documents(i) {
				low, high := rows.Tokens(int(g[0])), 0
				for _, r := range g {
					low, high = min(low, rows.Tokens(int(r))), max(high, rows.Tokens(int(r)))
				}
				sum += high - low
			}
		}
		return sum
	}
	plain := o
	plain.GroupByLength = false
	assert.Less(t, 5*spread(o), spread(plain))

	l := get(data.NewLoader(rows, o))
	var first, second [][]int32
	for i := range l.Steps() {
		if i < l.StepsPerEpoch(0) {
			first = append(first, l.Documents(i)...)
		} else {
			second = append(second, l.Documents(i)...)
		}
		require.Equal(t, l.Documents(i), get(data.NewLoader(rows, o)).Documents(i), "step %d from a new loader", i)
	}
	assert.NotEqual(t, first, second)
	for _, epoch := range [][][]int32{first, second} {
		all := slices.Concat(epoch...)
		slices.Sort(all)
		require.Len(t, all, 400)
		require.Len(t, slices.Compact(all), 400)
	}
	o.Packing, o.MaxSeqLength = true, 4096
	_, err := data.NewLoader(rows, o)
	assert.ErrorIs(t, err, failure.ErrConfig)
}
