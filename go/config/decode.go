package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decoder fills a Config from nodes and notes where each value came from.
type decoder struct {
	origins map[string]string
	method  string // method.type
}

// foresee looks for method.type, which keys that are read before it depend on.
func (d *decoder) foresee(root *node) {
	if root.kind != mapping {
		return
	}
	if m := root.find("method"); m != nil && m.kind == mapping {
		if t := m.find("type"); t != nil && slices.Contains(Methods(), t.text) {
			d.method = t.text
		}
	}
}

// section fills a struct of keys; n may be nil. What is not given gets its
// default.
func (d *decoder) section(v reflect.Value, n *node, prefix string) error {
	if n != nil && n.kind == null {
		n = nil
	}
	if err := object(v.Type(), n, prefix); err != nil {
		return err
	}
	for _, f := range fields(v.Type()) {
		var given *node
		if n != nil {
			given = n.find(f.name)
		}
		var err error
		if to, path := v.FieldByIndex(f.Index), prefix+f.name; f.section() {
			err = d.section(to, given, path+".")
		} else {
			err = d.key(to, given, f, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// object checks that a node is an object of the keys of a struct.
func object(t reflect.Type, n *node, prefix string) error {
	if n == nil {
		return nil
	}
	if n.kind != mapping {
		return fmt.Errorf("%s: %s must be an object of keys, got %s; %s", n.where, whole(prefix), n.describe(), known(t, prefix))
	}
	for _, e := range n.keys {
		if !slices.ContainsFunc(fields(t), func(f field) bool { return f.name == e.name }) {
			return fmt.Errorf("%s: %w", e.where, unknown(t, prefix, e.name))
		}
	}
	return nil
}

// whole names the section of a prefix.
func whole(prefix string) string {
	if prefix == "" {
		return "the file"
	}
	return strings.TrimSuffix(prefix, ".")
}

// key fills one key from a node, or with its default.
func (d *decoder) key(to reflect.Value, given *node, f field, path string) error {
	d.origins[path] = "default"
	if given == nil || given.kind == null {
		if _, own := f.own(d.method); own {
			d.origins[path] = "default for " + d.method
		}
		n, err := source{name: "default of " + path, flag: true}.leaf(f, f.defaultFor(d.method))
		if err != nil {
			return err
		}
		given = n
	} else {
		d.origins[path] = given.where
		if !f.means(d.method) {
			return fmt.Errorf("%s: %s has no effect with method.type %s; remove it", given.where, path, d.method)
		}
	}
	if err := value(to, given, f, path); err != nil {
		return err
	}
	if path == "method.type" {
		d.method = to.String()
	}
	return nil
}

// leaf parses the text of one value as YAML. Where a key takes text, it is
// taken as it stands, unless it is null, quoted or, where a list will do too, a
// list or an object.
func (s source) leaf(f field, text string) (*node, error) {
	lists := f.tag("short") != "" || f.Type == reflect.TypeFor[Modules]()
	n, err := s.parse([]byte(text))
	if n == nil && err == nil {
		n = &node{where: s.name}
	}
	literal := lists && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{") || f.Type.Kind() == reflect.String
	if literal && text != "" && (err != nil || n.kind > scalar || n.plain) {
		return &node{kind: scalar, text: text, where: s.name}, nil
	}
	return n, err
}

// value fills a Go value from a node; f gives the tags that limit it.
func value(to reflect.Value, n *node, f field, path string) error {
	fail := func(format string, a ...any) error {
		return fmt.Errorf("%s: %s: %w", n.where, path, fmt.Errorf(format, a...))
	}
	if isCustom(to.Type()) {
		if err := to.Addr().Interface().(custom).read(n); err != nil {
			return fail("%w", err)
		}
		return nil
	}
	switch to.Kind() {
	case reflect.String:
		text, err := text(n, f)
		if err != nil {
			return fail("%w", err)
		}
		to.SetString(text)
	case reflect.Bool:
		if n.kind != scalar || !n.plain || n.text != "true" && n.text != "false" {
			return fail("want true or false, got %s", n.describe())
		}
		to.SetBool(n.text == "true")
	case reflect.Int:
		v, err := integer(n, f)
		if err != nil {
			return fail("%w", err)
		}
		to.SetInt(v)
	case reflect.Float64:
		v, err := number(n, f)
		if err != nil {
			return fail("%w", err)
		}
		to.SetFloat(v)
	case reflect.Array:
		if n.kind != list || len(n.items) != to.Len() {
			return fail("want a list of %d numbers, got %s", to.Len(), n.describe())
		}
		for i, item := range n.items {
			if err := value(to.Index(i), item, f, path); err != nil {
				return err
			}
		}
	case reflect.Slice:
		return slice(to, n, f, path)
	case reflect.Map:
		if n.kind != mapping {
			return fail("want an object of names and numbers, got %s", n.describe())
		}
		to.Set(reflect.MakeMap(to.Type()))
		for _, e := range n.keys {
			v := reflect.New(to.Type().Elem()).Elem()
			if err := value(v, e.value, f, path+"."+e.name); err != nil {
				return err
			}
			to.SetMapIndex(reflect.ValueOf(e.name), v)
		}
	case reflect.Struct:
		return element(to, n, path)
	default:
		return fail("a key of type %s cannot be read", to.Type())
	}
	return nil
}

// slice fills a list. With the tag short, a text stands for an object, and one
// element for a list.
func slice(to reflect.Value, n *node, f field, path string) error {
	items := n.items
	short := f.tag("short")
	if short != "" && (n.kind == scalar && n.text != "" || n.kind == mapping) {
		items = []*node{n}
	} else if n.kind != list {
		return fmt.Errorf("%s: %s: want a list, got %s", n.where, path, n.describe())
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		if short != "" && item.kind == scalar {
			item = &node{kind: mapping, where: item.where, keys: []entry{{name: short, value: item}}}
		}
		if err := value(to.Index(i), item, f, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// element fills a struct in a list.
func element(to reflect.Value, n *node, path string) error {
	if n.kind == null {
		return fmt.Errorf("%s: %s is empty", n.where, path)
	}
	if err := object(to.Type(), n, path+"."); err != nil {
		return err
	}
	for _, f := range fields(to.Type()) {
		given := n.find(f.name)
		if given == nil || given.kind == null {
			if f.tag("required") != "" {
				return fmt.Errorf("%s: %s needs %q", n.where, path, f.name)
			}
			var err error
			if given, err = (source{name: n.where, flag: true}).leaf(f, f.defaultFor("")); err != nil {
				return err
			}
		} else if f.tag("required") != "" && given.text == "" {
			return fmt.Errorf("%s: %s.%s is empty", given.where, path, f.name)
		}
		if err := value(to.FieldByIndex(f.Index), given, f, path+"."+f.name); err != nil {
			return err
		}
	}
	return nil
}

// text reads a text and holds it to enum and match.
func text(n *node, f field) (string, error) {
	if n.kind != scalar {
		return "", fmt.Errorf("want text, got %s", n.describe())
	}
	if n.typed {
		return "", fmt.Errorf("want text, got %s; put it in quotes if it is meant", n.text)
	}
	if enum := f.tag("enum"); enum != "" {
		words := strings.Split(enum, "|")
		if slices.Contains(words, n.text) {
			return n.text, nil
		}
		if near := nearest(n.text, words); near != "" {
			return "", fmt.Errorf("%q is not one of %s (did you mean %q?)", n.text, f.allowed(), near)
		}
		return "", fmt.Errorf("%q is not one of %s", n.text, f.allowed())
	}
	if match := f.tag("match"); match != "" && !regexp.MustCompile(match).MatchString(n.text) {
		return "", fmt.Errorf("want %s, got %q", f.allowed(), n.text)
	}
	return n.text, nil
}

var (
	decimal   = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$`)
	nonFinite = regexp.MustCompile(`(?i)^[-+]?\.?(nan|inf|infinity)$`)
)

// number reads a finite number within the range tag.
func number(n *node, f field) (float64, error) {
	if n.kind != scalar || !n.plain || !decimal.MatchString(n.text) && !nonFinite.MatchString(n.text) {
		return 0, fmt.Errorf("want a number, got %s", n.describe())
	}
	r, err := bounds(f.tag("range"))
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(n.text, 64) // fails for .nan and 1e999
	if err != nil || math.IsInf(v, 0) || !r.holds(v) {
		if f.tag("range") == "" {
			return 0, fmt.Errorf("must be finite, got %s", n.text)
		}
		return 0, fmt.Errorf("must be finite and in %s, got %s", f.allowed(), n.text)
	}
	return v, nil
}

// integer reads a whole number within the range tag; 1e6 is one.
func integer(n *node, f field) (int64, error) {
	if n.kind != scalar || !n.plain || !decimal.MatchString(n.text) {
		return 0, fmt.Errorf("want a whole number, got %s", n.describe())
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil {
		wide, _ := strconv.ParseFloat(n.text, 64)
		if wide != math.Trunc(wide) {
			return 0, fmt.Errorf("want a whole number, got %s", n.text)
		}
		if math.Abs(wide) >= 1<<53 {
			return 0, fmt.Errorf("%s is too large; must be in %s", n.text, f.allowed())
		}
		v = int64(wide)
	}
	r, err := bounds(f.tag("range"))
	if err != nil {
		return 0, err
	}
	if !r.holds(float64(v)) {
		return 0, fmt.Errorf("must be in %s, got %s", f.allowed(), n.text)
	}
	return v, nil
}
