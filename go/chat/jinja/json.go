package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"sort"
	"strconv"
)

const (
	maxJSONDepth  = 200
	maxJSONDigits = 4300 // of one integer, as in Python
)

// DecodeJSON reads one JSON value as template values: objects become *Dict with
// their keys in order, arrays []any, numbers int64, *big.Int or float64. Of a
// key given twice the last value counts.
func DecodeJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("invalid JSON at byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("invalid JSON at byte %d: more after the value", d.InputOffset())
	}
	return v, nil
}

func decodeValue(d *json.Decoder, level int) (any, error) {
	if level > maxJSONDepth {
		return nil, fmt.Errorf("nested more than %d levels", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := t.(type) {
	case json.Number:
		return decodeNumber(x.String())
	case json.Delim:
		if x == '{' {
			return decodeObject(d, level)
		}
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, level+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func decodeObject(d *json.Decoder, level int) (any, error) {
	object := NewDict()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, level+1)
		if err != nil {
			return nil, err
		}
		object.Set(key.(string), v)
	}
	_, err := d.Token()
	return object, err
}

func decodeNumber(s string) (any, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	if len(s) <= maxJSONDigits {
		if z, ok := new(big.Int).SetString(s, 10); ok {
			return z, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("number %.20s is out of range", s)
	}
	return f, nil
}

// FromGo turns plain Go data into template values: maps get their keys in
// alphabetical order, since Go has none. Values of this package stay as they
// are; any other type is an error.
func FromGo(v any) (any, error) {
	switch x := v.(type) {
	case nil, bool, int64, float64, string, *big.Int, *Dict:
		return v, nil
	case int:
		return int64(x), nil
	case json.RawMessage:
		return DecodeJSON(x)
	case []string:
		list := make([]any, len(x))
		for i, s := range x {
			list[i] = s
		}
		return list, nil
	case []any:
		list := make([]any, len(x))
		for i, item := range x {
			var err error
			if list[i], err = FromGo(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		dict := NewDict()
		for _, k := range keys {
			item, err := FromGo(x[k])
			if err != nil {
				return nil, err
			}
			dict.Set(k, item)
		}
		return dict, nil
	}
	return nil, fmt.Errorf("a template cannot use a Go value of type %T", v)
}

// Items gives the items of a JSON array.
func Items(v any) ([]any, bool) {
	items, ok := v.([]any)
	return items, ok
}
