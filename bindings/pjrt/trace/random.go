package trace

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
)

// drop is x after dropout, in float32. The mask is drawn once when is there: it
// needs no data otherwise, and a compiler would draw all of them first and keep
// them.
func (d *Tracer) drop(x value, p bindings.Dropout, when value) value {
	if p.P == 0 {
		return x
	}
	bits := d.reshape(d.words(x.len(), p.Site, d.after(d.get(p.Seed), when)), x.dims...)
	kept := d.compare("GE", bits, d.num(float64(p.Threshold()), bits))
	return d.choose(kept, d.scale(x, 1/(1-p.P)), d.num(0, x))
}

// words are n random ones of a site.
func (d *Tracer) words(n int, site uint32, seed value) value {
	name := fmt.Sprintf("philox_%d", n)
	if _, ok := d.funcs[name]; !ok {
		d.funcs[name] = philox(name, n)
	}
	at := d.fill(float64(site), "ui32")
	return d.emit("ui32", []int{n}, "func.call @%s(%s, %s) : (%s, %s) -> %s", name, seed.name, at.name, seed.typ(), at.typ(), typ("ui32", []int{n}))
}

// philox is a function that gives n random words: Philox4x32-10 with counters
// (0.., site, seed[2], seed[3]) and the key (seed[0], seed[1]).
func philox(name string, n int) string {
	b := &builder{}
	b.enter("v", "")
	quads := (n + 3) / 4
	seed, site := value{"%seed", "ui32", []int{4}}, value{"%site", "ui32", nil}
	at := func(i int) value { return b.spread(b.at(seed, i), []int{quads}) }
	words := b.philox([4]value{b.iota("ui32", 0, quads), b.spread(site, []int{quads}), at(2), at(3)}, [2]value{at(0), at(1)})
	for i := range words {
		words[i] = b.reshape(words[i], quads, 1)
	}
	out := b.cut(b.reshape(b.concat(1, words[:]...), 4*quads), 0, 0, n)
	return fmt.Sprintf("  func.func private @%s(%%seed: tensor<4xui32>, %%site: tensor<ui32>) -> %s {\n%s    return %s : %s\n  }\n",
		name, out.typ(), b.body.String(), out.name, out.typ())
}

// philox is bindings.Philox on vectors.
func (b *builder) philox(c [4]value, k [2]value) [4]value {
	product := func(x value, m float64) (high, low value) {
		w := b.convert(x, "ui64")
		w = b.scale(w, m)
		return b.convert(b.op("shift_right_logical", w, b.num(32, w)), "ui32"), b.convert(w, "ui32")
	}
	for range 10 {
		ah, al := product(c[0], 0xD2511F53)
		bh, bl := product(c[2], 0xCD9E8D57)
		c = [4]value{b.op("xor", b.op("xor", bh, c[1]), k[0]), bl, b.op("xor", b.op("xor", ah, c[3]), k[1]), al}
		k[0], k[1] = b.add(k[0], b.num(0x9E3779B9, k[0])), b.add(k[1], b.num(0xBB67AE85, k[1]))
	}
	return c
}
