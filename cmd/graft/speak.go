package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
	"github.com/graftlm/graft/go/model"
)

// speakFlags are those of generate and chat.
func speakFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "adapter", Usage: "an adapter `DIR`, or DIR:WEIGHT; may be repeated, then they add up"},
		&cli.StringFlag{Name: "device", Value: "auto", Usage: "auto, cpu, cuda:N, pjrt:PLUGIN or reference"},
		&cli.StringFlag{Name: "dtype", Value: "auto", Usage: "auto, f32 or bf16"},
		&cli.StringFlag{Name: "quant", Value: "auto", Usage: "auto, none or nf4: how linear layers are stored, as model.quant"},
		&cli.IntFlag{Name: "max-tokens", Usage: "the context: tokens of prompt and answer together (default 2048)"},
		&cli.IntFlag{Name: "max-new-tokens", Value: 256, Usage: "tokens of an answer at most"},
		&cli.Float64Flag{Name: "temperature", Usage: "0 is greedy"},
		&cli.IntFlag{Name: "top-k", Usage: "draw from the k likeliest tokens; 0 is all"},
		&cli.Float64Flag{Name: "top-p", Value: 1, Usage: "draw from the likeliest tokens that make up this share"},
		&cli.Float64Flag{Name: "min-p", Usage: "leave out tokens below this share of the likeliest"},
		&cli.Float64Flag{Name: "repetition-penalty", Value: 1, Usage: "above 1: tokens that were there become less likely"},
		&cli.Uint64Flag{Name: "seed", Usage: "of the drawing"},
		&cli.StringSliceFlag{Name: "stop", Usage: "end an answer at this `TEXT`; may be repeated"},
	}, more...)
}

// openSpeaker opens the model of a command. With live its adapters may change.
func openSpeaker(c *cli.Context, live bool) (*graft.Speaker, generate.Params, error) {
	p := generate.Params{
		MaxNewTokens: c.Int("max-new-tokens"), Temperature: c.Float64("temperature"), TopK: c.Int("top-k"), TopP: c.Float64("top-p"),
		MinP: c.Float64("min-p"), RepetitionPenalty: c.Float64("repetition-penalty"), Seed: c.Uint64("seed"),
	}
	dir, err := oneArgument(c, "a model directory")
	if err != nil {
		return nil, p, err
	}
	o := graft.SpeakerOptions{
		Model: dir, Device: c.String("device"), DType: c.String("dtype"), MaxTokens: c.Int("max-tokens"),
		Quant: model.Quantization(c.String("quant")), Live: live, Progress: newLoading(), Compiling: compiling,
	}
	if o.Adapters, err = weighted(c.StringSlice("adapter")); err != nil {
		return nil, p, err
	}
	o.Sequences = c.Int("batch")
	s, err := graft.OpenSpeaker(c.Context, o)
	return s, p, err
}

func generateCommand() *cli.Command {
	return &cli.Command{
		Name: "generate", Usage: "continue a prompt, or answer each line of a file", ArgsUsage: "MODEL",
		Description: "graft generate ./SmolLM2-135M --prompt 'Once upon a time' --temperature 0.8 --seed 1\n" +
			"graft generate ./SmolLM2-135M --adapter runs/x/adapter --input prompts.jsonl --json\n" +
			"graft generate ./SmolLM2-135M --adapter a:0.7 --adapter b:0.3 --prompt 'Once upon a time'\n" +
			"A line of the input may choose among several: {\"prompt\": \"…\", \"adapter\": \"a\"}, \"a:0.5,b:0.5\" or \"none\".",
		Flags: speakFlags(
			&cli.StringFlag{Name: "prompt", Usage: "the `TEXT` to continue"},
			&cli.StringFlag{Name: "input", Usage: "a `FILE` of {\"prompt\": …} lines, or - for stdin"},
			&cli.IntFlag{Name: "batch", Value: 1, Usage: "lines of the input answered at once"},
			jsonFlag(),
		),
		Action: func(c *cli.Context) error {
			if (c.String("prompt") == "") == (c.String("input") == "") {
				return failure.Usage("give --prompt or --input")
			}
			s, p, err := openSpeaker(c, false)
			if err != nil {
				return err
			}
			defer s.Close()
			p.StopTokens = s.Base.StopTokens()
			prompts := []asked{{Prompt: c.String("prompt")}}
			if f := c.String("input"); f != "" {
				if prompts, err = readPrompts(f); err != nil {
					return err
				}
			}
			return answer(c, s, p, prompts)
		},
	}
}

