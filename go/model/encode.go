package model

import (
	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/nn"
)

// room is what of a device is idle while weights are loaded: the arena of
// activations, whose size was planned for the programs that run later.
type room struct {
	*bindings.Memory
	bytes int64
}

func newRoom(planned bindings.Plan) room {
	return room{bindings.NewBoundedMemory(planned), planned[bindings.Activations]}
}

func (r room) left() int64 { return r.bytes - r.InUse(bindings.Activations) }

// leastBlocks is the smallest part of a matrix that is worth a launch.
const leastBlocks = 256

// encode loads a matrix in four bits from values that are in more. A device
// that runs operations where they are issued quantises them itself, in its idle
// room; others, and those without enough of it, get what the host quantised.
// The bits are the same.
func (l loading) encode() error {
	mark := l.room.Mark()
	defer l.room.Release(mark)
	run, ok := l.dev.(bindings.Runner)
	absmax, x := l.scratch()
	if !ok || !x.Valid() {
		return l.encodeOnHost()
	}
	for at, n := 0, l.p.Len(); at < n; {
		blocks := min(x.Rows(), (n-at)/bindings.NF4Block)
		part := x.RowRange(0, blocks)
		if err := l.put(part, at); err != nil {
			return err
		}
		codes, scales := l.p.Value.View(at/2, blocks, bindings.NF4Block/2), absmax.View(at/bindings.NF4Block, blocks)
		if err := run.Run(func(ops bindings.Ops) { ops.NF4Quantize(codes, scales, part) }); err != nil {
			return err
		}
		at += part.Len()
	}
	if l.p.Storage == nn.NF4 {
		return nil
	}
	scales, err := Download(l.dev, absmax)
	if err != nil {
		return err
	}
	return l.doubled(scales)
}

// scratch is where the scales of the matrix go, which is their place if they
// stay as they are, and a part of its values; x is absent without room for both.
func (l loading) scratch() (absmax, x bindings.Tensor) {
	absmax = l.p.Absmax
	blocks := l.p.Len() / bindings.NF4Block
	if l.p.Storage == nn.NF4Double {
		if bindings.Padded(4*int64(blocks)) > l.room.left() {
			return absmax, x
		}
		absmax = l.room.Act(bindings.F32, blocks)
	}
	rows := min(int64(blocks), chunk/bindings.NF4Block, l.room.left()/(4*bindings.NF4Block))
	if rows >= min(int64(blocks), leastBlocks) {
		x = l.room.Act(bindings.F32, int(rows), bindings.NF4Block)
	}
	return absmax, x
}

func (l loading) encodeOnHost() error {
	at := 0
	absmax, err := bnb.Matrix{Name: l.p.Name, Shape: l.p.Shape, Read: l.read}.Quantize(func(codes []byte) error {
		part := l.p.Value.View(at, len(codes))
		at += len(codes)
		return l.dev.Upload(part, codes)
	})
	switch {
	case err != nil:
		return err
	case l.p.Storage == nn.NF4:
		return Upload(l.dev, l.p.Absmax, absmax)
	}
	return l.doubled(absmax)
}

// doubled loads scales that are quantised in turn.
func (l loading) doubled(absmax []float32) error {
	var w quant.NF4
	w.AbsmaxCodes, w.Nested, w.Offset = quant.Double(absmax)
	return l.scales(w)
}
