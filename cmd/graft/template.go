package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/data"
	"github.com/graftlm/graft/go/failure"
)

func templateCommand() *cli.Command {
	return &cli.Command{
		Name: "template", Usage: "render conversations as a chat template writes them, with what the assistant says marked",
		ArgsUsage: "MODEL|FILE.jinja|NAME",
		Description: "Reads {\"messages\", \"tools\"?, \"add_generation_prompt\"?, \"kwargs\"?} a line from the standard input or --input.\n" +
			"With --json each line is answered by {\"text\", \"spans\"}, spans in characters, or by {\"error\"}.\n" +
			"Where only the spans cannot be told, there are \"text\" and \"error\".\n\n" +
			"echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Hello\"}]}' | graft template qwen3\n" +
			"graft template ./SmolLM2-135M-Instruct --json --input train.jsonl\n\n" +
			"The names: " + fmt.Sprint(chat.BuiltinNames()),
		Flags: []cli.Flag{&cli.StringFlag{Name: "input", Value: "-", Usage: "the `FILE` to read"}, jsonFlag()},
		Action: func(c *cli.Context) error {
			path, err := oneArgument(c, "a model directory, a .jinja file or a built-in name")
			if err != nil {
				return err
			}
			t, err := chat.Open(path)
			if err != nil {
				return err
			}
			in, name, err := input(c.String("input"))
			if err != nil {
				return err
			}
			defer in.Close()
			bad := 0
			err = data.Lines(name, in, func(line int, text []byte) error {
				out := render(t, text)
				if c.Bool("json") {
					return printLine(out)
				}
				if out.Error != "" {
					bad++
					fmt.Fprintf(os.Stderr, "graft: %s:%d: %s\n", name, line, out.Error)
				}
				if out.Text != nil {
					fmt.Printf("── %s:%d\n%s\n", name, line, out.shown())
				}
				return nil
			})
			if err == nil && bad > 0 {
				err = failure.Data("%d conversations could not be rendered with what the assistant says", bad)
			}
			return err
		},
	}
}

// rendering is the answer to one request.
type rendering struct {
	Text  *string  `json:"text,omitempty"`
	Spans [][2]int `json:"spans,omitzero"`
	Error string   `json:"error,omitempty"`

	rendered chat.Rendered
}

func render(t *chat.Template, request []byte) rendering {
	conversation, options, err := chat.ParseRequest(request)
	if err != nil {
		return rendering{Error: err.Error()}
	}
	r, err := t.RenderSpans(conversation, options)
	if err == nil {
		out := rendering{Text: &r.Text, Spans: [][2]int{}, rendered: r}
		for _, s := range r.RuneSpans() {
			out.Spans = append(out.Spans, [2]int{s.Start, s.End})
		}
		return out
	}
	out := rendering{Error: err.Error()}
	if r, err := t.Render(conversation, options); err == nil {
		out.Text, out.rendered = &r.Text, r
	}
	return out
}

// shown marks what the assistant says.
func (r rendering) shown() string {
	var shown data.Shown
	at := 0
	for _, s := range r.rendered.Assistant {
		shown = append(shown, data.Segment{Text: (*r.Text)[at:s.Start]}, data.Segment{Text: (*r.Text)[s.Start:s.End], Trained: true})
		at = s.End
	}
	shown = append(shown, data.Segment{Text: (*r.Text)[at:]})
	return marked(shown, true)
}
