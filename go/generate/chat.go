package generate

import (
	"context"
	"slices"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
)

// Chat is a conversation with a model. Each turn renders the whole of it, and
// computes only what comes after the tokens that are in the cache already.
type Chat struct {
	Text         Text
	Template     *chat.Template
	Options      chat.Options // of rendering
	Params       Params       // Reuse is always on
	Stop         []string     // stop strings, beside Params.StopTokens
	Conversation chat.Conversation
}

// Say adds a message of the user and the model's answer to the conversation.
// onText streams the answer and may be nil. After an error the conversation is
// what it was; when ctx ended, the answer so far comes with its error.
func (c *Chat) Say(ctx context.Context, message string, onText func(string)) (TextCompletion, error) {
	next := c.Conversation
	next.Messages = append(slices.Clone(next.Messages), chat.Message{Role: "user", Content: message})
	ids, err := c.render(next)
	if err != nil {
		return TextCompletion{}, err
	}
	p := c.Params
	p.Reuse = true
	p.Stream += len(c.Conversation.Messages) // other random numbers each turn
	out, err := c.Text.Generate(ctx, [][]int32{ids}, p, c.Stop, func(_ int, text string) {
		if onText != nil {
			onText(text)
		}
	})
	if err != nil {
		return append(out, TextCompletion{})[0], err
	}
	next.Messages = append(next.Messages, chat.Message{Role: "assistant", Content: out[0].Text})
	c.Conversation = next
	return out[0], nil
}

// render gives the tokens up to where the answer begins. The template writes
// the special tokens.
func (c *Chat) render(conversation chat.Conversation) ([]int32, error) {
	o := c.Options
	o.AddGenerationPrompt = true
	r, err := c.Template.Render(conversation, o)
	if err != nil {
		return nil, err
	}
	e, err := c.Text.Tokenizer.Encode(r.Text, false)
	if err != nil {
		return nil, err
	}
	if n, most := len(e.IDs), c.Text.Generator.Context(); n >= most {
		return nil, failure.Data("the conversation has come to %d tokens, which leaves no room for an answer in a context of %d; begin anew or open a longer context", n, most)
	}
	return e.IDs, nil
}
