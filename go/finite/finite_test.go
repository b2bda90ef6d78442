package finite_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/graftlm/graft/go/finite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsNotFiniteIsNull(t *testing.T) {
	for f, want := range map[float64]string{0.1: "0.1", -3: "-3", math.Inf(1): "null", math.Inf(-1): "null"} {
		text, err := json.Marshal(finite.Number(f))
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	text, err := json.Marshal(finite.Map(map[string]float64{"a": math.NaN(), "b": 2}))
	require.NoError(t, err)
	assert.Equal(t, `{"a":null,"b":2}`, string(text))
	var back map[string]finite.Number
	require.NoError(t, json.Unmarshal(text, &back))
	assert.True(t, math.IsNaN(float64(back["a"])))
	assert.Equal(t, finite.Number(2), back["b"])
	assert.Nil(t, finite.Map[string](nil))
}
