package jinja_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func render(t *testing.T, source string, vars *jinja.Dict) (string, error) {
	t.Helper()
	tpl, err := jinja.Parse("t", source)
	if err != nil {
		return "", err
	}
	out, err := tpl.Render(vars, jinja.Options{Now: time.Date(2025, 3, 7, 14, 5, 9, 0, time.UTC)})
	return out.Text, err
}

// TestIdioms compares with jinja2 (testdata/idioms.py).
func TestIdioms(t *testing.T) {
	var given struct{ Variables json.RawMessage }
	var cases []struct {
		Template string
		Text     string
		Fails    bool
	}
	for file, into := range map[string]any{"idioms.in.json": &given, "idioms.json": &cases} {
		data, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, into))
	}
	v, err := jinja.DecodeJSON(given.Variables)
	require.NoError(t, err)
	for _, c := range cases {
		text, err := render(t, c.Template, v.(*jinja.Dict))
		switch {
		case c.Fails:
			assert.ErrorIs(t, err, failure.ErrData, c.Template)
		case unsupported[c.Template]:
			assert.False(t, err == nil && text == c.Text, "%s is supported now: take it off the list", c.Template)
		case assert.NoError(t, err, c.Template):
			assert.Equal(t, c.Text, text, c.Template)
		}
	}
}

// TestHostile renders templates that would run or grow without end.
func TestHostile(t *testing.T) {
	rep := strings.Repeat
	for name, source := range map[string]string{
		"range":   "{% for i in range(10**9) %}x{% endfor %}",
		"loops":   "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
		"string":  "{{ ('a' * 1000000000)|length }}",
		"list":    "{{ ([1] * 1000000000000)|length }}",
		"double":  "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
		"dag":     "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
		"dagcmp":  "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
		"parens":  "{{ " + rep("(", 100000) + "1" + rep(")", 100000) + " }}",
		"lists":   "{{ " + rep("[", 100000) + "1" + rep("]", 100000) + " }}",
		"nots":    "{{ " + rep("not ", 60000) + "1 }}",
		"plus":    "{{ 1" + rep("+1", 100000) + " }}",
		"attr":    "{{ x" + rep(".a", 100000) + " }}",
		"ifs":     rep("{% if 1 %}", 10000) + "x" + rep("{% endif %}", 10000),
		"macro":   "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
		"replace": "{% set x = 'a' * 100000 %}{% set y = x|replace('a', x) %}{{ y|length }}",
		"power":   "{{ 10**1000000000 }}",
		"batch":   "{{ [1]|batch(1000000000, 0)|list|length }}",
		"format":  "{{ '%0999999999d'|format(1)|length }}",
		"fields":  "{{ '{:>999999999}'.format(1)|length }}",
		"deep":    "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
		"loop":    "{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
		"size":    rep("{{ 1 }}", 100000),
	} {
		_, err := render(t, source, jinja.NewDict())
		assert.ErrorIs(t, err, failure.ErrData, name)
	}
}
