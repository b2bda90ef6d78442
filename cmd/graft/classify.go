package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/failure"
)

func classifyCommand() *cli.Command {
	return &cli.Command{
		Name: "classify", Usage: "say which class each text has", ArgsUsage: "MODEL",
		Description: "graft classify ./MiniLM --head runs/x/adapter --text 'what a day'\n" +
			"graft classify ./MiniLM --head runs/x/adapter --input texts.jsonl --json\n" +
			"A line of the input is a text, or {\"text\": …}; - is stdin.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "head", Usage: "the head `DIR` of a run with method.type head", Required: true},
			&cli.StringFlag{Name: "text", Usage: "one `TEXT`"},
			&cli.StringFlag{Name: "input", Usage: "a `FILE` with a text in each line, or - for stdin"},
			&cli.StringFlag{Name: "device", Value: "auto", Usage: "auto, cpu, cuda:N, pjrt:PLUGIN or reference"},
			&cli.StringFlag{Name: "dtype", Value: "auto", Usage: "auto, f32 or bf16"},
			&cli.IntFlag{Name: "max-tokens", Usage: "longer texts are cut (default 512)"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			model, err := oneArgument(c, "a model directory")
			if err != nil {
				return err
			}
			if c.IsSet("text") == c.IsSet("input") {
				return failure.Usage("give --text or --input")
			}
			k, err := graft.OpenClassifier(c.Context, graft.ClassifierOptions{
				Model: model, Head: c.String("head"), Device: c.String("device"), DType: c.String("dtype"),
				MaxTokens: c.Int("max-tokens"), Progress: newProgress(c), Compiling: compiling,
			})
			if err != nil {
				return err
			}
			defer k.Close()
			say := func(texts []string) error {
				all, err := k.Classify(c.Context, texts)
				for _, p := range all {
					if err := printPrediction(p, c.Bool("json")); err != nil {
						return err
					}
				}
				return err
			}
			if c.IsSet("text") {
				return say([]string{c.String("text")})
			}
			return eachText(c.String("input"), say)
		},
	}
}

// eachText gives the texts of a file, some at a time.
func eachText(path string, say func([]string) error) error {
	in, path, err := input(path)
	if err != nil {
		return err
	}
	defer in.Close()
	const atOnce = 64
	var texts []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if strings.TrimSpace(text) == "" {
			return failure.Data("%s:%d: an empty line is no text", path, n)
		}
		if strings.HasPrefix(text, "{") {
			var r struct {
				Text *string `json:"text"`
			}
			if err := json.Unmarshal([]byte(text), &r); err == nil && r.Text != nil {
				text = *r.Text
			}
		}
		if texts = append(texts, text); len(texts) == atOnce {
			if err := say(texts); err != nil {
				return err
			}
			texts = texts[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return failure.Data("%s: %w", path, err)
	}
	return say(texts)
}

func printPrediction(p graft.Prediction, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		return e.Encode(p)
	}
	switch {
	case p.Values != nil:
		fmt.Println(strings.Trim(fmt.Sprint(p.Values), "[]"))
	case p.Label != "":
		fmt.Printf("%s\t%.4f\n", p.Label, p.Scores[p.Label])
	default:
		fmt.Println(strings.Join(p.Labels, ", "))
	}
	return nil
}
