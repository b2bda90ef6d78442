package config_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/graftlm/graft/go/config"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// candidates are values, as JSON, each of which some keys take and others
// refuse.
var candidates = []string{
	`"auto"`, `"cpu"`, `"cuda:3"`, `"cuda:"`, `"bf16"`, `"full"`, `"gaussian"`, `"refuse"`, `"adamw"`, `"lora"`, `"linear"`, `"none"`, `"truncate"`, `"last"`, `"skip"`, `"a.jsonl"`, `"24GiB"`, `""`,
	`0`, `1`, `2`, `7`, `-1`, `0.5`, `1.5`, `1000`, `5000000000`, `1e-9`, `true`, `false`,
	`[]`, `[0.5,0.75]`, `[1,2]`, `[1,-2]`, `["loss","acc"]`, `["q_proj","b"]`, `{}`, `{"a":3}`, `{"a":0}`, `{"a":0.5}`,
	`[{"path":"x","format":"text","weight":0.5},"y"]`, `{"path":"x"}`, `[{"path":"x","extra":1}]`, `[{"format":"text"}]`, `[{"path":""}]`, `[{"path":"x","weight":0}]`,
}

// schemaOf finds the schema of a key.
func schemaOf(t *testing.T, path string) map[string]any {
	var s map[string]any
	require.NoError(t, json.Unmarshal(config.Schema(), &s))
	for _, name := range strings.Split(path, ".") {
		next, ok := s["properties"].(map[string]any)[name]
		require.True(t, ok, "%s is not in the schema", path)
		require.Equal(t, false, s["additionalProperties"])
		s = next.(map[string]any)
	}
	return s
}

// Every key: it is in the schema with a default that the schema accepts; every
// candidate is taken by --set, by the file and by the schema alike or by none;
// and what is taken survives being written and read again.
func TestEveryKeyRoundTrips(t *testing.T) {
	keys := config.Keys()
	require.Greater(t, len(keys), 50)
	for _, k := range keys {
		t.Run(k.Path, func(t *testing.T) {
			assert.NotEmpty(t, k.Doc)
			assert.True(t, strings.HasSuffix(k.Doc, "."), "%q is a sentence", k.Doc)
			s := schemaOf(t, k.Path)
			assert.Equal(t, k.Doc, s["description"].(string)[:len(k.Doc)])
			assert.True(t, accepts(s, s["default"]), "the schema refuses the default %v", s["default"])
			var first []string // what the key asks of others
			open := `{"` + strings.ReplaceAll(k.Path, ".", `":{"`)
			if len(k.Only) > 0 && !slices.Contains(k.Only, "lora") {
				first = []string{"method.type=" + k.Only[0]}
				open = `{"method":{"type":"` + k.Only[0] + `","` + strings.TrimPrefix(k.Path, "method.")
			}
			taken := 0
			for _, text := range candidates {
				var v any
				require.NoError(t, json.Unmarshal([]byte(text), &v))
				inFile := fmt.Sprintf("%s\":%s%s", open, text, strings.Repeat("}", 1+strings.Count(k.Path, ".")))
				c, err := config.Parse("run.yaml", []byte(inFile), nil)
				if c == nil && crossed(err) {
					continue
				}
				require.Equal(t, accepts(s, v), err == nil, "%s = %s: %v", k.Path, text, err)
				if err != nil {
					continue
				}
				taken++
				assert.Equal(t, "run.yaml:1", c.Origin(k.Path))
				set := text
				if bare, ok := v.(string); ok && bare != "" {
					set = bare
				}
				c2, err := config.Parse("run.yaml", nil, append(first, k.Path+"="+set))
				require.NoError(t, err)
				assert.Equal(t, "--set "+k.Path, c2.Origin(k.Path))
				assert.Equal(t, values(c), values(c2), "--set %s=%s", k.Path, set)
				again, err := config.Parse("resolved.yaml", c.Resolved(), nil)
				require.NoError(t, err, "%s", c.Resolved())
				assert.Equal(t, values(c), values(again))
			}
			assert.NotZero(t, taken, "no candidate suits this key")
			assert.Less(t, taken, len(candidates), "every candidate suits this key")
		})
	}
}

