package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Key describes one key of the run file.
type Key struct {
	Path    string // optim.learning_rate
	Doc     string
	Default string            // as YAML
	When    map[string]string // defaults of single values of method.type
	Only    []string          // the values of method.type it belongs to, none for all
	Allowed string            // range, values or form, for a reader; "" for anything
	field   field
}

// Keys lists all keys, in the order of the file.
func Keys() []Key {
	var keys []Key
	walk(reflect.TypeFor[Config](), "", func(path string, f field) {
		k := Key{Path: path, Doc: f.tag("doc"), Default: f.defaultFor(""), Only: f.only(), Allowed: f.allowed(), field: f}
		for _, method := range Methods() {
			if d, ok := f.Tag.Lookup(method); ok {
				if k.When == nil {
					k.When = map[string]string{}
				}
				k.When[method] = d
			}
		}
		keys = append(keys, k)
	})
	return keys
}

// walk visits the keys that hold values, below a struct of sections.
func walk(t reflect.Type, prefix string, visit func(path string, f field)) {
	for _, f := range fields(t) {
		if f.section() {
			walk(f.Type, prefix+f.name+".", visit)
		} else {
			visit(prefix+f.name, f)
		}
	}
}

// Methods are the values of method.type.
func Methods() []string {
	f, _ := reflect.TypeFor[Method]().FieldByName("Type")
	return strings.Split(f.Tag.Get("enum"), "|")
}

// kin is the method whose keys and defaults a method has: QLoRA is LoRA over a
// base in four bits.
func kin(method string) string {
	if method == "qlora" {
		return "lora"
	}
	return method
}

// Kind is the method of method.type: several types may be one method.
func (m Method) Kind() string { return kin(m.Type) }

// own is the default that a key has for a method alone.
func (f field) own(method string) (string, bool) {
	if method == "" {
		return "", false
	}
	if d, ok := f.Tag.Lookup(method); ok {
		return d, true
	}
	return f.Tag.Lookup(kin(method))
}

// field is a struct field that is a key.
type field struct {
	reflect.StructField
	name string
}

// fields lists the keys of a struct.
func fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		if name, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			list = append(list, field{t.Field(i), name})
		}
	}
	return list
}

func (f field) tag(name string) string { return f.Tag.Get(name) }

// only lists the methods that a key belongs to, none for all.
func (f field) only() []string {
	if tag := f.tag("only"); tag != "" {
		return strings.Split(tag, "|")
	}
	return nil
}

// means reports whether a key means anything with a method.
func (f field) means(method string) bool {
	only := f.only()
	return only == nil || slices.Contains(only, method) || slices.Contains(only, kin(method))
}

// section reports whether a field holds further keys.
func (f field) section() bool { return f.Type.Kind() == reflect.Struct && !isCustom(f.Type) }

// defaultFor is the default under a method, as YAML.
func (f field) defaultFor(method string) string {
	if d, ok := f.own(method); ok {
		return d
	}
	if d, ok := f.Tag.Lookup("default"); ok {
		return d
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		return "false"
	case reflect.Int, reflect.Float64:
		return "0"
	}
	return `""`
}

// allowed says what values a field takes, in words.
func (f field) allowed() string {
	switch {
	case f.tag("range") != "":
		return strings.ReplaceAll(f.tag("range"), ",", ", ")
	case f.tag("enum") != "":
		return strings.ReplaceAll(f.tag("enum"), "|", ", ")
	}
	return f.tag("form")
}

// interval is a parsed range tag.
type interval struct {
	low, high         float64
	openLow, openHigh bool
}

// bounds parses a range tag such as (0,1].
func bounds(tag string) (interval, error) {
	r := interval{low: math.Inf(-1), high: math.Inf(1)}
	if tag == "" {
		return r, nil
	}
	low, high, ok := strings.Cut(tag[1:len(tag)-1], ",")
	var err1, err2 error
	r.low, err1 = strconv.ParseFloat(low, 64)
	r.high, err2 = strconv.ParseFloat(high, 64)
	r.openLow, r.openHigh = tag[0] == '(', tag[len(tag)-1] == ')'
	if !ok || err1 != nil || err2 != nil {
		return r, fmt.Errorf("bad range tag %q", tag)
	}
	return r, nil
}

func (r interval) holds(v float64) bool {
	return (v > r.low || v == r.low && !r.openLow) && (v < r.high || v == r.high && !r.openHigh)
}
