package count

import "github.com/graftlm/graft/bindings"

// Attention takes 4·Heads·Dim operations for each query and key that it sees:
// one product for the scores, one with the values. Boundaries are not known
// here, so the pairs are those of a single sequence: an upper bound, exact for
// packed rows without documents of their own.
func (d *Device) Attention(o, lse bindings.Tensor, a bindings.AttentionArgs) {
	c := d.call("attention")
	t := c.attention(a, a.Keys)
	c.writes("o", o, of(t), a.Q.Rows(), a.Heads*a.Dim)
	c.writes("lse", lse, stat(t), a.Q.Rows(), a.Heads)
	c.uses(a.Scratch)
	c.done(4 * float64(a.Heads*a.Dim) * pairs(a))
}

// AttentionBackward takes 10·Heads·Dim: the scores again, dv, dp, dq and dk.
func (d *Device) AttentionBackward(g bindings.AttentionGrads, do, o, lse bindings.Tensor, a bindings.AttentionArgs) {
	c := d.call("attention_backward")
	t := c.attention(a, bindings.Tensor{})
	if a.Keys.Valid() {
		c.fail("there is no backward pass with a cache")
	}
	rows, q, kv := a.Q.Rows(), a.Heads*a.Dim, a.KVHeads*a.Dim
	c.reads("do", do, of(t), rows, q)
	c.reads("o", o, of(t), rows, q)
	c.reads("lse", lse, stat(t), rows, a.Heads)
	c.writes("dq", g.DQ, of(t), rows, q)
	c.writes("dk", g.DK, of(t), rows, kv)
	c.writes("dv", g.DV, of(t), rows, kv)
	c.mayAdd("dpk", g.DPK, stat(t), a.PrefixK.Rows(), kv)
	c.mayAdd("dpv", g.DPV, stat(t), a.PrefixV.Rows(), kv)
	if g.DPK.Valid() != g.DPV.Valid() || g.DPK.Valid() && !a.PrefixK.Valid() {
		c.fail("the gradients of the prefix are given together, and with a prefix")
	}
	c.uses(a.Scratch)
	c.done(10 * float64(a.Heads*a.Dim) * pairs(a))
}

func (c *call) attention(a bindings.AttentionArgs, keys bindings.Tensor) bindings.DType {
	t, rows, kv := a.Q.DType, a.Q.Rows(), a.KVHeads*a.Dim
	if a.Heads < 1 || a.KVHeads < 1 || a.Dim < 1 || a.Heads%a.KVHeads != 0 {
		c.fail("%d heads, %d key heads of %d elements", a.Heads, a.KVHeads, a.Dim)
	}
	c.reads("q", a.Q, floats, rows, a.Heads*a.Dim)
	keyRows := rows
	if keys.Valid() {
		keyRows = a.K.Rows()
	}
	c.reads("k", a.K, of(t), keyRows, kv)
	c.reads("v", a.V, of(t), keyRows, kv)
	c.mayRead("prefix k", a.PrefixK, of(t), -1, kv)
	c.mayRead("prefix v", a.PrefixV, of(t), a.PrefixK.Rows(), kv)
	if a.PrefixK.Valid() != a.PrefixV.Valid() {
		c.fail("the keys and values of a prefix are given together")
	}
	c.reads("cu", a.Cu, ints, -1)
	if a.Cu.Rows() < 1 {
		c.fail("cu is empty, want n+1 boundaries of n sequences")
	}
	c.mayRead("keys", keys, ints, a.Cu.Rows()-1, 2)
	return t
}

// pairs is the number of queries times the keys that each sees, if all rows
// were one sequence.
func pairs(a bindings.AttentionArgs) (n float64) {
	queries, keys := a.Q.Rows(), a.K.Rows()
	for i := range queries {
		last := keys - 1
		if a.Causal {
			last = max(keys-queries, 0) + i
		}
		seen := last + 1
		if a.Window > 0 {
			first := max(keys-queries, 0) + i - a.Window + 1
			seen = last - max(first, 0) + 1
		}
		n += float64(min(seen, keys))
	}
	if a.PrefixK.Valid() {
		n += float64(queries) * float64(a.PrefixK.Rows())
	}
	return n
}
