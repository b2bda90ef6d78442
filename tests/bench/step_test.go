package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/require"
)

// smol is the shape of SmolLM2-135M, small a 10M-class Llama.
const (
	smol  = `{"model_type":"llama","hidden_size":576,"intermediate_size":1536,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,"vocab_size":49152,"rms_norm_eps":1e-5,"rope_theta":100000,"tie_word_embeddings":true,"max_position_embeddings":8192}`
	small = `{"model_type":"llama","hidden_size":256,"intermediate_size":688,"num_hidden_layers":8,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":8192,"rms_norm_eps":1e-5,"tie_word_embeddings":true}`
)

var r16 = lora.Config{R: 16, Alpha: 32, Targets: []string{"all-linear"}}

// BenchmarkStep runs whole optimizer steps with random weights and tokens. What
// four bits cost is the speed of qlora over that of the row before it.
func BenchmarkStep(b *testing.B) {
	var before float64 // tokens/s; 0 where a filter leaves that row out
	for _, c := range []struct {
		name, config string
		rows         int
		how          method.Method
		types        nn.Types
		quant        model.Quantization
	}{
		{"smollm2-135m/lora/bf16", smol, 4, r16, nn.BFloat, model.QuantNone},
		{"smollm2-135m/qlora/bf16", smol, 4, r16, nn.BFloat, model.QuantNF4},
		{"smollm2-135m/lora/f32", smol, 4, r16, nn.Float32, model.QuantNone},
		{"smollm2-135m/full/f32", smol, 4, full.Config{}, nn.Float32, model.QuantNone},
		{"llama-8m/lora/bf16", small, 8, r16, nn.BFloat, model.QuantNone},
		{"llama-8m/lora/f32", small, 8, r16, nn.Float32, model.QuantNone},
		{"llama-8m/full/bf16", small, 8, full.Config{}, nn.BFloat, model.QuantNone},
	} {
		b.Run(fmt.Sprintf("%s/%dx256", c.name, c.rows), func(b *testing.B) {
			speed := step(b, native.CPU(native.Options{}), c.config, c.rows, c.how, c.types, c.quant)
			switch {
			case c.quant != model.QuantNF4:
				before = speed
			case before > 0:
				b.ReportMetric(speed/before, "of-bf16-lora")
			}
		})
	}
}

func step(b *testing.B, backend bindings.Backend, config string, rows int, how method.Method, types nn.Types, quant model.Quantization) (speed float64) {
	parsed, err := model.ParseConfig("config.json", []byte(config))
	require.NoError(b, err)
	m := model.New(parsed)
	require.NoError(b, how.Attach(m, 1))
	base := weights{}
	for _, p := range m.Base() {
		base[p.Name] = p.Shape
	}
	require.NoError(b, m.Quantize(base, quant, true))
	r := rand.New(rand.NewPCG(1, 2))
	var all []data.Row
	for range rows {
		row := data.Row{}
		for range 256 {
			id := int32(r.IntN(parsed.Vocab))
			row.IDs, row.Labels = append(row.IDs, id), append(row.Labels, id)
		}
		all = append(all, row)
	}
	batch := []data.MicroBatch{data.Flatten(all)}
	e, err := train.NewEngine(backend, plan.Job{
		Model: m, Types: types, Profile: backend.Profile(), Hyper: nn.Hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, MaxGradNorm: 1},
		Longest: 256,
		Train:   []nn.Bucket{{Tokens: 256 * rows, Sequences: rows, Targets: 255 * rows}},
	}, 1)
	require.NoError(b, err)
	defer e.Close()
	require.NoError(b, e.Init())
	require.NoError(b, m.Load(b.Context(), e.Device(), e.Planned(), base, nil))
	_, err = e.Step(0, 1e-4, batch)
	require.NoError(b, err)
	for i := 1; b.Loop(); i++ {
		_, err := e.Step(i, 1e-4, batch)
		require.NoError(b, err)
	}
	speed = float64(256*rows*b.N) / b.Elapsed().Seconds()
	b.ReportMetric(speed, "tokens/s")
	b.ReportMetric(float64(e.Planned().Total())/(1<<20), "planned-MiB")
	b.ReportMetric(peak(), "peak-MiB")
	if c, ok := e.Device().(bindings.Compiler); ok {
		seconds, temporary := 0.0, int64(0)
		for _, p := range c.Compiled() {
			seconds, temporary = seconds+p.Seconds, max(temporary, p.Temporary)
		}
		b.ReportMetric(seconds, "compile-s")
		b.ReportMetric(float64(temporary)/(1<<20), "temporary-MiB")
	}
	return speed
}

// weights is a checkpoint of numbers of deviation 0.02, and norms of one.
type weights map[string][]int

func (w weights) Lookup(name string) (safetensors.DType, []int, bool) {
	shape, ok := w[name]
	return safetensors.BF16, shape, ok
}

func (w weights) Names() (all []string) {
	for n := range w {
		all = append(all, n)
	}
	return all
}

func (w weights) ReadAt(name string, dst []byte, offset int64) error {
	r, values := rand.New(rand.NewPCG(uint64(len(name)), uint64(offset))), make([]float32, len(dst)/2)
	for i := range values {
		values[i] = float32(r.NormFloat64()) * 0.02
		if len(w[name]) == 1 {
			values[i] = 1
		}
	}
	safetensors.F32ToBF16(dst, values)
	return nil
}

// peak is the largest resident size of the process so far, in MiB.
func peak() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kib float64
	if _, after, ok := strings.Cut(string(text), "VmHWM:"); ok {
		fmt.Sscan(after, &kib)
	}
	return kib / 1024
}
