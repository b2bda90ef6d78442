package data

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/graftlm/graft/go/failure"
)

// packWindow is how many consecutive rows of the order are packed together.
const packWindow = 1024

// LoaderOptions says how rows become steps.
type LoaderOptions struct {
	MaxSeqLength   int  // tokens of a packed sequence
	MicroBatchSize int  // rows of a micro-batch, or packed sequences
	Accumulation   int  // micro-batches of a step; the last step of an epoch may have fewer
	Epochs         int  // of the run; 0 with MaxSteps for as many as it takes
	MaxSteps       int  // of the run; 0 is no limit
	Packing        bool // whole rows share a sequence up to MaxSeqLength
	GroupByLength  bool // without packing: rows of like length share a micro-batch
	Shuffle        bool // else the order of the files
	Seed           uint64
	// Prompt is the number of virtual tokens before each row. MaxSeqLength does
	// not count those of one row: a packed sequence holds so many more.
	Prompt int
}

// Loader gives the steps of a run. Step i is a pure function of the rows, the
// options and i, so the cursor of a run is one number. It is safe for
// concurrent use.
type Loader struct {
	rows    *Rows
	o       LoaderOptions
	order   order
	limit   int // tokens of the largest micro-batch
	longest int // tokens of a sequence, virtual ones included
	mu      sync.Mutex
	starts  []int // first step of each epoch known so far, and of the next
	epoch   int   // whose groups are held
	groups  [][]int32
}

// NewLoader checks the options. Every row must fit MaxSeqLength when packing.
func NewLoader(rows *Rows, o LoaderOptions) (*Loader, error) {
	if rows.Len() == 0 {
		return nil, failure.Data("there are no rows to train on")
	}
	if o.MicroBatchSize < 1 || o.Accumulation < 1 {
		return nil, failure.Config("micro_batch_size and gradient_accumulation_steps must be at least 1, got %d and %d", o.MicroBatchSize, o.Accumulation)
	}
	if o.Epochs < 0 || o.MaxSteps < 0 || o.Epochs+o.MaxSteps == 0 {
		return nil, failure.Config("num_epochs or max_steps must be above 0, got %d and %d", o.Epochs, o.MaxSteps)
	}
	l := &Loader{rows: rows, o: o, order: newOrder(rows, o.Shuffle, o.Seed), starts: []int{0}, epoch: -1}
	if l.order.n == 0 {
		return nil, failure.Config("the weights of the sources leave no row in an epoch")
	}
	if o.Packing && o.GroupByLength {
		return nil, failure.Config("group_by_length is for rows that are not packed; set packing: false")
	}
	longest := 0
	for i := range rows.Len() {
		longest = max(longest, rows.Tokens(i))
	}
	l.longest = longest + o.Prompt
	if o.Packing {
		if o.MaxSeqLength < longest {
			return nil, failure.Config("packing needs max_seq_length of at least the longest row, %d tokens; got %d", longest, o.MaxSeqLength)
		}
		longest = o.MaxSeqLength
	}
	l.limit = (longest + o.Prompt) * o.MicroBatchSize
	if l.limit > math.MaxInt32 {
		return nil, failure.Config("a micro-batch of %d tokens is too large; lower micro_batch_size", l.limit)
	}
	return l, nil
}

// Longest is the number of tokens of the longest sequence, virtual ones included.
func (l *Loader) Longest() int { return l.longest }

// StepsPerEpoch is the number of steps of an epoch, which packing may change
// from one to the next.
func (l *Loader) StepsPerEpoch(epoch int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reach(epoch + 1)
	return l.starts[epoch+1] - l.starts[epoch]
}

// Steps is the number of steps of the run.
func (l *Loader) Steps() int { return l.TotalSteps(l.o.Epochs, l.o.MaxSteps) }

// TotalSteps is the number of steps of so many epochs, at most maxSteps of
// them; each is no limit where it is 0.
func (l *Loader) TotalSteps(epochs, maxSteps int) int {
	if epochs == 0 {
		return maxSteps
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := 1; e <= epochs; e++ {
		if l.reach(e); maxSteps > 0 && l.starts[e] >= maxSteps {
			return maxSteps
		}
	}
	return l.starts[epochs]
}

// Epoch is how many epochs are done before a step.
func (l *Loader) Epoch(step int) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.find(step)
	return float64(e) + float64(step-l.starts[e])/float64(l.starts[e+1]-l.starts[e])
}

// Step gives the micro-batches of a step, filled to their buckets.
func (l *Loader) Step(i int) (batches []MicroBatch, err error) {
	for _, group := range l.step(i) {
		rows := make([]Row, len(group))
		for j, r := range group {
			if rows[j], err = l.row(int(r)); err != nil {
				return nil, err
			}
		}
		batches = append(batches, FlattenPrompted(rows, l.o.Prompt).Fill(l.bucket(group)))
	}
	return batches, nil
}

// row is a row as it stands in a micro-batch.
func (l *Loader) row(i int) (Row, error) {
	if l.o.Prompt > 0 {
		return l.rows.prompted(i)
	}
	return l.rows.Row(i)
}

// Documents gives the rows of each micro-batch of a step.
func (l *Loader) Documents(i int) [][]int32 { return l.step(i) }

// All gives every micro-batch of the run at once, as an evaluation needs them.
func (l *Loader) All() (batches []MicroBatch, err error) {
	for i := range l.Steps() {
		step, err := l.Step(i)
		if err != nil {
			return nil, err
		}
		batches = append(batches, step...)
	}
	return batches, nil
}

