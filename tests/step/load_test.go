package step

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/bindings/quant"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/safetensors"
)

// uneven has matrices of 64 to 323 rows, one with 1615 blocks of four bits: no
// whole number of nested blocks, nor of parts in the rooms of the test.
const uneven = `{"model_type": "llama", "hidden_size": 64, "intermediate_size": 320, "num_hidden_layers": 1, "num_attention_heads": 4,
	"num_key_value_heads": 2, "vocab_size": 77, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true}`

// checkpoint is random tensors of one type, in memory: normal numbers, and
// beside them zeros, whole blocks of them, denormals and large ones.
type checkpoint struct {
	dtype  safetensors.DType
	shapes map[string][]int
}

func (c checkpoint) Names() (all []string) {
	for name := range c.shapes {
		all = append(all, name)
	}
	return all
}

func (c checkpoint) Lookup(name string) (safetensors.DType, []int, bool) {
	shape, ok := c.shapes[name]
	return c.dtype, shape, ok
}

func (c checkpoint) ReadAt(name string, dst []byte, offset int64) error {
	size := int64(c.dtype.Size())
	for i := range int64(len(dst)) / size {
		e := offset/size + i
		r := rand.New(rand.NewPCG(uint64(len(name)), uint64(e)))
		v := float32(r.NormFloat64() * 0.1)
		switch {
		case e/bindings.NF4Block%7 == 3 || e%11 == 0:
			v = 0
		case e/bindings.NF4Block%13 == 5:
			v *= 1e-6
		case e%501 == 17:
			v *= 100
		}
		switch c.dtype {
		case "F32":
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		case "BF16":
			binary.LittleEndian.PutUint16(dst[2*i:], bindings.FloatToBF16(v))
		case "F16": // sign, seven bits of the mantissa, and an exponent that is always one of 16 bits'
			bits := math.Float32bits(v)
			exponent := uint32(min(max(int(bits>>23&0xff)-127+15, 0), 30))
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(bits>>16&0x8000|exponent<<10|bits>>16&0x7f<<3))
		}
	}
	return nil
}

// loadsAsTheHost: a device that quantises while a base is read has the codes and
// scales of package quant, which is bit-equal to bitsandbytes, whatever room its
// activations leave: for all of a matrix, for parts of it, for none.
func loadsAsTheHost(t *testing.T, b bindings.Backend) {
	for _, dtype := range []safetensors.DType{"F32", "BF16", "F16"} {
		for _, double := range []bool{true, false} {
			for _, room := range []int64{1 << 20, 200 << 10, 1 << 10} {
				c, err := model.ParseConfig("config.json", []byte(uneven))
				require.NoError(t, err)
				m, s := model.New(c), checkpoint{dtype, map[string][]int{}}
				for _, p := range m.Base() {
					s.shapes[p.Name] = p.Shape
				}
				require.NoError(t, m.Quantize(s, model.QuantNF4, double))
				mem := bindings.NewMemory()
				m.Params.Layout(mem, nn.BFloat, false)
				planned := mem.Peak()
				planned[bindings.Activations] = room
				dev, err := b.Open(planned)
				require.NoError(t, err)
				_, runs := dev.(bindings.Runner)
				require.True(t, runs, "this device quantises on the host")
				require.NoError(t, m.Load(t.Context(), dev, planned, s, nil))
				download := func(x bindings.Tensor) []byte { return bytesOf(t, dev, x) }
				for _, l := range m.Linears() {
					w := l.W
					read, err := model.Values(s, w.Name)
					require.NoError(t, err)
					values := make([]float32, w.Len())
					require.NoError(t, read(values, 0))
					codes, absmax := make([]byte, w.Len()/2), make([]float32, w.Len()/bindings.NF4Block)
					quant.Encode(codes, absmax, values)
					require.Equal(t, codes, download(w.Value), "%s of %s, room %d", w.Name, dtype, room)
					if !double {
						require.Equal(t, bindings.Encode(bindings.F32, absmax), download(w.Absmax), w.Name)
						continue
					}
					scales, nested, offset := quant.Double(absmax)
					require.Equal(t, scales, download(w.Absmax), w.Name)
					require.Equal(t, bindings.Encode(bindings.F32, nested), download(w.Nested), w.Name)
					require.Equal(t, bindings.Encode(bindings.F32, []float32{offset}), download(w.Offset), w.Name)
				}
				norm := download(m.Decoder.Norm.W.Value)
				read, err := model.Values(s, "model.norm.weight")
				require.NoError(t, err)
				values := make([]float32, c.Hidden)
				require.NoError(t, read(values, 0))
				assert.Equal(t, bindings.Encode(bindings.BF16, values), norm)
				require.NoError(t, dev.Close())
			}
		}
	}
}

