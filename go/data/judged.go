package data

import (
	"encoding/json"
	"fmt"

	"github.com/graftlm/graft/go/failure"
)

// Records that carry a judgement: the class of a text, or which of two answers
// is better. A language model is not trained on them; other tasks read them.

// parseClassification keeps labels as strings; which class each is, the task
// decides.
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
	if isList(f[key]) {
		if err = f.value(key, &list, "a list"); err != nil {
			return r, err
		}
	}
	for _, raw := range list {
		var s string
		var n int64
		switch {
		case json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"':
			r.Classes = append(r.Classes, s)
		case json.Unmarshal(raw, &n) == nil && kindOf(raw) != "null" && n >= 0:
			r.Classes = append(r.Classes, fmt.Sprint(n))
		default:
			return r, failure.Data("%q must be a class: a string or an integer of at least 0, or a list of them; got %s", key, kindOf(raw))
		}
	}
	return r, nil
}

func parsePreference(f fields, _ []byte) (r Record, err error) {
	for _, field := range []struct {
		key  string
		need bool
		into *string
	}{{"prompt", false, &r.Prompt}, {"chosen", true, &r.Chosen}, {"rejected", true, &r.Rejected}} {
		if isList(f[field.key]) {
			*field.into = string(f[field.key])
		} else if *field.into, err = f.text(field.key, field.need); err != nil {
			return r, err
		}
	}
	if r.Chosen == r.Rejected {
		return r, failure.Data("\"chosen\" and \"rejected\" are the same")
	}
	return r, nil
}
