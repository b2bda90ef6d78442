package trace

import "github.com/graftlm/graft/bindings"

// Attention is not fused by XLA: scores exist as tensors. Queries are taken in
// blocks, so that a block looks only at keys that it may see.
const (
	queryBlock  = 256
	queryBlocks = 8        // at most, so that long sequences do not compile for minutes
	bandBlock   = 128      // where queries see only keys nearby
	bandScores  = 32 << 20 // bytes, at most, of the scores of blocks that are taken together
)

// group is n blocks of size queries, from the query from on; the last block may
// go beyond to, the end of the group. Block i looks at the keys [low+i·size,
// low+i·size+span); what lies outside of K is zero and seen by nobody. span is a
// multiple of size where n > 1.
type group struct{ from, to, n, size, low, span int }

// divide takes the queries of an attention apart. Where a window or the length
// of the sequences keeps queries to keys nearby, all blocks have a band of keys
// of one size and are taken together; else each is a group. With a cache every
// key may be seen.
func divide(a bindings.AttentionArgs) (all []group) {
	t, rows := a.Q.Rows(), a.K.Rows()
	ahead := rows - 1 // how many rows before and after a query its keys may be
	if a.Longest > 0 {
		ahead = min(ahead, a.Longest-1)
	}
	back := ahead
	if a.Window > 0 {
		back = min(back, a.Window-1)
	}
	if a.Causal {
		ahead = 0
	}
	before := (back + bandBlock - 1) / bandBlock
	span := (before + 1 + (ahead+bandBlock-1)/bandBlock) * bandBlock
	if !a.Keys.Valid() && 2*span <= t {
		most := bandBlock * max(1, bandScores/(4*a.Heads*bandBlock*span))
		for from := 0; from < t; from += most {
			to := min(from+most, t)
			all = append(all, group{from, to, (to - from + bandBlock - 1) / bandBlock, bandBlock, from - before*bandBlock, span})
		}
		return all
	}
	size := max(queryBlock, (t+queryBlocks-1)/queryBlocks)
	for from := 0; from < t; from += size {
		to, low, high := min(from+size, t), 0, rows
		if !a.Keys.Valid() {
			low, high = max(0, from-back), min(rows, to+ahead)
		}
		all = append(all, group{from, to, 1, to - from, low, high - low})
	}
	return all
}

// heads sees [T, KV·G·m] as [KV, T·G, m].
func (d *Tracer) heads(t bindings.Tensor, a bindings.AttentionArgs) value {
	rows, each, m := t.Rows(), a.Heads/a.KVHeads, t.Cols()/a.Heads
	v := d.transpose(d.reshape(d.get(t), rows, a.KVHeads, each, m), 1, 0, 2, 3)
	return d.reshape(v, a.KVHeads, rows*each, m)
}

// rowsOf are [KV, T·G, m] as rows of a tensor.
func (d *Tracer) rowsOf(v value, a bindings.AttentionArgs) value {
	each := a.Heads / a.KVHeads
	return d.transpose(d.reshape(v, a.KVHeads, v.dims[1]/each, each, v.dims[2]), 1, 0, 2, 3)
}

// take gives the queries of a group, [KV·n, size·G, m], of [KV, T·G, m].
func (d *Tracer) take(v value, each int, g group) value {
	v = d.pad(d.cut(v, 1, g.from*each, g.to*each), 1, 0, (g.n*g.size-(g.to-g.from))*each, 0)
	return d.reshape(v, v.dims[0]*g.n, g.size*each, v.dims[2])
}

// give is the reverse: [KV, T·G, m] of those rows.
func (d *Tracer) give(v value, each int, g group) value {
	v = d.reshape(v, v.dims[0]/g.n, g.n*g.size*each, v.dims[2])
	return d.cut(v, 1, 0, (g.to-g.from)*each)
}

// keys are rows of keys or values, or of their prefix: [KV, rows, D].
func (d *Tracer) keys(t bindings.Tensor, a bindings.AttentionArgs) value {
	if !t.Valid() {
		return value{}
	}
	return d.transpose(d.reshape(d.get(t), t.Rows(), a.KVHeads, a.Dim), 1, 0, 2)
}

// band is what the blocks of a group look at: the prefix (its name may be
// empty), then their keys. [KV·n, P+span, D]
func (d *Tracer) band(k, prefix value, g group) value {
	kv, rows, dim := k.dims[0], k.dims[1], k.dims[2]
	high := g.low + (g.n-1)*g.size + g.span
	v := d.pad(d.cut(k, 1, max(0, g.low), min(rows, high)), 1, max(0, -g.low), max(0, high-rows), 0)
	if g.n > 1 {
		m := g.span / g.size
		v = d.reshape(v, kv, g.n+m-1, g.size*dim)
		var parts []value
		for c := range m {
			parts = append(parts, d.cut(v, 1, c, c+g.n))
		}
		v = d.reshape(d.concat(2, parts...), kv*g.n, g.span, dim)
	}
	if prefix.name == "" {
		return v
	}
	p := prefix.dims[1]
	each := d.reshape(d.spread(prefix, []int{kv, g.n, p, dim}, 0, 2, 3), kv*g.n, p, dim)
	return d.concat(1, each, v)
}

// unband adds the gradient of a band up: that of the prefix, and of all keys.
func (d *Tracer) unband(v value, p, rows int, g group) (prefix, k value) {
	kv, dim := v.dims[0]/g.n, v.dims[2]
	if p > 0 {
		prefix = d.sum(d.reshape(d.cut(v, 1, 0, p), kv, g.n, p, dim), 1)
	}
	k = d.cut(v, 1, p, p+g.span)
	if g.n > 1 {
		m := g.span / g.size
		parts := d.reshape(k, kv, g.n, g.span*dim)
		for c := range m {
			part := d.pad(d.cut(parts, 2, c*g.size*dim, (c+1)*g.size*dim), 1, c, m-1-c, 0)
			if c > 0 {
				part = d.add(k, part)
			}
			k = part
		}
		k = d.reshape(k, kv, (g.n+m-1)*g.size, dim)
	}
	low, high := g.low, g.low+k.dims[1]
	k = d.cut(k, 1, max(0, -low), min(high, rows)-low)
	return prefix, d.pad(k, 1, max(0, low), max(0, rows-high), 0)
}
