package export

import (
	"context"
	"io"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/bnb"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/safetensors"
)

// maxShard is the largest weight file that is written, in bytes.
const maxShard = 5_000_000_000

// torchNames are the element types as torch and transformers call them.
var torchNames = map[safetensors.DType]string{"F32": "float32", "BF16": "bfloat16", "F16": "float16"}

// Quantize writes a base with the matrices of its linear layers in NF4, as
// bitsandbytes lays them out, into a new directory that transformers loads.
// Everything else is copied byte for byte, but for quantization_config in
// config.json. double quantises the scales in turn. No matrix exists whole.
func Quantize(ctx context.Context, on *Arithmetic, base *hub.Model, m *model.Model, double bool, dir string, tell Progress) error {
	for _, l := range m.Linears() {
		if l.In()%bindings.NF4Block != 0 {
			return failure.Data("%s has %d inputs; nf4 needs a multiple of %d", l.Name, l.In(), bindings.NF4Block)
		}
	}
	linear := linearNames(m)
	var tensors []safetensors.Tensor
	compute := ""
	for _, info := range base.Tensors() {
		if !linear[info.Name] {
			tensors = append(tensors, verbatim(ctx, base, info))
			continue
		}
		if compute = torchNames[info.DType]; compute == "" {
			return failure.Data("%s has type %s, want F32, BF16 or F16: the base is quantised already?", info.Name, info.DType)
		}
		read, err := model.Values(base, info.Name)
		if err != nil {
			return err
		}
		matrix := bnb.Matrix{Name: info.Name, Shape: info.Shape, DType: compute, Encode: on.encoder(), Read: func(dst []float32, first int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return read(dst, first)
		}}
		parts, err := matrix.Tensors(double)
		if err != nil {
			return err
		}
		tensors = append(tensors, parts...)
	}
	return write(base, tensors, dir, tell, func(c *hub.Object) error {
		return c.Set(bnb.ConfigKey, bnb.Config(double, compute))
	})
}

// verbatim is a tensor of the base as it is.
func verbatim(ctx context.Context, base *hub.Model, info safetensors.Info) safetensors.Tensor {
	return safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Stream: func(to io.Writer) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, from, err := base.Tensor(info.Name)
		if err == nil {
			_, err = io.Copy(to, from)
		}
		return err
	}}
}

// write makes a model directory of tensors and the base's other files, with a
// config.json that change has been at; change may be nil.
func write(base Base, tensors []safetensors.Tensor, dir string, tell Progress, change func(*hub.Object) error) error {
	tensors, err := tell.of(tensors)
	if err != nil {
		return err
	}
	return atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		if err := base.Copy(d, "config.json"); err != nil {
			return err
		}
		c, err := hub.ParseObject(base.ConfigJSON())
		if err != nil {
			return failure.As(failure.ErrData, err)
		}
		if change != nil {
			if err := change(c); err != nil {
				return err
			}
		}
		if err := d.WriteFile("config.json", c.Bytes()); err != nil {
			return err
		}
		return hub.WriteSharded(d, tensors, maxShard)
	})
}
