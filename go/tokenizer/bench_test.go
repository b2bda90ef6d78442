package tokenizer_test

import (
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
	start := cpu(b)
	for b.Loop() {
		for _, text := range texts {
			if _, err := tok.Encode(text, false); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpu(b)-start), "cpu-MB/s")
}

// cpu is the processor time of this process so far in seconds. Unlike the
// clock it does not depend on what else runs.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func BenchmarkTrain(b *testing.B) {
	texts, size := goSource(b)
	b.SetBytes(size)
	start := cpu(b)
	for b.Loop() {
		_, err := tokenizer.TrainBPE(b.Context(), each(texts), tokenizer.TrainOptions{VocabSize: 8192})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpu(b)-start), "cpu-MB/s")
}

// BenchmarkOneCharacter trains on and encodes nothing but one character, ten
// thousand to a million of them: the rate is the same where the work is linear.
func BenchmarkOneCharacter(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		text := strings.Repeat("a", n)
		o := tokenizer.TrainOptions{VocabSize: 270}
		b.Run(fmt.Sprintf("train/n=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				_, err := tokenizer.TrainBPE(b.Context(), each([]string{text}), o)
				require.NoError(b, err)
			}
		})
		tok, err := tokenizer.TrainBPE(b.Context(), each([]string{text}), o)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("encode/n=%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				_, err := tok.Encode(text, false)
				require.NoError(b, err)
			}
		})
	}
}
