package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
)

// Form is a shape that records come in.
type Form string

// The forms, with the keys by which they are detected, in this order.
const (
	Auto             Form = "auto"
	Tokens           Form = "tokens"            // input_ids (labels)
	Messages         Form = "messages"          // messages (tools)
	ShareGPT         Form = "sharegpt"          // conversations of {from, value}
	Segments         Form = "segments"          // segments of {label, text}
	Preference       Form = "preference"        // chosen, rejected (prompt): strings, or lists of messages
	Unpaired         Form = "unpaired"          // prompt, completion, label: true or false
	PromptCompletion Form = "prompt_completion" // prompt, completion: strings, or lists of messages
	Alpaca           Form = "alpaca"            // instruction, output (input, system)
	Classification   Form = "classification"    // text, label or labels (text_pair)
	Text             Form = "text"              // text
)

// Record is one parsed record. The fields of its form are set.
type Record struct {
	Form Form

	// Messages, ShareGPT, and PromptCompletion as messages, of which the first
	// PromptTurns are the prompt.
	Conversation chat.Conversation
	PromptTurns  int

	Prompt, Completion string // PromptCompletion, Alpaca, Preference (prompt), Unpaired
	Text, TextPair     string // Text, Classification

	IDs, Labels []int32 // Tokens; Labels is nil where the record has none

	Classes []string // Classification: one label, or several
	Listed  bool     // the labels were a list
	Numbers bool     // one of them is a number that is no class: 0.5, -1

	Segments []Segment // Segments

	// Preference: the answers, as strings or as messages. Their prompt is Prompt
	// or Conversation; without one it is what the messages of both begin with.
	Chosen, Rejected           string
	ChosenTurns, RejectedTurns []chat.Message

	Good bool // Unpaired: whether the completion is wanted

	Adapter string // of any form: what an evaluation with several adapters uses for it
}

// ParseRecord reads one JSON object. Form Auto detects by keys; any other asks
// for that form. Errors are failure.Data and name the key, what was found and
// what was expected.
func ParseRecord(data []byte, form Form) (Record, error) {
	if err := checkText(data); err != nil {
		return Record{}, err
	}
	var fields fields
	if err := json.Unmarshal(data, &fields); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Record{}, failure.Data("invalid JSON at byte %d: %w", syntax.Offset, syntax)
		}
		return Record{}, failure.Data("a record must be a JSON object, got %s", kindOf(data))
	}
	if fields == nil {
		return Record{}, failure.Data("a record must be a JSON object, got null")
	}
	data = fields.unwrap(data)
	if form == Auto || form == "" {
		var err error
		if form, err = fields.form(); err != nil {
			return Record{}, err
		}
	}
	parse, ok := parsers[form]
	if !ok {
		return Record{}, failure.Config("unknown record format %q; use auto, tokens, messages, sharegpt, segments, preference, unpaired, prompt_completion, alpaca, classification or text", form)
	}
	r, err := parse(fields, data)
	if err == nil {
		r.Adapter, err = fields.text("adapter", false)
	}
	r.Form = form
	return r, err
}

var parsers = map[Form]func(fields, []byte) (Record, error){
	Tokens:   parseTokens,
	Messages: parseMessages, ShareGPT: parseShareGPT,
	Preference: parsePreference, Unpaired: parseUnpaired, Segments: parseSegments, PromptCompletion: parsePromptCompletion,
	Alpaca: parseAlpaca, Classification: parseClassification, Text: parseText,
}

type fields map[string]json.RawMessage

func (f fields) has(key string) bool {
	v, ok := f[key]
	return ok && !bytes.Equal(v, []byte("null"))
}

// unwrap takes lists out of the text that a table holds them as: a cell of CSV
// has no other type. It gives the whole record again.
func (f fields) unwrap(data []byte) []byte {
	changed := false
	for _, key := range []string{"messages", "conversations", "segments", "input_ids", "labels", "prompt", "completion", "chosen", "rejected"} {
		var text string
		if len(f[key]) == 0 || f[key][0] != '"' || json.Unmarshal(f[key], &text) != nil {
			continue
		}
		var list []json.RawMessage
		if !strings.HasPrefix(text, "[") || json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 {
			continue
		}
		if ids := key == "input_ids" || key == "labels"; ids || list[0][0] == '{' {
			f[key], changed = json.RawMessage(text), true
		}
	}
	if !changed {
		return data
	}
	if whole, err := json.Marshal(f); err == nil {
		return whole
	}
	return data
}

