package hub

import (
	"encoding/json"
	"fmt"

	"github.com/graftlm/graft/go/failure"
)

// Generation holds what generation_config.json says of the tokens at the ends
// of a text; what it lacks is taken from config.json.
type Generation struct {
	EOS []int // eos_token_id, which the file may give as a number or a list
	BOS *int  // bos_token_id, nil if there is none
	Pad *int  // pad_token_id, nil if there is none
}

// Special holds the texts of the special tokens in tokenizer_config.json, ""
// where there is none.
type Special struct{ BOS, EOS, Pad, Unknown string }

// readConfigs reads config.json and the two files that complete it.
func (m *Model) readConfigs() (err error) {
	if m.Config, err = m.readObject("config.json", maxJSON); err != nil {
		return err
	}
	if m.Config == nil {
		return failure.NoInput("%s: no config.json; this is not a model directory", m.dir)
	}
	if _, ok := m.Config.fields["auto_map"]; ok {
		return failure.Data("%s: \"auto_map\" names code to run, and graft never runs code from a model; if the architecture is a built-in one, delete that key", m.path("config.json"))
	}
	for _, name := range []string{"generation_config.json", "config.json"} {
		o, err := m.readObject(name, maxJSON)
		if err == nil && o != nil {
			err = m.Generation.complete(o)
		}
		if err != nil {
			return failure.Data("%s: %w", m.path(name), err)
		}
	}
	o, err := m.readObject("tokenizer_config.json", maxJSON)
	if o == nil || err != nil {
		return err
	}
	for key, to := range map[string]*string{"bos_token": &m.Special.BOS, "eos_token": &m.Special.EOS, "pad_token": &m.Special.Pad, "unk_token": &m.Special.Unknown} {
		if err := special(o, key, to); err != nil {
			return failure.Data("%s: %w", m.path("tokenizer_config.json"), err)
		}
	}
	return nil
}

// complete fills in what is not there yet.
func (g *Generation) complete(o *Object) error {
	if g.EOS == nil {
		var one int
		if ok, err := o.Get("eos_token_id", &one); ok {
			g.EOS = []int{one}
		} else if err != nil {
			if _, err := o.Get("eos_token_id", &g.EOS); err != nil {
				return fmt.Errorf("\"eos_token_id\" must be an integer or a list of them, got %.40s", o.fields["eos_token_id"])
			}
		}
	}
	for key, to := range map[string]**int{"bos_token_id": &g.BOS, "pad_token_id": &g.Pad} {
		if *to != nil {
			continue
		}
		if _, err := o.Get(key, to); err != nil {
			return fmt.Errorf("%q must be an integer, got %.40s", key, o.fields[key])
		}
	}
	for _, id := range g.EOS {
		if id < 0 {
			return fmt.Errorf("\"eos_token_id\" is %d, want 0 or more", id)
		}
	}
	return nil
}

// special reads a token written as a string or as an object with "content".
func special(o *Object, key string, to *string) error {
	raw := o.fields[key]
	if raw == nil || string(raw) == "null" || json.Unmarshal(raw, to) == nil {
		return nil
	}
	var token struct{ Content *string }
	if json.Unmarshal(raw, &token) != nil || token.Content == nil {
		return fmt.Errorf("%q must be a string or an object with \"content\", got %.40s", key, raw)
	}
	*to = *token.Content
	return nil
}
