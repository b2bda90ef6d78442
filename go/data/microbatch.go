package data

// Masked is the label of a token that is not trained.
const Masked = -100

// Row is one tokenised document. Labels[i] is IDs[i] or Masked; the first
// token is never a target, whatever its label.
type Row struct {
	IDs    []int32
	Labels []int32
	Source string
	Line   int
}

// MicroBatch is a flat list of tokens. Sequence s is the range
// Cu[s]..Cu[s+1] of IDs and Positions. Only tokens whose successor in the same
// sequence is trained appear in Rows, with the successor's id in Targets.
type MicroBatch struct {
	IDs, Positions, Cu, Rows, Targets []int32
	Weights                           []float32
	Tokens                            int // real ones: what fills a bucket does not count
}

// Flatten lays documents one after another.
func Flatten(rows []Row) MicroBatch {
	m := MicroBatch{Cu: []int32{0}}
	for _, r := range rows {
		start := int32(len(m.IDs))
		for i, id := range r.IDs {
			m.IDs = append(m.IDs, id)
			m.Positions = append(m.Positions, int32(i))
			if i > 0 && r.Labels[i] != Masked {
				m.Rows = append(m.Rows, start+int32(i)-1)
				m.Targets = append(m.Targets, r.Labels[i])
				m.Weights = append(m.Weights, 1)
			}
		}
		m.Cu = append(m.Cu, int32(len(m.IDs)))
	}
	m.Tokens = len(m.IDs)
	return m
}
