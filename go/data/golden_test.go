package data_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ids and masks equal those that TRL's rules give with transformers; see
// testdata/make_masks.py.
func TestMasksEqualTransformers(t *testing.T) {
	tok, err := tokenizer.Load("testdata/tokenizer.json")
	require.NoError(t, err)
	raw, err := os.ReadFile("testdata/masks.json")
	require.NoError(t, err)
	var cases []struct {
		Record  json.RawMessage
		IDs     []int32
		Trained []int32
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.Len(t, cases, 11)
	e := encoder(t)
	e.Tokenizer = tok
	for _, c := range cases {
		r, err := data.ParseRecord(c.Record, data.Auto)
		require.NoError(t, err)
		out, err := e.Encode(r)
		require.NoError(t, err, string(c.Record))
		trained := make([]int32, len(out.IDs))
		for i, label := range out.Labels {
			if label != data.Masked {
				trained[i] = 1
			}
		}
		c.Trained[0] = 0 // never a target
		assert.Equal(t, c.IDs, out.IDs, string(c.Record))
		assert.Equal(t, c.Trained, trained, string(c.Record))
		assert.Zero(t, out.Straddling)
	}
}
