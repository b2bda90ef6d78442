package data

import "slices"

// Masked is the label of a token that is not trained.
const Masked = -100

// Row is one tokenised document. Labels[i] is IDs[i] or Masked; the first
// token is no target, whatever its label, unless a prompt comes before it.
type Row struct {
	IDs    []int32
	Labels []int32
	Source string
	Line   int
	// Adapter is what an evaluation with several adapters uses for the row, as
	// the record says; "" is no choice.
	Adapter string

	// Of a text with a label: its class, or its values where there are several.
	Labelled bool
	Class    int32
	Values   []float32

	label *label // as it was read
}

// MicroBatch is a flat list of tokens. Sequence s is the range
// Cu[s]..Cu[s+1] of IDs and Positions. Only tokens whose successor in the same
// sequence is trained appear in Rows, with the successor's id in Targets.
// Of rows with labels, sequence s has its class in Targets[s], with Rows[s] s,
// or its numbers in row s of Values; a bucket has as many targets as sequences.
type MicroBatch struct {
	IDs, Positions, Cu, Rows, Targets []int32
	Weights                           []float32
	Values                            []float32 // [sequences, C]
	Features                          []float32 // [sequences, h]: in place of tokens, where they are known
	Tokens                            int       // of the documents: neither virtual ones nor what fills a bucket
	Longest                           int       // tokens of the longest sequence, virtual ones included, what fills a bucket not

	// Prompt is the number of virtual tokens that each sequence begins with,
	// Virtual their rows, sequence by sequence. Their id is 0, a stand-in.
	Prompt  int
	Virtual []int32

	// Adapters are those of the rows, sequence by sequence; nil if none has one.
	// Gates are what becomes of them: the weight of each adapter for each token.
	Adapters []string
	Gates    [][]float32
}

// Flatten lays documents one after another.
func Flatten(rows []Row) MicroBatch { return FlattenPrompted(rows, 0) }

// FlattenPrompted is Flatten with a number of virtual tokens before each
// document, which take its first positions and are no targets. The last of them
// predicts the first token of the document.
func FlattenPrompted(rows []Row, prompt int) MicroBatch {
	m := MicroBatch{Cu: []int32{0}, Prompt: prompt}
	for s, r := range rows {
		if r.Labelled {
			m.Rows, m.Targets = append(m.Rows, int32(s)), append(m.Targets, r.Class)
			m.Weights, m.Values = append(m.Weights, 1), append(m.Values, r.Values...)
		}
		for i := range prompt {
			m.Virtual = append(m.Virtual, int32(len(m.IDs)))
			m.IDs, m.Positions = append(m.IDs, 0), append(m.Positions, int32(i))
		}
		start := int32(len(m.IDs))
		m.Tokens += len(r.IDs)
		for i, id := range r.IDs {
			m.IDs = append(m.IDs, id)
			m.Positions = append(m.Positions, int32(prompt+i))
			if !r.Labelled && prompt+i > 0 && r.Labels[i] != Masked {
				m.Rows = append(m.Rows, start+int32(i)-1)
				m.Targets = append(m.Targets, r.Labels[i])
				m.Weights = append(m.Weights, 1)
			}
		}
		m.Cu = append(m.Cu, int32(len(m.IDs)))
		m.Longest = max(m.Longest, prompt+len(r.IDs))
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Adapter != "" }) {
		for _, r := range rows {
			m.Adapters = append(m.Adapters, r.Adapter)
		}
	}
	return m
}
