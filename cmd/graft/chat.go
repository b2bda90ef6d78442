package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/urfave/cli/v2"

	graft "github.com/graftlm/graft/go"
	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/generate"
)

func chatCommand() *cli.Command {
	return &cli.Command{
		Name: "chat", Usage: "talk to a model", ArgsUsage: "MODEL",
		Description: "graft chat ./SmolLM2-135M-Instruct --adapter runs/x/adapter\n" +
			"In the conversation: /clear begins anew, /quit ends; /adapter a:0.5,b:0.5 (or none) changes the adapters, and loads those that are not there.\n" +
			"Ctrl-C stops an answer, and at the prompt ends the conversation.",
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
			return (&conversation{speaker: s, talk: talk, start: talk.Conversation}).hold(c.Context)
		},
	}
}

// errEnded is that a signal ended a conversation at its prompt.
var errEnded = errors.New("the conversation was ended")

// conversation is a chat with its prompt. The signals are its own: one at the
// prompt, where nothing is lost, ends it at once; one during an answer stops that.
type conversation struct {
	speaker *graft.Speaker
	talk    *generate.Chat
	start   chat.Conversation
	signals chan os.Signal
}

// hold reads lines and answers them.
func (v *conversation) hold(ctx context.Context) error {
	v.signals = make(chan os.Signal, 1)
	signal.Reset(stopping...)
	signal.Notify(v.signals, stopping...)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	read := make(chan bool)
	for {
		fmt.Fprint(os.Stderr, "> ")
		go func() { read <- lines.Scan() }()
		select {
		case <-v.signals:
			fmt.Fprintln(os.Stderr, "\ngraft: the conversation is ended")
			return errEnded
		case more := <-read:
			if !more {
				fmt.Fprintln(os.Stderr)
				return lines.Err()
			}
		}
		if end, err := v.take(ctx, strings.TrimSpace(lines.Text())); end || err != nil {
			return err
		}
	}
}

// take does what a line says, and reports whether it was the last. What cannot be
// done is said, and the conversation is as it was.
func (v *conversation) take(ctx context.Context, line string) (end bool, err error) {
	if text, ok := strings.CutPrefix(line, "/adapter"); ok {
		mix, err := v.speaker.Use(ctx, strings.TrimSpace(text))
		if err != nil && v.speaker.Text.Generator == nil {
			return true, err
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return false, nil
		}
		v.talk.Text, v.talk.Params.Mixes = v.speaker.Text, mixes(mix)
		return false, nil
	}
	switch line {
	case "":
	case "/quit", "/exit":
		return true, nil
	case "/clear":
		v.talk.Conversation = v.start
	default:
		err := v.answer(ctx, line)
		switch {
		case errors.Is(err, failure.ErrData):
			fmt.Fprintf(os.Stderr, "%v (/clear begins anew)\n", err)
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(os.Stderr, "\nstopped; this question and its answer are not kept")
		case err != nil:
			return true, err
		default:
			fmt.Println()
		}
	}
	return false, nil
}

// answer says what the model says, until it ends or a signal comes.
func (v *conversation) answer(ctx context.Context, line string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-v.signals:
			cancel()
		case <-done:
		}
	}()
	_, err := v.talk.Say(ctx, line, func(piece string) { fmt.Print(piece) })
	return err
}

// mixes are the weights for all prompts; none where nothing can be weighed.
func mixes(m generate.Mix) []generate.Mix {
	if m == nil {
		return nil
	}
	return []generate.Mix{m}
}
