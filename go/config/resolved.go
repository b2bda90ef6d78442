package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Resolved is the run file that says everything: each key that has a meaning
// for the method, its value, and in a comment where that came from. Read
// again, it gives the same Config.
func (c *Config) Resolved() []byte {
	var b bytes.Buffer
	c.write(&b, reflect.ValueOf(c).Elem(), "", 0)
	return b.Bytes()
}

func (c *Config) write(b *bytes.Buffer, v reflect.Value, prefix string, depth int) {
	for _, f := range fields(v.Type()) {
		indent, path, value := strings.Repeat("  ", depth), prefix+f.name, v.FieldByIndex(f.Index)
		if !f.means(c.Method.Type) {
			continue
		}
		if f.section() {
			fmt.Fprintf(b, "%s%s:\n", indent, f.name)
			c.write(b, value, path+".", depth+1)
			continue
		}
		fmt.Fprintf(b, "%s%s: %s  # %s\n", indent, f.name, spell(plainValue(value)), c.origins[path])
	}
}

// Settings are the values of all keys that have a meaning for the method, as the
// run file spells them.
func (c *Config) Settings() map[string]string {
	all := map[string]string{}
	for _, k := range Keys() {
		if k.field.means(c.Method.Type) {
			all[k.Path] = spell(plainValue(c.lookup(k)))
		}
	}
	return all
}

// MarshalJSON gives what Resolved does: under config a run file, under origins where each
// value came from.
func (c *Config) MarshalJSON() ([]byte, error) {
	var origins ordered
	return json.Marshal(ordered{{"config", c.object(reflect.ValueOf(c).Elem(), "", &origins)}, {"origins", &origins}})
}

func (c *Config) object(v reflect.Value, prefix string, origins *ordered) (o ordered) {
	for _, f := range fields(v.Type()) {
		path, value := prefix+f.name, v.FieldByIndex(f.Index)
		switch {
		case !f.means(c.Method.Type):
		case f.section():
			o = append(o, member{f.name, c.object(value, path+".", origins)})
		default:
			o = append(o, member{f.name, plainValue(value)})
			*origins = append(*origins, member{path, c.origins[path]})
		}
	}
	return o
}

// lookup is the value of a key.
func (c *Config) lookup(k Key) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for _, name := range strings.Split(k.Path, ".") {
		for _, f := range fields(v.Type()) {
			if f.name == name {
				v = v.FieldByIndex(f.Index)
				break
			}
		}
	}
	return v
}

var (
	bare = regexp.MustCompile(`^[A-Za-z./~][A-Za-z0-9_./:~-]*$`)
	word = regexp.MustCompile(`(?i)^(~|null|true|false|yes|no|on|off|y|n|\.nan|\.?inf|.*:)$`)
)

// spell is a value as YAML: text bare where it can be, the rest as JSON.
func spell(v any) string {
	if s, ok := v.(string); ok && bare.MatchString(s) && !word.MatchString(s) && !decimal.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // values are text, finite numbers, lists and maps of them
	}
	return strings.TrimSuffix(b.String(), "\n")
}
