package tokenizer_test

import (
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/tokenizer"
	"github.com/stretchr/testify/require"
)

// goSource is the text of the standard library's packages net and go.
func goSource(b *testing.B) (texts []string, size int64) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(b, err)
	for _, dir := range []string{"net", "go"} {
		err := filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src", dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".go" {
				return err
			}
			data, err := os.ReadFile(path)
			texts, size = append(texts, string(data)), size+int64(len(data))
			return err
		})
		require.NoError(b, err)
	}
	return texts, size
}

func each(texts []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, t := range texts {
			if !yield(t) {
				return
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	texts, size := goSource(b)
	tok, err := tokenizer.TrainBPE(b.Context(), each(texts), tokenizer.TrainOptions{VocabSize: 8192})
	require.NoError(b, err)
	b.SetBytes(size)
	for b.Loop() {
		for _, text := range texts {
			if _, err := tok.Encode(text, false); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	texts, size := goSource(b)
	b.SetBytes(size)
	for b.Loop() {
		_, err := tokenizer.TrainBPE(b.Context(), each(texts), tokenizer.TrainOptions{VocabSize: 8192})
		require.NoError(b, err)
	}
}