// crossed reports whether a value was refused for what another key says, which
// a schema cannot know.
func crossed(err error) bool {
	for _, s := range []string{"has no effect with", "selects nothing", "nothing would be trained", "both given", "whole number of records", "is one regular expression"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

// values is the resolved file without the comments.
func values(c *config.Config) string {
	return regexp.MustCompile(`(?m)  # .*$`).ReplaceAllString(string(c.Resolved()), "")
}

// Hostile text in a value comes back from the resolved file as it was, read by
// us and by the YAML library alone.
func TestResolvedQuotesText(t *testing.T) {
	for _, text := range []string{"a # b", "a: b", "- x", "~", "null", "True", "12", "1e5", "0x10", "yes", ".nan", "'", `"`, "a\nb", "*a", "&a", "!x", "%", "@", "`", "ü/日本", " lead", "trail ", "C:", "a:b", "\u2028", "{", "[1]", "?", "|", "\u007f", "\u0085", "<&>"} {
		c, err := config.Parse("run.yaml", nil, []string{"model.path=" + text})
		require.NoError(t, err, "%q", text)
		again, err := config.Parse("resolved.yaml", c.Resolved(), nil)
		require.NoError(t, err, "%q: %s", text, c.Resolved())
		require.Equal(t, c.Model.Path, again.Model.Path)
		var plain struct{ Model struct{ Path any } }
		require.NoError(t, yaml.Unmarshal(c.Resolved(), &plain))
		require.Equal(t, any(c.Model.Path), plain.Model.Path)
	}
}

// accepts judges a value by the part of JSON Schema that the schema uses.
func accepts(s map[string]any, v any) bool {
	if any, ok := s["anyOf"].([]any); ok {
		return slices.ContainsFunc(any, func(one interface{}) bool { return accepts(one.(map[string]interface{}), v) })
	}
	if c, ok := s["const"]; ok {
		return c == v
	}
	switch v := v.(type) {
	case nil:
		return s["type"] == "null"
	case bool:
		return s["type"] == "boolean"
	case string:
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			return false
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return false
		}
		least, _ := s["minLength"].(float64)
		return s["type"] == "string" && len(v) >= int(least)
	case float64:
		limit := func(name string, holds func(b float64) bool) bool {
			b, ok := s[name].(float64)
			return !ok || holds(b)
		}
		return (s["type"] == "number" || s["type"] == "integer" && v == math.Trunc(v)) &&
			limit("minimum", func(b float64) bool { return v >= b }) && limit("exclusiveMinimum", func(b float64) bool { return v > b }) &&
			limit("maximum", func(b float64) bool { return v <= b }) && limit("exclusiveMaximum", func(b float64) bool { return v < b })
	case []any:
		least, _ := s["minItems"].(float64)
		most, bounded := s["maxItems"].(float64)
		return s["type"] == "array" && len(v) >= int(least) && (!bounded || len(v) <= int(most)) &&
			!slices.ContainsFunc(v, func(item any) bool { return !accepts(s["items"].(map[string]any), item) })
	case map[string]any:
		if s["type"] != "object" {
			return false
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return false
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, value := range v {
			of, ok := properties[name].(map[string]any)
			if !ok {
				of, ok = s["additionalProperties"].(map[string]any)
			}
			if !ok || !accepts(of, value) {
				return false
			}
		}
		return true
	}
	return false
}

// FuzzParse: any text is an error of kind Config, or a run that survives being
// written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{run, "", "a: &a [*a]", "? [x]\n: y", "method: {target_modules: '(', r: 1_0}", "data: {train: [a, {path: b}]}", "{\"optim\":{\"eps\":1e-5}}", "- - - a", "x: |\n  y\n", "\xef\xbb\xbfdevice: 'cpu'\r\n", "<<: {}", "device: \"\\u0000\"", "memory: {limit: 1.5 GB}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("run.yaml", []byte(text), nil)
		if err != nil {
			require.ErrorIs(t, err, failure.ErrConfig)
			return
		}
		again, err := config.Parse("resolved.yaml", c.Resolved(), nil)
		require.NoError(t, err, "%s", c.Resolved())
		require.Equal(t, values(c), values(again))
	})
}
