package data

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
)

// Records that carry a judgement: the class of a text, or which of two answers
// is better. A language model is not trained on them; other tasks read them.

// parseClassification keeps labels as strings; which class or number each is,
// the task decides.
func parseClassification(f fields, _ []byte) (r Record, err error) {
	if r, err = parseText(f, nil); err != nil {
		return r, err
	}
	if r.TextPair, err = f.text("text_pair", false); err != nil {
		return r, err
	}
	key := "label"
	if !f.has(key) {
		key = "labels"
	}
	list := []json.RawMessage{f[key]}
	if r.Listed = isList(f[key]); r.Listed {
		if err = f.value(key, &list, "a list"); err != nil {
			return r, err
		}
	}
	for i, raw := range list {
		var s string
		var n json.Number
		switch {
		case json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"':
			if s == "" {
				return r, failure.Data("%q is empty in place %d; a class needs a name", key, i)
			}
		case json.Unmarshal(raw, &n) == nil && kindOf(raw) != "null":
			s = n.String()
			whole, err := n.Int64()
			r.Numbers = r.Numbers || err != nil || whole < 0
		default:
			return r, failure.Data("%q must be a class (a string, or an integer of at least 0), a number, or a list of them; got %s", key, kindOf(raw))
		}
		if slices.Contains(r.Classes, s) && !r.Numbers {
			return r, failure.Data("%q has %q twice", key, s)
		}
		r.Classes = append(r.Classes, s)
	}
	return r, nil
}

// parseUnpaired reads a completion that is wanted or not, as KTO takes it.
func parseUnpaired(f fields, data []byte) (r Record, err error) {
	if r, err = parsePromptCompletion(f, data); err != nil {
		return r, err
	}
	if !isBool(f["label"]) {
		return r, failure.Data("\"label\" must be true or false, got %s", kindOf(f["label"]))
	}
	r.Good = strings.EqualFold(strings.Trim(string(f["label"]), `"`), "true")
	return r, nil
}

func parsePreference(f fields, _ []byte) (r Record, err error) {
	if isList(f["chosen"]) || isList(f["rejected"]) {
		if err = f.turns("chosen", &r.ChosenTurns); err == nil {
			err = f.turns("rejected", &r.RejectedTurns)
		}
	} else if r.Chosen, err = f.text("chosen", true); err == nil {
		r.Rejected, err = f.text("rejected", true)
	}
	if err != nil {
		return r, err
	}
	if bytes.Equal(f["chosen"], f["rejected"]) {
		return r, failure.Data("\"chosen\" and \"rejected\" are the same")
	}
	if isList(f["prompt"]) {
		return r, f.turns("prompt", &r.Conversation.Messages)
	}
	if r.Prompt, err = f.text("prompt", false); err != nil || r.Prompt != "" {
		return r, err
	}
	same := 0
	for same < min(len(r.ChosenTurns), len(r.RejectedTurns))-1 && reflect.DeepEqual(r.ChosenTurns[same], r.RejectedTurns[same]) {
		same++
	}
	r.Conversation.Messages = r.ChosenTurns[:same:same]
	r.ChosenTurns, r.RejectedTurns = r.ChosenTurns[same:], r.RejectedTurns[same:]
	return r, nil
}

// turns reads a list of messages.
func (f fields) turns(key string, into *[]chat.Message) error {
	if !isList(f[key]) {
		return failure.Data("%q must be a list of messages, got %s", key, kindOf(f[key]))
	}
	c, err := chat.ParseConversation([]byte(`{"messages":` + string(f[key]) + `}`))
	if err != nil {
		return failure.Data("%q: %w", key, err)
	}
	*into = c.Messages
	for _, m := range c.Messages {
		if !slices.Contains(knownRoles, m.Role) {
			return failure.Data("%q: a role is %w", key, unknownRole(m.Role))
		}
	}
	return nil
}
