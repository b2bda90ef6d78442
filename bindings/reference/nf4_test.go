package reference

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
)

//go:embed testdata/nf4.bin
var golden []byte

// TestNF4 holds every decoded value to bitsandbytes, bit for bit.
func TestNF4(t *testing.T) {
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
	require.Equal(t, floats(256), dynamic[:])
	for name, w := range map[string]NF4{"doubly quantised": double, "plain": plain} {
		values := make([]float32, 19200)
		for e := range values {
			values[e] = w.At(e)
		}
		want := rest[:32]
		if name == "plain" {
			want = rest[32:]
		}
		got := sha256.Sum256(bindings.Encode(bindings.F32, values))
		require.Equal(t, want, got[:], name)
	}
}
