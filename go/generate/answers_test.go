package generate

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The answers are those of transformers' generate, with and without a penalty
// of repetition; testdata/make_answers.py asked it.
func TestAnswersOfTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/answers.json")
	require.NoError(t, err)
	var answers map[string]struct{ Greedy, Penalised [][]int32 }
	require.NoError(t, json.Unmarshal(raw, &answers))
	require.Len(t, answers, len(configs))
	for family, want := range answers {
		g := open(t, tiny(t, family, vocab), Options{MaxTokens: 40, Sequences: 2})
		for penalty, want := range map[float64][][]int32{1: want.Greedy, 1.3: want.Penalised} {
			out, err := g.Generate(context.Background(), prompts, Params{MaxNewTokens: 16, RepetitionPenalty: penalty}, nil)
			require.NoError(t, err)
			assert.Equal(t, want, tokens(out), "%s, penalty %v", family, penalty)
		}
	}
}
