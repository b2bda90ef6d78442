package quant

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

//go:embed testdata/nf4.bin
var golden []byte

//go:embed testdata/nf4.json
var larger []byte

// TestDecode holds every decoded value, and the maps, to bitsandbytes, bit for
// bit.
func TestDecode(t *testing.T) {
	rest := golden
	take := func(n int) []byte {
		b := rest[:n]
		rest = rest[n:]
		return b
	}
	floats := func(n int) []float32 { return bindings.Decode(bindings.F32, take(4*n)) }
	codes := take(9600)
	double := NF4{Codes: codes, AbsmaxCodes: take(300), Nested: floats(2)}
	double.Offset = floats(1)[0]
	plain := NF4{Codes: codes, Absmax: floats(300)}

	codesSum := sha256.Sum256(codes)
	require.Equal(t, "d3f2982910eb4865", hex.EncodeToString(codesSum[:8]), "the fixture is the published vector")
	require.Equal(t, floats(256), Signed[:])
	require.Equal(t, floats(256), Unsigned[:])
	for name, w := range map[string]NF4{"doubly quantised": double, "plain": plain} {
		values, blocks := make([]float32, 19200), make([]float32, 19200)
		for e := range values {
			values[e] = w.At(e)
		}
		Decode(blocks, w.Codes, w.Scales())
		require.Equal(t, values, blocks, name)
		want := rest[:32]
		if name == "plain" {
			want = rest[32:]
		}
		got := sha256.Sum256(bindings.Encode(bindings.F32, values))
		require.Equal(t, want, got[:], name)
	}
}

// hashed and ties are the matrices of testdata/nf4.py.
func hashed(blocks, spread int) []float32 {
	x := make([]float32, bindings.NF4Block*blocks)
	for i := range x {
		h := uint32(i) * 2654435761
		h ^= h >> 15
		h *= 2246822519
		h ^= h >> 13
		scale := float32(i/64*7919%spread+1) * (1.0 / 64)
		x[i] = float32(int32(h>>8)-1<<23) * 0x1p-23 * scale
	}
	return x
}

func ties() (x []float32) {
	row := make([]float32, 64)
	copy(row, between[:])
	for i, m := range between {
		row[15+i], row[30+i] = math.Nextafter32(m, -2), math.Nextafter32(m, 2)
	}
	row[63] = 1
	for _, e := range []int{0, -3, 5, -120} {
		for _, v := range row {
			x = append(x, float32(math.Ldexp(float64(v), e)))
		}
	}
	x = append(x, make([]float32, 64)...)
	for _, v := range row {
		x = append(x, -v)
	}
	return x
}

// TestEncode holds codes, scales, the codes and scales of scales, and what they
// decode to, to bitsandbytes: bit for bit, up to eight million values.
func TestEncode(t *testing.T) {
	var parts map[string]map[string]any
	require.NoError(t, json.Unmarshal(larger, &parts))
	inputs := map[string][]float32{
		"ties": ties(), "1 blocks": hashed(1, 1), "3 blocks": hashed(3, 2), "7 blocks": hashed(7, 5), "8 blocks": hashed(8, 5),
		"31 blocks": hashed(31, 5), "32 blocks": hashed(32, 97), "257 blocks": hashed(257, 97), "1000 blocks": hashed(1000, 1),
		"4099 blocks": hashed(4099, 89), "40961 blocks": hashed(40961, 97), "131072 blocks": hashed(131072, 971),
	}
	require.Len(t, parts, len(inputs))
	hash := func(b []byte) string {
		s := sha256.Sum256(b)
		return hex.EncodeToString(s[:])
	}
	floats := func(v []float32) string { return hash(bindings.Encode(bindings.F32, v)) }
	for name, x := range inputs {
		t.Run(name, func(t *testing.T) {
			w := NF4{Codes: make([]byte, len(x)/2)}
			absmax := make([]float32, len(x)/bindings.NF4Block)
			Encode(w.Codes, absmax, x)
			w.AbsmaxCodes, w.Nested, w.Offset = Double(absmax)
			values, plain := make([]float32, len(x)), make([]float32, len(x))
			Decode(values, w.Codes, w.Scales())
			Decode(plain, w.Codes, absmax)
			require.Equal(t, parts[name], map[string]any{
				"n": float64(len(x)), "codes": hash(w.Codes), "absmax": floats(absmax), "absmax_codes": hash(w.AbsmaxCodes),
				"nested": floats(w.Nested), "offset": float64(w.Offset), "values": floats(values), "plain_values": floats(plain),
			})
		})
	}
}
