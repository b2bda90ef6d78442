package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Dict is a Python dict: it keeps the order in which keys were first set. Its
// methods take string keys, as JSON objects have; a template may use others.
type Dict struct {
	keys   []any
	values map[any]any // by hashed key
}

// NewDict returns an empty Dict.
func NewDict() *Dict { return &Dict{values: map[any]any{}} }

// Len is the number of keys; a nil Dict has none.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.keys)
}

// Get returns the value of a key.
func (d *Dict) Get(key string) (any, bool) {
	if d == nil {
		return nil, false
	}
	v, ok := d.values[key]
	return v, ok
}

// Set gives a key its value; a key that is there keeps its place.
func (d *Dict) Set(key string, value any) { d.put(key, key, value) }

// Keys lists the string keys in order.
func (d *Dict) Keys() []string {
	if d == nil {
		return nil
	}
	keys := make([]string, 0, len(d.keys))
	for _, k := range d.keys {
		if s, ok := asString(k); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

func (d *Dict) put(hash, key, value any) {
	if _, ok := d.values[hash]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[hash] = value
}

func (d *Dict) get(key any) (any, bool) {
	v, ok := d.values[hashOf(key)]
	return v, ok
}

func (d *Dict) pairs() []any {
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = tuple{k, d.values[hashOf(k)]}
	}
	return out
}

func (d *Dict) list() []any {
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = d.values[hashOf(k)]
	}
	return out
}

type bigKey string
type tupleKey string

// hashOf maps keys that Python holds equal (1, 1.0, True) to one Go map key.
func hashOf(k any) any {
	switch x := k.(type) {
	case nil, int64, string:
		return k
	case markup:
		return string(x)
	case bool:
		i, _ := asInt(x)
		return i
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x)
		}
		return x
	case *big.Int:
		return bigKey(x.String())
	case undefined:
		return undefined{}
	case tuple:
		var b strings.Builder
		flatKey(&b, x, 0)
		return tupleKey(b.String())
	}
	fail("unhashable type: '%s'", typeName(k))
	return nil
}

// maxKey bounds a tuple used as a key, whose parts may repeat without end.
const maxKey = 1 << 12

func flatKey(b *strings.Builder, t tuple, level int) {
	if level > maxNested || b.Len() > maxKey {
		fail("a tuple used as a dict key is too large")
	}
	b.WriteByte('(')
	for _, item := range t {
		if u, ok := item.(tuple); ok {
			flatKey(b, u, level+1)
			continue
		}
		switch h := hashOf(item).(type) {
		case string:
			b.WriteString(strconv.Quote(h))
		case int64:
			b.WriteString(strconv.FormatInt(h, 10))
		case float64:
			b.WriteString(strconv.FormatFloat(h, 'g', -1, 64))
		case bigKey:
			b.WriteString(string(h))
		case nil:
			b.WriteByte('n')
		default:
			b.WriteByte('u')
		}
		b.WriteByte(',')
	}
	b.WriteByte(')')
}
