package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/graftlm/graft/go/failure"
)

// Converted says what Convert wrote.
type Converted struct {
	Records int `json:"records"`
	Skipped int `json:"skipped"`
}

// Convert writes the records of sources as JSONL of one form. A record that has
// no such form is an error with file and line, or is counted where skip is set.
// It holds one record at a time.
func Convert(ctx context.Context, sources []Source, stdin io.Reader, to Form, skip bool, w io.Writer) (done Converted, err error) {
	if _, ok := converters[to]; !ok {
		return done, failure.Usage("records cannot be converted to %q; use messages or prompt_completion", to)
	}
	for _, s := range sources {
		_, err := s.each(stdin, func(name string, it item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			line, err := convert(it, s.Format, to)
			if err != nil {
				if skip {
					done.Skipped++
					return nil
				}
				return fmt.Errorf("%s:%d: %w", name, it.line, err)
			}
			done.Records++
			_, err = w.Write(line)
			return failure.As(failure.ErrIO, err)
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func convert(it item, from, to Form) ([]byte, error) {
	if it.err != nil {
		return nil, it.err
	}
	r, err := ParseRecord(it.json, from)
	if err != nil {
		return nil, err
	}
	if r.Form == to {
		return append(bytes.Clone(it.json), '\n'), nil
	}
	var f fields
	if err := json.Unmarshal(it.json, &f); err != nil {
		return nil, failure.Data("%w", err)
	}
	out, err := converters[to](r, f)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(out)
	return b.Bytes(), err
}

var converters = map[Form]func(Record, fields) (any, error){Messages: asMessages, PromptCompletion: asPromptCompletion}

type jsonTurn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type jsonMessages struct {
	Messages any             `json:"messages"`
	Tools    json.RawMessage `json:"tools,omitempty"`
}

func asMessages(r Record, f fields) (any, error) {
	var turns []jsonTurn
	switch r.Form {
	case ShareGPT:
		for _, m := range r.Conversation.Messages {
			turns = append(turns, jsonTurn{m.Role, m.Content})
		}
	case PromptCompletion:
		if r.PromptTurns > 0 {
			var prompt, completion []json.RawMessage
			if err := f.value("prompt", &prompt, "a list"); err != nil {
				return nil, err
			}
			if err := f.value("completion", &completion, "a list"); err != nil {
				return nil, err
			}
			return jsonMessages{append(prompt, completion...), f["tools"]}, nil
		}
		turns = []jsonTurn{{"user", r.Prompt}, {"assistant", r.Completion}}
	case Alpaca:
		system, _ := f.text("system", false)
		instruction, _ := f.text("instruction", true)
		input, _ := f.text("input", false)
		if system != "" {
			turns = append(turns, jsonTurn{"system", system})
		}
		if input != "" {
			instruction += "\n\n" + input
		}
		turns = append(turns, jsonTurn{"user", instruction}, jsonTurn{"assistant", r.Completion})
	default:
		return nil, failure.Data("a record of form %s has no turns", r.Form)
	}
	return jsonMessages{Messages: turns}, nil
}

func asPromptCompletion(r Record, f fields) (any, error) {
	type pair struct {
		Prompt     any             `json:"prompt"`
		Completion any             `json:"completion"`
		Tools      json.RawMessage `json:"tools,omitempty"`
	}
	switch r.Form {
	case Alpaca, Unpaired:
		return pair{Prompt: r.Prompt, Completion: r.Completion}, nil
	case ShareGPT, Messages:
		last := len(r.Conversation.Messages) - 1
		if last < 1 || r.Conversation.Messages[last].Role != "assistant" {
			return nil, failure.Data("the conversation does not end with an answer of the assistant")
		}
		var turns []any
		if r.Form == Messages {
			if err := f.value("messages", &turns, "a list"); err != nil {
				return nil, err
			}
		} else {
			for _, m := range r.Conversation.Messages {
				turns = append(turns, jsonTurn{m.Role, m.Content})
			}
		}
		return pair{turns[:last], turns[last:], f["tools"]}, nil
	}
	return nil, failure.Data("a record of form %s has no prompt and completion", r.Form)
}
