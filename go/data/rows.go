package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"slices"
	"sort"
)

// Rows is a list of rows. Their tokens are in memory up to a bound and in a
// file beyond it, so that what is held grows with the rows, 25 bytes for each,
// and not with their length. A selection shares what it was taken from.
type Rows struct {
	*store
	index []int32 // rows of the store
}

type store struct {
	tokens  tokens
	ends    []int
	targets []int32
	first   []bool // the first token has a label
	line    []int32
	keys    []uint64 // of each row's tokens and what is trained of them
	files   []run    // in which the rows came
	groups  []run    // that occur weight times in an epoch
	choices []run    // rows whose records name the same adapter; nil if none does

	labels []label // as read, of records that carry them
	class  []int32 // by Use
	values []float32
	width  int // values of a row
}

// run is a stretch of rows up to the next one, from the same file or source.
type run struct {
	First  int     `json:"first"`
	Name   string  `json:"name,omitempty"`
	Weight float64 `json:"weight,omitempty"`
}

// runOf is the index of the run that row j lies in.
func runOf(runs []run, j int) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].First > j }) - 1
}

func newRows() *Rows { return &Rows{store: &store{tokens: tokens{room: spillTokens}}} }

// begin starts a group of rows that occur weight times in an epoch.
func (r *Rows) begin(weight float64) {
	r.groups = append(r.groups, run{First: len(r.ends), Weight: weight})
}

// add appends a row to the group.
func (r *Rows) add(row Row) error {
	if n := len(r.files); n == 0 || r.files[n-1].Name != row.Source {
		r.files = append(r.files, run{First: len(r.ends), Name: row.Source})
	}
	packed := make([]uint32, len(row.IDs))
	var targets int32
	for i, id := range row.IDs {
		packed[i] = uint32(id)
		if row.Labels[i] != Masked {
			packed[i] |= trainedBit
			if i > 0 {
				targets++
			}
		}
	}
	key, err := r.tokens.add(packed)
	if err != nil {
		return err
	}
	if row.label != nil {
		r.labels = append(r.labels, *row.label)
		targets = 1
	}
	if n := len(r.choices); n > 0 && r.choices[n-1].Name != row.Adapter || n == 0 && row.Adapter != "" {
		if n == 0 && len(r.ends) > 0 {
			r.choices = append(r.choices, run{})
		}
		r.choices = append(r.choices, run{First: len(r.ends), Name: row.Adapter})
	}
	r.ends = append(r.ends, r.tokens.n)
	r.targets = append(r.targets, targets)
	r.first = append(r.first, len(packed) > 0 && packed[0]&trainedBit != 0)
	r.line = append(r.line, int32(row.Line))
	r.keys = append(r.keys, key)
	r.index = append(r.index, int32(len(r.ends)-1))
	return nil
}

// Close lets go of the file of the tokens, if there is one; selections of the
// same rows end with it.
func (r *Rows) Close() error { return r.tokens.close() }

// WriteJSONL writes each row as a record of tokens.
func (r *Rows) WriteJSONL(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	for i := range r.Len() {
		row, err := r.Row(i)
		if err != nil {
			return err
		}
		if err := e.Encode(struct {
			IDs    []int32 `json:"input_ids"`
			Labels []int32 `json:"labels"`
		}{row.IDs, row.Labels}); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.index) }

// Tokens is the length of row i.
func (r *Rows) Tokens(i int) int {
	start, end := r.span(i)
	return end - start
}

// Targets is the number of trained tokens of row i; one of a row with a label.
func (r *Rows) Targets(i int) int { return int(r.targets[r.index[i]]) }

// Row is row i. Rows that are in a file may fail to be read, with an error of
// kind IO.
func (r *Rows) Row(i int) (Row, error) {
	start, end := r.span(i)
	j := int(r.index[i])
	all, err := r.tokens.read(start, end)
	if err != nil {
		return Row{}, err
	}
	row := Row{IDs: make([]int32, end-start), Labels: make([]int32, end-start), Source: r.source(i), Line: int(r.line[j]), Adapter: r.Adapter(i)}
	for k, packed := range all {
		row.IDs[k], row.Labels[k] = int32(packed&^trainedBit), Masked
		if packed&trainedBit != 0 && k > 0 {
			row.Labels[k] = row.IDs[k]
		}
	}
	if r.Labelled() {
		row.Labelled, row.Class = true, r.class[j]
		row.Values = r.values[j*r.width : (j+1)*r.width]
	}
	return row, nil
}