// Buckets lists the buckets that occur in the run, the largest first.
func (l *Loader) Buckets() []Bucket {
	seen := map[Bucket]bool{}
	for i := range l.Steps() {
		for _, g := range l.step(i) {
			seen[l.bucket(g)] = true
		}
	}
	buckets := make([]Bucket, 0, len(seen))
	for b := range seen {
		buckets = append(buckets, b)
	}
	slices.SortFunc(buckets, func(a, b Bucket) int {
		return cmp.Or(b.Tokens-a.Tokens, b.Targets-a.Targets, b.Sequences-a.Sequences)
	})
	return buckets
}

// Room is how many tokens a sequence may have.
func (l *Loader) Room() int { return l.limit / l.o.MicroBatchSize }

// Sequences is the number of sequences of an epoch, packed or not, and of the
// tokens in them.
func (l *Loader) Sequences(epoch int) (sequences, tokens int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.sequences(epoch)
	for _, s := range all {
		for _, r := range s {
			tokens += l.rows.Tokens(int(r))
		}
	}
	return len(all), tokens
}

// Efficiency is the part of the tokens of an epoch's micro-batches that are
// real, 0 to 1: the rest fills buckets.
func (l *Loader) Efficiency(epoch int) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold(epoch)
	used, held := 0, 0
	for _, g := range l.groups {
		for _, r := range g {
			used += l.o.Prompt + l.rows.Tokens(int(r))
		}
		held += l.bucket(g).Tokens
	}
	return float64(used) / float64(held)
}

func (l *Loader) bucket(group []int32) Bucket {
	tokens, targets := 0, 0
	for _, r := range group {
		tokens += l.o.Prompt + l.rows.Tokens(int(r))
		targets += l.rows.Targets(int(r))
		if l.o.Prompt > 0 && l.rows.firstTrained(int(r)) {
			targets++
		}
	}
	b := BucketFor(tokens, len(group), targets, l.limit)
	if l.rows.Labelled() {
		return b.labelled()
	}
	return b
}

// step gives the groups of a step.
func (l *Loader) step(i int) [][]int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch := l.find(i)
	l.hold(epoch)
	from := (i - l.starts[epoch]) * l.o.Accumulation
	return l.groups[from:min(from+l.o.Accumulation, len(l.groups))]
}

// find is the epoch of a step.
func (l *Loader) find(step int) int {
	for l.starts[len(l.starts)-1] <= step {
		l.reach(len(l.starts))
	}
	return sort.SearchInts(l.starts, step+1) - 1
}

// reach counts the steps up to the start of an epoch.
func (l *Loader) reach(epoch int) {
	for e := len(l.starts) - 1; e < epoch; e++ {
		l.hold(e)
		l.starts = append(l.starts, l.starts[e]+(len(l.groups)+l.o.Accumulation-1)/l.o.Accumulation)
	}
}

// hold makes the groups of an epoch the current ones: the rows of each of its
// micro-batches.
func (l *Loader) hold(epoch int) {
	if l.epoch == epoch {
		return
	}
	sequences := l.sequences(epoch)
	if l.o.GroupByLength {
		l.byLength(sequences)
	}
	l.groups = l.groups[:0:0]
	for part := range slices.Chunk(sequences, l.o.MicroBatchSize) {
		l.groups = append(l.groups, slices.Concat(part...))
	}
	if l.o.GroupByLength && l.o.Shuffle {
		l.groups = l.mixed(l.groups, epoch, lengthPurpose)
	}
	l.epoch = epoch
}

// lengthWindow is how many micro-batches of the order are sorted by length
// together, as in transformers' LengthGroupedSampler.
const lengthWindow = 50

// byLength sorts the rows of each window of the order, the longest first.
func (l *Loader) byLength(sequences [][]int32) {
	for window := range slices.Chunk(sequences, lengthWindow*l.o.MicroBatchSize) {
		slices.SortStableFunc(window, func(a, b []int32) int { return l.rows.Tokens(int(b[0])) - l.rows.Tokens(int(a[0])) })
	}
}

// sequences are the rows of an epoch in its order, one a sequence, or packed
// window by window. Packing sorts by length, so a shuffled epoch orders its
// packed sequences anew.
func (l *Loader) sequences(epoch int) [][]int32 {
	rows := l.order.rows(epoch)
	if !l.o.Packing {
		return slices.Collect(slices.Chunk(rows, 1))
	}
	var out [][]int32
	for window := range slices.Chunk(rows, packWindow) {
		lengths := make([]int, len(window))
		for i, r := range window {
			lengths[i] = l.o.Prompt + l.rows.Tokens(int(r))
		}
		for _, bin := range Pack(lengths, l.o.Prompt+l.o.MaxSeqLength) {
			slices.Sort(bin) // in the order of the epoch
			sequence := make([]int32, len(bin))
			for i, at := range bin {
				sequence[i] = window[at]
			}
			out = append(out, sequence)
		}
	}
	if !l.o.Shuffle {
		return out
	}
	return l.mixed(out, epoch, packPurpose)
}

// mixed orders lists of rows anew in each epoch.
func (l *Loader) mixed(lists [][]int32, epoch int, purpose uint64) [][]int32 {
	p := Permutation{N: len(lists), Seed: mix(l.o.Seed ^ purpose), Epoch: uint64(epoch)}
	out := make([][]int32, len(lists))
	for i := range lists {
		out[i] = lists[p.At(i)]
	}
	return out
}

// These keep the orders of packed sequences and of micro-batches by length
// apart from that of rows.
const (
	packPurpose   = 0x7061636b     // "pack"
	lengthPurpose = 0x6c656e677468 // "length"
)
