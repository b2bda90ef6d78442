package e2e

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graftlm/graft/go/export"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestChatBeginsAnew: a context that is full is said, and the conversation goes
// on after /clear as it began.
func TestChatBeginsAnew(t *testing.T) {
	dir := workplace(t)
	c := command(t.Context(), dir, "chat", "base", "--template", "chatml", "--dtype", "f32", "--max-new-tokens", "8", "--max-tokens", "100")
	const question = "What is 3 and 4?"
	c.Stdin = strings.NewReader(strings.Join([]string{question, "/clear", question, strings.Repeat(question, 20), "/clear", question}, "\n") + "\n")
	o := finish(t, c)
	require.Zero(t, o.code, o.stderr)
	answers := strings.SplitAfter(o.stdout, "\n")
	require.Len(t, answers, 4, o.stdout)
	assert.Equal(t, answers[0], answers[1])
	assert.Equal(t, answers[0], answers[2])
	assert.Regexp(t, `the conversation has come to \d+ tokens.*in a context of 100.*\(/clear begins anew\)`, o.stderr)
}

// TestChatInterrupted: a signal during an answer ends the answer, at the prompt
// the conversation.
func TestChatInterrupted(t *testing.T) {
	dir := workplace(t)
	long := strings.NewReplacer(`"max_position_embeddings": 128`, `"max_position_embeddings": 8192`, `, "eos_token_id": 0`, "").Replace(llama)
	require.NoError(t, export.Random(t.Context(), filepath.Join(dir, "long"), []byte(long), map[string][]byte{"tokenizer.json": contents(t, dir, "tokenizer.json")}, "F32", 1))
	c := command(t.Context(), dir, "chat", "long", "--template", "chatml", "--dtype", "f32", "--max-new-tokens", "8000", "--max-tokens", "8192")
	in, err := c.StdinPipe()
	require.NoError(t, err)
	stdout, stderr := &watched{}, &watched{}
	c.Stdout, c.Stderr = stdout, stderr
	require.NoError(t, c.Start())
	stderr.waits(t, "> ", 1)
	io.WriteString(in, "What is 3 and 4?\n")
	stdout.waits(t, "", 1)
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	stderr.waits(t, "> ", 2)
	assert.Contains(t, stderr.String(), "stopped; this question and its answer are not kept")
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, c.Wait(), &exit)
	assert.Equal(t, 130, exit.ExitCode())
	assert.Contains(t, stderr.String(), "graft: the conversation is ended")
	assert.NotContains(t, stderr.String(), "checkpoint")
}

// watched is what a running program has written.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// waits until a text is there so many times; "" is anything at all.
func (w *watched) waits(t *testing.T, text string, times int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s := w.String()
		return s != "" && strings.Count(s, text) >= times
	}, time.Minute, 5*time.Millisecond, "%q in %q", text, w.String())
}
