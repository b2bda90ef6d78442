package bnb

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

func TestSchemesAreRefusedByName(t *testing.T) {
	for raw, want := range map[string]string{
		`{"quant_method":"gptq","bits":4}`:                                                `quant_method is "gptq"`,
		`{"quant_method":"awq"}`:                                                          `quant_method is "awq"`,
		`{"quant_method":"bitsandbytes","load_in_8bit":true}`:                             `load_in_8bit is set`,
		`{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"fp4"}`: `bnb_4bit_quant_type is "fp4"`,
		`{"quant_method":"bitsandbytes","load_in_4bit":true}`:                             `bnb_4bit_quant_type is "fp4"`,
		`{"quant_method":"bitsandbytes"}`:                                                 `load_in_4bit is not set`,
		`[]`:                                                                              `quantization_config`,
	} {
		assert.ErrorContains(t, CheckConfig(json.RawMessage(raw)), want)
	}
	for _, raw := range []string{"", "null", `{"load_in_4bit":true,"bnb_4bit_quant_type":"nf4"}`} {
		assert.NoError(t, CheckConfig(json.RawMessage(raw)))
	}
	ours, err := json.Marshal(Config(true, "bfloat16"))
	require.NoError(t, err)
	assert.NoError(t, CheckConfig(ours))
}

// memory is a checkpoint of tensors in memory.
type memory map[string]safetensors.Tensor

func (m memory) Lookup(name string) (safetensors.DType, []int, bool) {
	t, ok := m[name]
	return t.DType, t.Shape, ok
}

func (m memory) ReadAt(name string, dst []byte, offset int64) error {
	copy(dst, m[name].Data[offset:])
	return nil
}

// checkpoint has one matrix W of [6, 128] in four bits.
func checkpoint(t *testing.T, double bool) (memory, []float32) {
	t.Helper()
	values := make([]float32, 6*128)
	for i := range values {
		values[i] = float32(math.Sin(float64(i*i))) * (1 + float32(i/64)/100)
	}
	read := func(dst []float32, first int) error { copy(dst, values[first:]); return nil }
	parts, err := Matrix{Name: "W", Shape: []int{6, 128}, DType: "float32", Read: read}.Tensors(double)
	require.NoError(t, err)
	m := memory{}
	for _, p := range parts {
		if p.Data == nil {
			var b bytes.Buffer
			require.NoError(t, p.Stream(&b))
			p.Data = b.Bytes()
		}
		m[p.Name] = p
	}
	return m, values
}

func TestWrittenIsRead(t *testing.T) {
	for _, double := range []bool{true, false} {
		m, values := checkpoint(t, double)
		q, err := Find(m, "W")
		require.NoError(t, err)
		require.NotNil(t, q)
		assert.Equal(t, []int{6, 128}, q.Shape)
		assert.Equal(t, "float32", q.DType)
		assert.Equal(t, double, q.Double)
		assert.Len(t, q.Parts(), len(m))
		read, err := q.Values()
		require.NoError(t, err)
		got := make([]float32, len(values))
		require.NoError(t, read(got[:128], 0))
		require.NoError(t, read(got[128:], 128))
		for i, v := range values { // a code is off by half of the widest gap, 0.152 of a scale of 1.11 at most
			assert.InDelta(t, v, got[i], 0.17)
		}
	}
	q, err := Find(memory{"W": {}}, "W")
	assert.Nil(t, q)
	assert.NoError(t, err)
}

// TestHostile damages one part at a time: each is an error of kind Data that
// names the tensor, and nothing panics.
func TestHostile(t *testing.T) {
	state := func(from, to string) func(memory) {
		return func(m memory) {
			p := m["W"+statePart]
			text := bytes.Replace(p.Data, []byte(from), []byte(to), 1)
			if bytes.Equal(text, p.Data) {
				panic(from + " is not in the state")
			}
			p.Data, p.Shape = text, []int{len(text)}
			m["W"+statePart] = p
		}
	}
	shape := func(end string, shape ...int) func(memory) {
		return func(m memory) { p := m["W"+end]; p.Shape = shape; m["W"+end] = p }
	}
	float := func(end string, v float32) func(memory) {
		return func(m memory) {
			p := m["W"+end]
			p.Data = slices.Clone(p.Data)
			binary.LittleEndian.PutUint32(p.Data, math.Float32bits(v))
			m["W"+end] = p
		}
	}
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		plain  bool
		damage func(memory)
		want   string
	}{
		"another type":           {false, state(`"nf4"`, `"nf5"`), "quant_type"},
		"block size":             {false, state(`"blocksize": 64`, `"blocksize": 128`), "blocksize is 128"},
		"block size of nothing":  {false, state(`"blocksize": 64`, `"blocksize": 0`), "blocksize is 0"},
		"no matrix":              {false, state(`[6, 128]`, `[768]`), "shape is [768]"},
		"negative shape":         {false, state(`[6, 128]`, `[-6, -128]`), "shape is [-6 -128]"},
		"shape that overflows":   {false, state(`[6, 128]`, `[4294967296, 4294967296]`), "shape is"},
		"rows of half a block":   {false, state(`[6, 128]`, `[24, 32]`), "whole blocks"},
		"shape of another":       {false, state(`[6, 128]`, `[12, 128]`), "is 768 bytes"},
		"nested block size":      {false, state(`"nested_blocksize": 256`, `"nested_blocksize": 64`), "nested_blocksize is 64"},
		"nested type":            {false, state(`"nested_dtype": "float32"`, `"nested_dtype": "bfloat16"`), "nested_dtype"},
		"offset that is too big": {false, state(`"nested_offset": `, `"nested_offset": 1e300, "x": `), "nested_offset"},
		"not JSON":               {false, state(`{`, `[`), statePart},
		"state of no length":     {false, shape(statePart, 0), "shape [0]"},
		"endless state":          {false, shape(statePart, 1<<40), "at most 4096"},
		"codes that end early":   {false, shape("", 383, 1), "is 384 bytes"},
		"fewer scales":           {false, shape(absmaxPart, 11), "want U8 [12]"},
		"fewer nested scales":    {false, shape(nestedPart, 0), "want F32 [1]"},
		"no nested map":          {false, func(m memory) { delete(m, "W"+nestedMapPart) }, "nested_quant_map is missing"},
		"no scales":              {true, func(m memory) { delete(m, "W"+absmaxPart) }, "absmax is missing"},
		"no codes":               {true, func(m memory) { delete(m, "W") }, "four bits"},
		"another map":            {false, float(mapPart, -0.5), "value 0 is -0.5"},
		"another nested map":     {false, float(nestedMapPart, -1), "value 0 is -1"},
		"undefined nested scale": {false, float(nestedPart, nan), "nested_absmax: element 0 is NaN"},
		"undefined scale":        {true, float(absmaxPart, nan), "absmax: element 0 is NaN"},
		"fp4": {true, func(m memory) {
			m["W"+fp4Part] = m["W"+statePart]
			delete(m, "W"+statePart)
		}, "fp4"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := checkpoint(t, !c.plain)
			c.damage(m)
			q, err := Find(m, "W")
			if err == nil {
				_, err = q.Scales()
			}
			require.ErrorIs(t, err, failure.ErrData)
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "W")
		})
	}
}