func (f fields) form() (Form, error) {
	for _, c := range []struct {
		form Form
		keys []string
	}{
		{Tokens, []string{"input_ids"}}, {Messages, []string{"messages"}}, {ShareGPT, []string{"conversations"}},
		{Segments, []string{"segments"}}, {Preference, []string{"chosen", "rejected"}}, {Unpaired, []string{"prompt", "completion", "label"}}, {PromptCompletion, []string{"prompt", "completion"}},
		{Alpaca, []string{"instruction", "output"}}, {Classification, []string{"text", "label"}},
		{Classification, []string{"text", "labels"}}, {Text, []string{"text"}},
	} {
		if c.form == Unpaired && !isBool(f["label"]) {
			continue // a column of something else
		}
		if !slices.ContainsFunc(c.keys, func(k string) bool { return !f.has(k) }) {
			return c.form, nil
		}
	}
	keys := make([]string, 0, len(f))
	for k := range f {
		keys = append(keys, fmt.Sprintf("%.40q", k))
	}
	sort.Strings(keys)
	if len(keys) > 12 {
		keys = append(keys[:12], "…")
	}
	return "", failure.Data("no known form of record has the keys [%s]; expected messages, conversations, prompt and completion, instruction and output, text, segments, or input_ids", strings.Join(keys, ", "))
}

// text reads a string. A key that is not needed may be missing or null.
func (f fields) text(key string, need bool) (string, error) {
	if !f.has(key) && !need {
		return "", nil
	}
	var s string
	if err := f.value(key, &s, "a string"); err != nil {
		return "", err
	}
	return s, nil
}

func (f fields) value(key string, into any, what string) error {
	if !f.has(key) {
		return failure.Data("%q is missing; expected %s", key, what)
	}
	if err := json.Unmarshal(f[key], into); err != nil {
		return failure.Data("%q must be %s, got %s", key, what, kindOf(f[key]))
	}
	return nil
}

func kindOf(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '[':
		return "a list"
	case '{':
		return "an object"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return fmt.Sprintf("%.24s", raw)
}

// isBool accepts true and false, and the words in a cell of a table.
func isBool(raw []byte) bool {
	return slices.Contains([]string{"true", "false"}, strings.ToLower(strings.Trim(string(raw), `"`)))
}

func isList(raw []byte) bool { return len(raw) > 0 && raw[0] == '[' }

func parseText(f fields, _ []byte) (r Record, err error) {
	if r.Text, err = f.text("text", true); err == nil && r.Text == "" {
		err = failure.Data("\"text\" is empty")
	}
	return r, err
}

func parseTokens(f fields, _ []byte) (r Record, err error) {
	if r.IDs, err = f.ids("input_ids"); err != nil {
		return r, err
	}
	if len(r.IDs) == 0 {
		return r, failure.Data("\"input_ids\" is empty")
	}
	for i, id := range r.IDs {
		if id < 0 {
			return r, failure.Data("input_ids[%d] is %d; expected an id of at least 0", i, id)
		}
	}
	if !f.has("labels") {
		return r, nil
	}
	if r.Labels, err = f.ids("labels"); err != nil {
		return r, err
	}
	if len(r.Labels) != len(r.IDs) {
		return r, failure.Data("\"labels\" has %d elements and \"input_ids\" %d; they must be as long", len(r.Labels), len(r.IDs))
	}
	for i, label := range r.Labels {
		if label != Masked && label != r.IDs[i] {
			return r, failure.Data("labels[%d] is %d and input_ids[%d] is %d; a label is the id itself, or -100 for a token that is not trained", i, label, i, r.IDs[i])
		}
	}
	return r, nil
}

func (f fields) ids(key string) ([]int32, error) {
	var wide []int64
	if err := f.value(key, &wide, "a list of integers"); err != nil {
		return nil, err
	}
	ids := make([]int32, len(wide))
	for i, v := range wide {
		if v < math.MinInt32 || v > math.MaxInt32 {
			return nil, failure.Data("%s[%d] is %d, which is no token id", key, i, v)
		}
		ids[i] = int32(v)
	}
	return ids, nil
}

func parsePromptCompletion(f fields, data []byte) (r Record, err error) {
	if isList(f["prompt"]) || isList(f["completion"]) {
		return parsePromptMessages(f)
	}
	if r.Prompt, err = f.text("prompt", true); err != nil {
		return r, err
	}
	if r.Completion, err = f.text("completion", true); err == nil && r.Completion == "" {
		err = failure.Data("\"completion\" is empty")
	}
	return r, err
}

// The two templates of Stanford Alpaca (Taori et al., 2023).
const (
	alpacaIntro      = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
	alpacaIntroInput = "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request."
)

func parseAlpaca(f fields, _ []byte) (r Record, err error) {
	var instruction, input, system string
	for _, field := range []struct {
		key  string
		need bool
		into *string
	}{{"instruction", true, &instruction}, {"input", false, &input}, {"output", true, &r.Completion}, {"system", false, &system}} {
		if *field.into, err = f.text(field.key, field.need); err != nil {
			return r, err
		}
	}
	if r.Completion == "" {
		return r, failure.Data("\"output\" is empty")
	}
	intro, middle := alpacaIntro, ""
	if input != "" {
		intro, middle = alpacaIntroInput, "\n\n### Input:\n"+input
	}
	if system != "" {
		intro = system
	}
	r.Prompt = intro + "\n\n### Instruction:\n" + instruction + middle + "\n\n### Response:"
	return r, nil
}
