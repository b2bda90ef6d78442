package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Object is a JSON object that keeps the order of its keys, and its very bytes
// as long as nothing is changed: a model's files are copied, not rewritten.
type Object struct {
	raw    []byte
	keys   []string
	fields map[string]json.RawMessage
}

// ParseObject reads a JSON object. A duplicate key is an error.
func ParseObject(raw []byte) (*Object, error) {
	text := bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object")
	}
	o := &Object{raw: raw, fields: map[string]json.RawMessage{}}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("bad JSON at byte %d: %w", d.InputOffset(), err)
		}
		key := t.(string)
		if _, twice := o.fields[key]; twice {
			return nil, fmt.Errorf("duplicate key %q", key)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("bad JSON at key %q: %w", key, err)
		}
		o.keys = append(o.keys, key)
		o.fields[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("bad JSON at byte %d: the object does not end", d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("bytes follow the object at %d", d.InputOffset())
	}
	return o, nil
}

// Bytes is the file: as it was read, or indented by two spaces after a change.
func (o *Object) Bytes() []byte {
	if o.raw != nil {
		return o.raw
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(key))
		b.WriteByte(':')
		b.Write(o.fields[key])
	}
	b.WriteByte('}')
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b.Bytes(), "", "  "); err != nil {
		panic(err) // every field was parsed or encoded before
	}
	pretty.WriteByte('\n')
	return pretty.Bytes()
}

// Keys lists the keys in the order of the file.
func (o *Object) Keys() []string { return slices.Clone(o.keys) }

// Get decodes the value of a key into v. It reports false if the key is absent
// or null.
func (o *Object) Get(key string, v any) (bool, error) {
	raw, ok := o.fields[key]
	if !ok || string(raw) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("%q: %w", key, err)
	}
	return true, nil
}

// Set changes a key in its place, or adds it at the end.
func (o *Object) Set(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, ok := o.fields[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.fields[key], o.raw = raw, nil
	return nil
}

// Delete removes a key, if it is there.
func (o *Object) Delete(key string) {
	if i := slices.Index(o.keys, key); i >= 0 {
		o.keys = slices.Delete(o.keys, i, i+1)
		delete(o.fields, key)
		o.raw = nil
	}
}

// encode is the JSON of a string, with <, > and & as they are.
func encode(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSpace(b.Bytes())
}