// prompted is row i for a place after a prompt, whose last virtual token
// predicts the row's first: its label counts there.
func (r *Rows) prompted(i int) (Row, error) {
	row, err := r.Row(i)
	if err == nil && r.firstTrained(i) {
		row.Labels[0] = row.IDs[0]
	}
	return row, err
}

// firstTrained reports whether the first token of row i has a label.
func (r *Rows) firstTrained(i int) bool { return r.first[r.index[i]] }

// Adapter is what the record of row i names; "" is none.
func (r *Rows) Adapter(i int) string {
	if len(r.choices) == 0 {
		return ""
	}
	return r.choices[runOf(r.choices, int(r.index[i]))].Name
}

// Choosing is the first row whose record names an adapter, -1 for none.
func (r *Rows) Choosing() int {
	for i := 0; len(r.choices) > 0 && i < r.Len(); i++ {
		if r.Adapter(i) != "" {
			return i
		}
	}
	return -1
}

// Place is the file and line of row i.
func (r *Rows) Place(i int) (source string, line int) { return r.source(i), int(r.line[r.index[i]]) }

// source is the file that row i came from.
func (r *Rows) source(i int) string { return r.files[runOf(r.files, int(r.index[i]))].Name }

func (r *Rows) group(i int) int { return runOf(r.groups, int(r.index[i])) }

func (r *Rows) span(i int) (start, end int) {
	j := r.index[i]
	if j > 0 {
		start = r.ends[j-1]
	}
	return start, r.ends[j]
}

// Split takes rows out for validation, chosen by the keyed permutation of the
// seed: size is a part below 1, at least one row of it, or a number of rows.
// Both parts keep the order of the files; neither may be empty unless size is 0.
func (r *Rows) Split(size float64, seed uint64) (train, val *Rows, err error) {
	count, err := heldOut(size, r.Len())
	if err != nil {
		return nil, nil, err
	}
	train, val = &Rows{store: r.store}, &Rows{store: r.store}
	held := make([]bool, len(r.index))
	p := Permutation{N: len(r.index), Seed: mix(seed ^ splitPurpose)}
	for i := range count {
		held[p.At(i)] = true
	}
	for i, j := range r.index {
		if held[i] {
			val.index = append(val.index, j)
		} else {
			train.index = append(train.index, j)
		}
	}
	return train, val, nil
}

// Fingerprint is the SHA-256 of the rows in their order, with what is trained
// of them and how often: what a checkpoint compares to know its data again.
func (r *Rows) Fingerprint() string {
	h := sha256.New()
	w := bufio.NewWriter(h)
	number := func(v uint64) { w.Write(binary.LittleEndian.AppendUint64(nil, v)) }
	for i, j := range r.index {
		number(r.keys[j])
		number(uint64(r.Tokens(i)))
		number(uint64(r.group(i)))
		number(math.Float64bits(r.groups[r.group(i)].Weight))
		if r.Labelled() {
			number(uint64(r.class[j]))
			for _, v := range r.values[int(j)*r.width : int(j+1)*r.width] {
				number(uint64(math.Float32bits(v)))
			}
		}
	}
	w.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

// splitPurpose keeps the split apart from the order of epochs.
const splitPurpose = 0x73706c6974 // "split"

// Duplicates counts the rows whose tokens and labels occurred before.
func (r *Rows) Duplicates() (n int) {
	keys := r.sorted()
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			n++
		}
	}
	return n
}

// Overlap counts the rows that are in both lists, as seen from r.
func (r *Rows) Overlap(other *Rows) (n int) {
	keys := other.sorted()
	for _, j := range r.index {
		if _, ok := slices.BinarySearch(keys, r.keys[j]); ok {
			n++
		}
	}
	return n
}

// sorted are the keys of the rows. A key is a 64-bit hash; that two different
// rows of a million have the same one has a chance below 1e-7.
func (r *Rows) sorted() []uint64 {
	keys := make([]uint64, 0, r.Len())
	for _, j := range r.index {
		keys = append(keys, r.keys[j])
	}
	slices.Sort(keys)
	return keys
}
