package export

import (
	"context"
	"encoding/binary"
	"io"
	"math"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// Random writes a new base into an empty place: config.json as given, further
// files, and weights drawn as transformers initialises a model: normal with
// deviation initializer_range, ones in norms, zeros in biases. t is F32 or
// BF16. The same seed gives the same bytes.
func Random(ctx context.Context, dir string, config []byte, files map[string][]byte, t safetensors.DType, seed uint64) error {
	if t != "F32" && t != "BF16" {
		return failure.Config("a new base is written in F32 or BF16, not %s", t)
	}
	c, err := model.ParseConfig("config.json", config)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for i, p := range model.New(c).Base() {
		tensors = append(tensors, safetensors.Tensor{
			Name: p.Name, DType: t, Shape: p.Shape,
			Stream: func(w io.Writer) error { return draw(ctx, w, p, t, c.InitRange, seed, uint32(i)) },
		})
	}
	return atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		if err := d.WriteFile("config.json", config); err != nil {
			return err
		}
		for name, text := range files {
			if err := d.WriteFile(name, text); err != nil {
				return err
			}
		}
		return hub.WriteSharded(d, tensors, 50_000_000_000)
	})
}

// draw writes the first values of a parameter, four to a Philox counter.
func draw(ctx context.Context, w io.Writer, p *nn.Param, t safetensors.DType, deviation float64, seed uint64, index uint32) error {
	const part = 1 << 16
	key := [2]uint32{uint32(seed), uint32(seed >> 32)}
	for at := 0; at < p.Len(); at += part {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(part, p.Len()-at)
		buffer := make([]byte, 0, 4*n)
		for i := at; i < at+n; i += 4 {
			words := bindings.Philox([4]uint32{uint32(i / 4), uint32(uint64(i/4) >> 32), index, 0x1A170000}, key)
			for j := range min(4, at+n-i) {
				v := float32(normal(words[j], words[(j+1)%4]) * deviation)
				if len(p.Shape) == 1 {
					v = 1
					if isBias(p.Name) {
						v = 0
					}
				}
				if t == "BF16" {
					buffer = binary.LittleEndian.AppendUint16(buffer, bindings.FloatToBF16(v))
				} else {
					buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
				}
			}
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
	}
	return nil
}

func isBias(name string) bool { return len(name) > 5 && name[len(name)-5:] == ".bias" }

// normal is a standard normal number from two random words (Box and Muller).
func normal(a, b uint32) float64 {
	u, v := (float64(a)+0.5)/(1<<32), (float64(b)+0.5)/(1<<32)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