// answer answers prompts, as many at once as fit, each with the adapters that
// it asks for. The text of a single one is printed as it comes.
func answer(c *cli.Context, s *graft.Speaker, p generate.Params, prompts []asked) error {
	var ids [][]int32
	for _, a := range prompts {
		tokens, err := s.Encode(a.Prompt)
		if err != nil {
			return err
		}
		ids = append(ids, tokens)
		if a.Adapter != "" || len(s.Adapters()) > 0 {
			mix, err := s.Mix(a.Adapter)
			if err != nil {
				return err
			}
			p.Mixes = append(p.Mixes, mix)
		}
	}
	asJSON, stream := c.Bool("json"), !c.Bool("json") && len(prompts) == 1
	done, err := s.Text.Generate(c.Context, ids, p, c.StringSlice("stop"), func(_ int, piece string) {
		if stream {
			fmt.Print(piece)
		}
	})
	if err != nil {
		return err
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	for i, d := range done {
		switch {
		case asJSON:
			line := map[string]any{"prompt": prompts[i].Prompt, "completion": d.Text, "reason": d.Reason, "tokens": len(d.Tokens)}
			if prompts[i].Adapter != "" {
				line["adapter"] = prompts[i].Adapter
			}
			if err := e.Encode(line); err != nil {
				return err
			}
		case stream:
			fmt.Println()
		default:
			fmt.Println(d.Text)
		}
	}
	return nil
}

// asked is a line of the input.
type asked struct {
	Prompt  string
	Adapter string // "" for what was loaded
}

func readPrompts(path string) ([]asked, error) {
	var in io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, failure.NoInput("%s does not exist", path)
		} else if err != nil {
			return nil, failure.As(failure.ErrIO, err)
		}
		defer f.Close()
		in = f
	}
	var prompts []asked
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var r struct {
			Prompt  *string `json:"prompt"`
			Adapter string  `json:"adapter"`
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Prompt == nil {
			return nil, failure.Data("%s:%d: want {\"prompt\": \"…\"}", path, n)
		}
		prompts = append(prompts, asked{*r.Prompt, r.Adapter})
	}
	if err := lines.Err(); err != nil {
		return nil, failure.Data("%s: %w", path, err)
	}
	if len(prompts) == 0 {
		return nil, failure.Data("%s: no prompts", path)
	}
	return prompts, nil
}

// mixes are the weights for all prompts; none where nothing can be weighed.
func mixes(m generate.Mix) []generate.Mix {
	if m == nil {
		return nil
	}
	return []generate.Mix{m}
}

func chatCommand() *cli.Command {
	return &cli.Command{
		Name: "chat", Usage: "talk to a model", ArgsUsage: "MODEL",
		Description: "graft chat ./SmolLM2-135M-Instruct --adapter runs/x/adapter\nIn the conversation: /clear begins anew, /quit ends; /adapter a:0.5,b:0.5 (or none) changes the adapters, and loads those that are not there.",
		Flags: speakFlags(
			&cli.StringFlag{Name: "template", Value: "tokenizer", Usage: "the model's own, a built-in name, or a .jinja file"},
			&cli.StringFlag{Name: "system", Usage: "the system message"},
		),
		Action: func(c *cli.Context) error {
			s, p, err := openSpeaker(c, true)
			if err != nil {
				return err
			}
			defer s.Close()
			talk, err := s.Chat(c.String("template"), c.String("system"), p)
			if err != nil {
				return err
			}
			talk.Stop = c.StringSlice("stop")
			if len(s.Adapters()) > 0 {
				mix, err := s.Mix("")
				if err != nil {
					return err
				}
				talk.Params.Mixes = mixes(mix)
			}
			start := talk.Conversation
			lines := bufio.NewScanner(os.Stdin)
			lines.Buffer(nil, 1<<20)
			for {
				fmt.Fprint(os.Stderr, "> ")
				if !lines.Scan() {
					fmt.Fprintln(os.Stderr)
					return lines.Err()
				}
				line := strings.TrimSpace(lines.Text())
				if text, ok := strings.CutPrefix(line, "/adapter"); ok {
					mix, err := s.Use(c.Context, strings.TrimSpace(text))
					if err != nil && s.Text.Generator == nil {
						return err
					} else if err != nil {
						fmt.Fprintln(os.Stderr, err)
						continue
					}
					talk.Text, talk.Params.Mixes = s.Text, mixes(mix)
					continue
				}
				switch line {
				case "":
				case "/quit", "/exit":
					return nil
				case "/clear":
					talk.Conversation = start
				default:
					if _, err := talk.Say(c.Context, line, func(piece string) { fmt.Print(piece) }); err != nil {
						return err
					}
					fmt.Println()
				}
			}
		},
	}
}
