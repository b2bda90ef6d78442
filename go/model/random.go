package model

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/nn"
)

// Random gives the base values without a checkpoint, so that a step of its shape
// can be timed: ones to vectors, and to matrices normal numbers of deviation
// 0.02, quantised where they are in four bits. A block of such numbers is
// uploaded once. A device that runs operations where they are issued gives each
// element of a matrix one of them with a sign that it draws; others repeat the
// block. planned is as in Load.
func (m *Model) Random(ctx context.Context, dev bindings.Device, planned bindings.Plan) error {
	normal, r := make([]float32, chunk), rand.New(rand.NewPCG(3, 4))
	for i := range normal {
		normal[i] = float32(r.NormFloat64() * 0.02)
	}
	l := newLoading(dev, planned, func(int) error { return ctx.Err() })
	signs, err := newSigns(l, normal)
	if err != nil {
		return err
	}
	for _, p := range m.base {
		l.p, l.draw = p, nil
		l.values = func(dst []float32, first int) error {
			for i := range dst {
				dst[i] = normal[(first+i)%len(normal)]
			}
			return nil
		}
		switch {
		case len(p.Shape) == 1:
			l.values = func(dst []float32, first int) error {
				for i := range dst {
					dst[i] = 1
				}
				return nil
			}
		case signs != nil:
			l.draw = signs.draw
		}
		load := l.dense
		if p.Storage != nn.Dense {
			load = l.encode
		}
		if err := load(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// signs draws on a device: what a dropout of one half leaves over of x, x − D·x,
// is x where an element is dropped and −x where it is kept.
type signs struct {
	run    bindings.Runner
	blocks map[bindings.DType]bindings.Tensor
	seed   bindings.Tensor
	site   uint32 // of the next draw
}

// newSigns uploads the numbers in both types, as many as a quarter of the room
// holds; nil for a device that can not draw, or has no room.
func newSigns(l loading, normal []float32) (*signs, error) {
	run, ok := l.dev.(bindings.Runner)
	n := int(min(int64(len(normal)), l.room.left()/4/6)) / bindings.NF4Block * bindings.NF4Block
	if !ok || n == 0 {
		return nil, nil
	}
	s := &signs{run: run, seed: l.room.Act(bindings.U32, 4), blocks: map[bindings.DType]bindings.Tensor{}}
	for _, t := range []bindings.DType{bindings.F32, bindings.BF16} {
		s.blocks[t] = l.room.Act(t, n)
		if err := Upload(l.dev, s.blocks[t], normal[:n]); err != nil {
			return nil, err
		}
	}
	return s, l.dev.Upload(s.seed, bindings.EncodeInts([]uint32{3, 4, 0, 0}))
}

// draw fills a tensor.
func (s *signs) draw(dst bindings.Tensor) error {
	block := s.blocks[dst.DType]
	return s.run.Run(func(ops bindings.Ops) {
		for at := 0; at < dst.Len(); at += block.Len() {
			n := min(block.Len(), dst.Len()-at)
			dims := []int{1, n}
			if n%bindings.NF4Block == 0 { // rows, for the threads of a CPU
				dims = []int{n / bindings.NF4Block, bindings.NF4Block}
			}
			ops.Dropout(dst.View(at, dims...), bindings.Set, block.View(0, dims...), bindings.Dropout{P: 0.5, Site: s.site, Seed: s.seed}, true)
			s.site++
		}
	})
}
