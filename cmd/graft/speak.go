package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
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
		Quant: model.Quantization(c.String("quant")), Live: live, Progress: newProgress(c), Compiling: compiling,
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
			prompts := []asked{{Prompt: c.String("prompt")}}
			if f := c.String("input"); f != "" {
				var err error
				if prompts, err = readPrompts(f); err != nil {
					return err
				}
			}
			s, p, err := openSpeaker(c, false)
			if err != nil {
				return err
			}
			defer s.Close()
			p.StopTokens = s.Base.StopTokens()
			return answer(c, s, p, prompts)
		},
	}
}

// answer answers prompts, as many at once as fit, each with the adapters that
// it asks for, and prints each as soon as it and those before it are complete.
// The text of a single one is printed as it comes.
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
	stream := !c.Bool("json") && len(prompts) == 1
	tell, whole, next := newProgress(c), map[int]generate.TextCompletion{}, 0
	var failed error
	_, err := s.Text.Each(c.Context, ids, p, c.StringSlice("stop"), func(_ int, piece string) {
		if stream {
			fmt.Print(piece)
		}
	}, func(i int, d generate.TextCompletion) { // later ones wait for those before them
		whole[i] = d
		for d, ok := whole[next]; ok && failed == nil; d, ok = whole[next] {
			failed = printAnswer(c, prompts[next], d, stream)
			delete(whole, next)
			next++
		}
		if tell != nil && len(prompts) > 1 {
			tell("answering", int64(next), int64(len(prompts)))
		}
	})
	return errors.Join(failed, err)
}

func printAnswer(c *cli.Context, a asked, d generate.TextCompletion, streamed bool) (err error) {
	switch {
	case c.Bool("json"):
		line := map[string]any{"prompt": a.Prompt, "completion": d.Text, "reason": d.Reason, "tokens": len(d.Tokens)}
		if a.Adapter != "" {
			line["adapter"] = a.Adapter
		}
		return printLine(line)
	case streamed:
		_, err = fmt.Println()
	default:
		_, err = fmt.Println(d.Text)
	}
	return failure.As(failure.ErrIO, err)
}

// asked is a line of the input.
type asked struct {
	Prompt  string
	Adapter string // "" for what was loaded
}

func readPrompts(path string) ([]asked, error) {
	in, path, err := input(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
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
