package generate

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/tokenizer"
)

// learn makes a byte-level vocabulary with the special tokens of ChatML.
func learn(t testing.TB) *tokenizer.Tokenizer {
	text := "the model answers the question, and the answer to the question is here. " +
		"user assistant system\n größer als – 東京 "
	tok, err := tokenizer.TrainBPE(context.Background(), slices.Values([]string{text}),
		tokenizer.TrainOptions{VocabSize: 300, SpecialTokens: []string{"<|im_start|>", "<|im_end|>"}})
	require.NoError(t, err)
	return tok
}

func openText(t testing.TB, o Options) Text {
	tok := learn(t)
	return Text{open(t, tiny(t, "qwen3", tok.Size()), o), tok}
}

func encode(t testing.TB, tok *tokenizer.Tokenizer, text string) []int32 {
	e, err := tok.Encode(text, false)
	require.NoError(t, err)
	return e.IDs
}

func TestTextStreams(t *testing.T) {
	x := openText(t, Options{MaxTokens: 100, Sequences: 2})
	ctx := context.Background()
	in := [][]int32{encode(t, x.Tokenizer, "the question"), encode(t, x.Tokenizer, "größer als 東京"), encode(t, x.Tokenizer, "here")}
	p := Params{MaxNewTokens: 60, Temperature: 1, Seed: 5}
	streamed := make([]string, len(in))
	free, err := x.Generate(ctx, in, p, nil, func(i int, text string) { streamed[i] += text })
	require.NoError(t, err)
	for i, c := range free {
		want, err := x.Tokenizer.Decode(c.Tokens, true)
		require.NoError(t, err)
		assert.Equal(t, want, c.Text)
		assert.Equal(t, c.Text, streamed[i])
		assert.Equal(t, Length, c.Reason)
	}
	whole := free[1].Text
	held, err := x.Generate(ctx, in, p, []string{whole[len(whole)-5:] + " and more"}, nil)
	require.NoError(t, err)
	assert.Equal(t, free, held, "what only began like a stop string is part of the text")
	for at := 3; at+4 < len(whole); at += 7 {
		stop := whole[at : at+4]
		if strings.ToValidUTF8(stop, "") != stop || strings.Contains(stop, "\uFFFD") {
			continue
		}
		streamed := make([]string, len(in))
		out, err := x.Generate(ctx, in, p, []string{"not there", stop}, func(i int, text string) { streamed[i] += text })
		require.NoError(t, err)
		for i, c := range out {
			want, _, found := strings.Cut(free[i].Text, stop)
			assert.Equal(t, want, c.Text)
			assert.Equal(t, want, streamed[i])
			assert.Equal(t, found, c.Reason == Stop)
			assert.Equal(t, free[i].Tokens[:len(c.Tokens)], c.Tokens)
		}
		text, err := x.Tokenizer.Decode(out[1].Tokens[:len(out[1].Tokens)-1], true)
		require.NoError(t, err)
		assert.NotContains(t, text, stop, "no token is drawn after the one that completes a stop string")
	}
}

// TestEach: an answer comes when it is complete, whole, before the next prompt of
// its place is read.
func TestEach(t *testing.T) {
	x := openText(t, Options{MaxTokens: 100, Sequences: 1})
	in := [][]int32{encode(t, x.Tokenizer, "the question"), encode(t, x.Tokenizer, "größer als 東京"), encode(t, x.Tokenizer, "here")}
	p := Params{MaxNewTokens: 30, Temperature: 1, Seed: 5}
	var events []int
	streamed, early := make([]string, len(in)), []TextCompletion{}
	all, err := x.Each(context.Background(), in, p, []string{"e"}, func(i int, text string) {
		events = append(events, i)
		streamed[i] += text
	}, func(i int, c TextCompletion) {
		assert.Equal(t, len(early), i)
		assert.Equal(t, streamed[i], c.Text)
		assert.NotContains(t, events, i+1, "the next has not begun")
		early = append(early, c)
	})
	require.NoError(t, err)
	assert.Equal(t, all, early)
	want, err := x.Generate(context.Background(), in, p, []string{"e"}, nil)
	require.NoError(t, err)
	assert.Equal(t, want, all)
}

// However text is cut into pieces, what a stopper lets through is what stands
// before the stop string, and it holds back no more than may be its beginning.
func TestStopper(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 5000 {
		whole, stop := draw(r.IntN(30)), draw(1+r.IntN(5))
		want, _, found := strings.Cut(whole, stop)
		s, got, stopped := stopper{strings: []string{"", stop}}, "", false
		for rest := whole; rest != "" && !stopped; {
			n := 1 + r.IntN(len(rest))
			var text string
			text, stopped = s.push(rest[:n])
			got, rest = got+text, rest[n:]
			assert.Less(t, len(s.held), len(stop))
		}
		require.Equal(t, found, stopped, "%q in %q", stop, whole)
		if !stopped {
			got += s.held
		}
		require.Equal(t, want, got, "%q in %q", stop, whole)
	}
	s := stopper{strings: []string{"bcd", "ab"}}
	text, stopped := s.push("xabcd")
	assert.True(t, stopped)
	assert.Equal(t, "x", text, "the earliest of several")
}

func TestChat(t *testing.T) {
	ctx := context.Background()
	template, ok := chat.Builtin("chatml")
	require.True(t, ok)
	x := openText(t, Options{MaxTokens: 400})
	end, _ := x.Tokenizer.ID("<|im_end|>")
	c := &Chat{Text: x, Template: template, Params: Params{MaxNewTokens: 12, Temperature: 0.7, StopTokens: []int32{end}}}
	c.Conversation.Messages = []chat.Message{{Role: "system", Content: "answer the question"}}

	fresh := openText(t, Options{MaxTokens: 400})
	before := 0
	for turn, message := range []string{"the question?", "and the answer?", "größer als 東京?"} {
		conversation := c.Conversation
		streamed := ""
		out, err := c.Say(ctx, message, func(text string) { streamed += text })
		require.NoError(t, err)
		assert.Equal(t, streamed, out.Text)
		assert.Equal(t, chat.Message{Role: "assistant", Content: out.Text}, c.Conversation.Messages[2*turn+2])

		conversation.Messages = append(slices.Clone(conversation.Messages), chat.Message{Role: "user", Content: message})
		r, err := template.Render(conversation, chat.Options{AddGenerationPrompt: true})
		require.NoError(t, err)
		p := c.Params
		p.Stream = 2*turn + 1
		want, err := fresh.Generate(ctx, [][]int32{encode(t, x.Tokenizer, r.Text)}, p, nil, nil)
		require.NoError(t, err)
		assert.Equal(t, want[0].Tokens, out.Tokens, "as without a cache")
		assert.GreaterOrEqual(t, out.Reused, before, "all of the prompt before is reused")
		before = out.Prompt
	}
	kept := c.Conversation
	stopped, cancel := context.WithCancel(ctx)
	out, err := c.Say(stopped, "here", func(string) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	assert.NotEmpty(t, out.Text)
	assert.Equal(t, kept, c.Conversation, "a turn that failed is no turn")
	_, err = c.Say(ctx, strings.Repeat("東京", 200), nil)
	assert.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "400")
	assert.Equal(t, kept, c.Conversation)
}
