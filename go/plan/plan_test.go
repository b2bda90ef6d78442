package plan_test

import (
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/full"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const llama7B = `{"model_type":"llama","hidden_size":4096,"intermediate_size":11008,"num_hidden_layers":32,
 "num_attention_heads":32,"vocab_size":32000,"max_position_embeddings":4096,"rms_norm_eps":1e-5}`

func job(t *testing.T, config string, m method.Method, types nn.Types, buckets ...nn.Bucket) plan.Job {
	c, err := model.ParseConfig("config.json", []byte(config))
	require.NoError(t, err)
	md := model.New(c)
	require.NoError(t, m.Attach(md, 1))
	return plan.Job{Model: md, Types: types, Profile: bindings.CPUProfile(2), Train: buckets, Eval: buckets, Hyper: nn.Hyper{MaxGradNorm: 1}}
}

// The published arithmetic for LLaMA-7B: 26.95 GB of float32 weights, 53.9 GB
// of moments, and 8,388,608 parameters, 33.6 MB, for LoRA r=16 on q and v.
func TestPublishedArithmetic(t *testing.T) {
	bucket := nn.Bucket{Tokens: 128, Sequences: 2, Targets: 64}
	p, err := job(t, llama7B, full.Config{}, nn.Float32, bucket).Count()
	require.NoError(t, err)
	assert.EqualValues(t, 4*6_738_415_616, p.Parts.Parameters)
	assert.EqualValues(t, 4*6_738_415_616, p.Parts.Gradients)
	assert.EqualValues(t, 8*6_738_415_616, p.Parts.Optimizer)

	l := lora.Config{R: 16, Alpha: 16, Targets: []string{"q_proj", "v_proj"}}
	p, err = job(t, llama7B, l, nn.BFloat, bucket).Count()
	require.NoError(t, err)
	assert.EqualValues(t, 4*8_388_608, p.Parts.Parameters)
	assert.InDelta(t, 2*6_738_415_616, p.Parts.Weights, 256*300)
}

// Every part of the bytes has a name.
func TestPartsAddUp(t *testing.T) {
	l := lora.Config{R: 16, Alpha: 16, Targets: []string{"all-linear"}}
	p, err := job(t, llama7B, l, nn.BFloat, nn.Bucket{Tokens: 256, Sequences: 1, Targets: 256}).Count()
	require.NoError(t, err)
	x := p.Parts
	assert.Equal(t, p.Bytes.Total(), x.Weights+x.Parameters+x.Gradients+x.Optimizer+x.Activations+x.Logits+x.Staging+x.Workspace+x.Other)
	assert.Less(t, x.Other, int64(4096))
}

// Recomputation keeps only the inputs of blocks.
func TestRecomputationNeedsLess(t *testing.T) {
	bucket := nn.Bucket{Tokens: 1024, Sequences: 1, Targets: 1024}
	j := job(t, llama7B, lora.Config{R: 8, Alpha: 8, Targets: []string{"all-linear"}}, nn.BFloat, bucket)
	kept, err := j.Count()
	require.NoError(t, err)
	require.NoError(t, j.Checkpoint(plan.RunAll, 0))
	again, err := j.Count()
	require.NoError(t, err)
	assert.Less(t, again.Parts.Activations, kept.Parts.Activations/4)
	assert.Greater(t, again.FLOPs, 1.3*kept.FLOPs)
}

// What is trained decides what the programs do: fewer targets keep less, and
// the backward pass stops at the lowest layer that trains.
func TestBackwardStopsEarly(t *testing.T) {
	bucket := nn.Bucket{Tokens: 512, Sequences: 1, Targets: 512}
	all, err := job(t, llama7B, lora.Config{R: 8, Alpha: 8, Targets: []string{"q_proj"}}, nn.BFloat, bucket).Count()
	require.NoError(t, err)
	top, err := job(t, llama7B, lora.Config{R: 8, Alpha: 8, Targets: []string{"q_proj"}, Layers: []int{31}}, nn.BFloat, bucket).Count()
	require.NoError(t, err)
	assert.Less(t, top.FLOPs, 0.56*all.FLOPs)
	assert.Less(t, top.Parts.Activations, all.Parts.Activations/4)
}

// The chunk of logits is a part of its own where the peak is in the loss, and
// none where they take the place of other activations.
func TestLogitsAreAPart(t *testing.T) {
	bucket := nn.Bucket{Tokens: 256, Sequences: 1, Targets: 256}
	l := lora.Config{R: 16, Alpha: 16, Targets: []string{"all-linear"}}
	p, err := job(t, llama7B, l, nn.BFloat, bucket).Count()
	require.NoError(t, err)
	assert.EqualValues(t, bindings.CPUProfile(2).CrossEntropyScratch(256, bindings.Weight{In: 4096, Out: 32000}), p.Parts.Logits)
	p, err = job(t, strings.Replace(llama7B, `"vocab_size":32000`, `"vocab_size":32`, 1), l, nn.BFloat, bucket).Count()
	require.NoError(t, err)
	assert.Zero(t, p.Parts.Logits)
	assert.Equal(t, p.Bytes[bindings.Activations], p.Parts.Activations)
}