// bytesOf are those of a tensor on a device.
func bytesOf(t *testing.T, dev bindings.Device, x bindings.Tensor) []byte {
	t.Helper()
	raw := make([]byte, x.Bytes())
	require.NoError(t, dev.Download(raw, x))
	return raw
}

func TestLoad(t *testing.T) { loadsAsTheHost(t, native.CPU(native.Options{Threads: 2})) }

// randomIsRandom: the base that a benchmark invents is finite and of the
// deviation that is said, in all storages and with any room; two matrices that
// come from one block differ where the device has the room to draw signs.
func randomIsRandom(t *testing.T, b bindings.Backend) {
	for _, storage := range []nn.Storage{nn.Dense, nn.NF4, nn.NF4Double} {
		for _, room := range []int64{1 << 20, 200 << 10, 0} {
			c, err := model.ParseConfig("config.json", []byte(uneven))
			require.NoError(t, err)
			m := model.New(c)
			for _, l := range m.Linears() {
				l.W.Storage = storage
			}
			mem := bindings.NewMemory()
			m.Params.Layout(mem, nn.BFloat, false)
			planned := mem.Peak()
			planned[bindings.Activations] = room
			dev, err := b.Open(planned)
			require.NoError(t, err)
			require.NoError(t, m.Random(t.Context(), dev, planned))
			download := func(x bindings.Tensor) []byte { return bytesOf(t, dev, x) }
			decoded := func(p *nn.Param) []float32 {
				w, values := quant.NF4{Codes: download(p.Value)}, make([]float32, p.Len())
				switch storage {
				case nn.Dense:
					return bindings.Decode(bindings.BF16, w.Codes)
				case nn.NF4:
					w.Absmax = bindings.Decode(bindings.F32, download(p.Absmax))
				case nn.NF4Double:
					w.AbsmaxCodes, w.Nested = download(p.Absmax), bindings.Decode(bindings.F32, download(p.Nested))
					w.Offset = bindings.Decode(bindings.F32, download(p.Offset))[0]
				}
				for i := range values {
					values[i] = w.At(i)
				}
				return values
			}
			for _, l := range m.Linears() {
				sum, squares := 0.0, 0.0
				for _, v := range decoded(l.W) {
					sum, squares = sum+float64(v), squares+float64(v)*float64(v)
				}
				// Of n numbers the mean is off by σ/√n, the square by σ²·√(2/n): five of
				// those, of a block of 8512, the smallest here. Four bits move neither by a tenth.
				n := float64(l.W.Len())
				assert.InDelta(t, 0, sum/n/0.02, 5/math.Sqrt(8512)+0.01, l.Name)
				assert.InDelta(t, 1, squares/n/0.0004, 5*math.Sqrt(2./8512)+0.1, l.Name)
			}
			gate, up := decoded(m.Decoder.Blocks[0].MLP.Gate.W), decoded(m.Decoder.Blocks[0].MLP.Up.W)
			if room == 0 {
				assert.Equal(t, gate, up)
			} else {
				alike, n := 0.0, 0.0
				for i := range gate {
					switch product := gate[i] * up[i]; {
					case product > 0:
						alike, n = alike+1, n+1
					case product < 0:
						n++
					}
				}
				assert.InDelta(t, 0.5, alike/n, 2.5/math.Sqrt(n))
			}
			assert.Equal(t, bindings.Decode(bindings.BF16, download(m.Decoder.Norm.W.Value))[:2], []float32{1, 1})
			require.NoError(t, dev.Close())
		}
	}
}

func TestRandom(t *testing.T) { randomIsRandom(t, native.CPU(native.Options{Threads: 2})) }
