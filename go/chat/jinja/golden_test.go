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
		"range":    "{% for i in range(10**9) %}x{% endfor %}",
		"loops":    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
		"string":   "{{ ('a' * 1000000000)|length }}",
		"list":     "{{ ([1] * 1000000000000)|length }}",
		"double":   "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
		"dag":      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
		"dagcmp":   "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
		"parens":   "{{ " + rep("(", 100000) + "1" + rep(")", 100000) + " }}",
		"lists":    "{{ " + rep("[", 100000) + "1" + rep("]", 100000) + " }}",
		"nots":     "{{ " + rep("not ", 60000) + "1 }}",
		"plus":     "{{ 1" + rep("+1", 100000) + " }}",
		"attr":     "{{ x" + rep(".a", 100000) + " }}",
		"ifs":      rep("{% if 1 %}", 10000) + "x" + rep("{% endif %}", 10000),
		"macro":    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
		"replace":  "{% set x = 'a' * 100000 %}{% set y = x|replace('a', x) %}{{ y|length }}",
		"power":    "{{ 10**1000000000 }}",
		"batch":    "{{ [1]|batch(1000000000, 0)|list|length }}",
		"format":   "{{ '%0999999999d'|format(1)|length }}",
		"fields":   "{{ '{:>999999999}'.format(1)|length }}",
		"deep":     "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
		"loop":     "{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
		"size":     rep("{{ 1 }}", 100000),
		"hash":     "{% set k = 'x' * 4000000 %}{% for i in range(100000) %}{% set y = {}[k] %}{% endfor %}",
		"equal":    "{% set k = 'x' * 2000000 %}{% set l = k ~ '' %}{% for i in range(100000) %}{% set y = k == l %}{% endfor %}",
		"in":       "{% set k = 'x' * 4000000 %}{% for i in range(100000) %}{% set y = 'y' in k %}{% endfor %}",
		"index":    "{% set k = 'x' * 4000000 %}{% for i in range(100000) %}{% set y = k[-1] %}{% endfor %}",
		"length":   "{% set k = 'x' * 4000000 %}{% for i in range(100000) %}{% set y = k|length %}{% endfor %}",
		"starts":   "{% set k = 'x' * 1000000 %}{% set t = (k ~ 'y',) * 1000 %}{% for i in range(1000) %}{% set y = k.startswith(t) %}{% endfor %}",
		"count":    "{% set k = 'x' * 4000000 %}{% for i in range(100000) %}{% set y = k.count('y') %}{% endfor %}",
		"strip":    "{% set k = ' ' * 2000000 %}{% for i in range(100000) %}{% set y = k.strip() %}{% endfor %}",
		"split":    "{{ ('x ' * 2000000).split()|length }}",
		"sort":     "{{ (range(50000)|list + range(50000)|list)|sort|length }}",
		"sortstr":  "{% set k = 'x' * 1000000 %}{{ ([k ~ 1, k ~ 2] * 100)|sort|length }}",
		"unique":   "{% set k = 'x' * 1000000 %}{{ ([k] * 10000)|unique(case_sensitive=true)|list|length }}",
		"upper":    "{% set k = 'x' * 1000000 %}{{ ([k] * 10000)|map('upper')|list|length }}",
		"scopes":   "{% set ns = namespace(m=none) %}{% macro first(p) %}{% macro second() %}{{ nothing }}{% endmacro %}{% set ns.m = second %}{% endmacro %}{% for i in range(90000) %}{{ first(ns.m) }}{{ ns.m() }}{% endfor %}",
		"tojson":   "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
		"indents":  "{{ [[[[1]]]]|tojson(indent='x' * 4000000)|length }}",
		"seps":     "{{ ([1] * 1000)|tojson(separators=('x' * 1000000, ':'))|length }}",
		"wrap":     "{{ ('x' * 1000000)|wordwrap(1)|length }}",
		"wraplong": "{% set x = ('x' * 1000 ~ ' ') * 1000 %}{{ x|wordwrap(1, wrapstring='y' * 1000)|length }}",
		"slices":   "{{ [1]|slice(1000000000)|list|length }}",
		"center":   "{{ 'x'|center(1000000000)|length }}",
		"zfill":    "{{ 'x'.zfill(1000000000)|length }}",
		"join":     "{{ (['x'] * 100000)|join('y' * 1000000)|length }}",
		"escape":   "{% set ns = namespace(x='&'*1000) %}{% for i in range(100) %}{% set ns.x = ns.x|forceescape|string %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
		"bigs":     "{% set ns = namespace(x=2**16000) %}{% for i in range(100000) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
		"digits":   "{% set k = '9' * 4000 %}{% for i in range(100000) %}{% set y = k|int %}{% endfor %}{{ y }}",
		"groups":   "{{ (range(100000)|list * 4)|groupby(0)|length }}",
		"tuples":   "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1}|length }}",
		"spread":   "{% macro f() %}{{ varargs|length }}{% endmacro %}{% set l = [1] * 100000 %}{% for i in range(100000) %}{{ f(*l) }}{% endfor %}",
		"cells":    "{% set l = [1] * 100000 %}{% for i in range(100000) %}{% set y = l[1:] %}{% endfor %}",
		"member":   "{% set l = [1] * 100000 %}{% for i in range(100000) %}{% set y = 2 in l %}{% endfor %}",
		"items":    "{% set d = dict(range(2000)|batch(2)) %}{% for i in range(100000) %}{% set y = d.items() %}{% endfor %}",
		"values":   "{{ ('%s' * 1000000) % (('x' * 1000,) * 1000000) }}",
		"named":    "{{ ('{a}' * 100000).format(a='x' * 100000)|length }}",
		"calls":    "{% macro f(a) %}{% for x in a recursive %}{{ loop(a) }}{% endfor %}{% endmacro %}{{ f([1]) }}",
	} {
		_, err := render(t, source, jinja.NewDict())
		assert.ErrorIs(t, err, failure.ErrData, name)
	}
}
