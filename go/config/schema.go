package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of the run file, for editors.
func Schema() []byte {
	s := objectSchema(reflect.TypeFor[Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "graft run file"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // the tags hold nothing that JSON does not
	}
	return b.Bytes()
}

func objectSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	for _, f := range fields(t) {
		if f.section() {
			p := objectSchema(f.Type)
			p["description"], p["type"] = f.tag("doc"), []string{"object", "null"}
			properties[f.name] = p
			continue
		}
		properties[f.name] = keySchema(f)
		if f.tag("required") != "" {
			s["required"] = []string{f.name}
		}
	}
	return s
}

// keySchema describes one key, which may also be null: its default.
func keySchema(f field) map[string]any {
	s := map[string]any{"anyOf": []any{typeSchema(f.Type, f), map[string]any{"type": "null"}}, "description": describe(f)}
	if f.tag("required") != "" {
		return map[string]any{"type": "string", "minLength": 1, "description": describe(f)}
	}
	v := reflect.New(f.Type).Elem()
	n, err := source{name: f.name, flag: true}.leaf(f, f.defaultFor(""))
	if err == nil {
		err = value(v, n, f, f.name)
	}
	if err != nil {
		panic(err) // a default that its own key refuses: the tests read each
	}
	s["default"] = plainValue(v)
	return s
}

// describe is the doc of a key with what depends on the method.
func describe(f field) string {
	text := f.tag("doc")
	for _, method := range Methods() {
		if d, ok := f.Tag.Lookup(method); ok {
			text += fmt.Sprintf(" Default for %s: %s.", method, d)
		}
	}
	if f.only() != nil {
		of := slices.DeleteFunc(Methods(), func(m string) bool { return !f.means(m) })
		text += fmt.Sprintf(" With method.type %s only.", strings.Join(of, " or "))
	}
	return text
}

func typeSchema(t reflect.Type, f field) map[string]any {
	if isCustom(t) {
		return reflect.New(t).Interface().(custom).schema()
	}
	switch t.Kind() {
	case reflect.String:
		s := map[string]any{"type": "string"}
		if enum := f.tag("enum"); enum != "" {
			s["enum"] = strings.Split(enum, "|")
		}
		if match := f.tag("match"); match != "" {
			s["pattern"] = match
		}
		return s
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Float64:
		return numberSchema(t, f)
	case reflect.Array:
		return map[string]any{"type": "array", "items": typeSchema(t.Elem(), f), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Slice:
		short := f.tag("short")
		if short == "" {
			return map[string]any{"type": "array", "items": typeSchema(t.Elem(), f)}
		}
		item := map[string]any{"anyOf": []any{map[string]any{"type": "string", "minLength": 1}, typeSchema(t.Elem(), f)}}
		return map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": item}, item}}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(t.Elem(), f)}
	}
	return objectSchema(t)
}

func numberSchema(t reflect.Type, f field) map[string]any {
	s := map[string]any{"type": "number"}
	if t.Kind() == reflect.Int {
		s["type"] = "integer"
	}
	r, err := bounds(f.tag("range"))
	if err != nil {
		panic(err) // the tests read every tag
	}
	for _, b := range []struct {
		limit     float64
		open      bool
		name, bar string
	}{{r.low, r.openLow, "minimum", "exclusiveMinimum"}, {r.high, r.openHigh, "maximum", "exclusiveMaximum"}} {
		switch {
		case math.IsInf(b.limit, 0):
		case b.open:
			s[b.bar] = b.limit
		default:
			s[b.name] = b.limit
		}
	}
	return s
}
