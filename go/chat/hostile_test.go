package chat_test

import (
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile are templates made to hang a program or to fill its memory.
func hostile() map[string]string {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	all := map[string]string{
		"long range":         "{{ range(10**9) | list }}",
		"range of all":       "{{ range(-2**63+1, 2**63-1) | length }}",
		"long text":          "{{ 'a' * 10**9 }}",
		"long list":          "{{ [1] * 10**9 }}",
		"nested loops":       "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"doubling":           "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
		"doubling a list":    "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
		"replace in itself":  "{% set s = 'a' * 100000 %}{{ s | replace('a', s) }}",
		"batch":              "{{ [1] | batch(10**9, 0) | list }}",
		"slice":              "{{ [1] | slice(10**9) | list }}",
		"indent":             "{{ 'a\\nb' | indent(10**9) }}",
		"centre":             "{{ 'a' | center(10**9) }}",
		"format":             "{{ '%1000000000d' % 1 }}",
		"format wide":        "{{ '{:>1000000000}'.format(1) }}",
		"join":               "{{ range(100000) | join('a' * 10000) }}",
		"power":              "{{ 10 ** 10 ** 8 }}",
		"power tower":        "{% set ns = namespace(x=2) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
		"recursion":          "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"mutual recursion":   "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}",
		"recursive loop":     "{% for x in [[]] recursive %}{{ loop([x]) }}{% endfor %}",
		"itself in itself":   "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}{{ ns == ns }}{{ ns | tojson }}",
		"sorting":            "{% for i in range(10000) %}{{ range(100000) | sort | first }}{% endfor %}",
		"quadratic find":     "{% set s = 'a' * 4000000 %}{% for i in range(10000) %}{{ (s ~ 'b').find('ab') }}{% endfor %}",
		"split":              "{{ ('a ' * 2000000).split() | length }}",
		"escape chain":       "{{ '<' " + many("| e ", 60000) + "}}",
		"parentheses":        "{{ " + many("(", 100000) + "1" + many(")", 100000) + " }}",
		"brackets":           "{{ " + many("[", 100000) + many("]", 100000) + " }}",
		"not":                "{{ " + many("not ", 60000) + "1 }}",
		"minus":              "{{ " + many("-", 200000) + "1 }}",
		"plus":               "{{ 1" + many("+1", 120000) + " }}",
		"attributes":         "{{ a" + many(".a", 120000) + " }}",
		"conditions":         "{{ 1" + many(" if 1 else 1", 20000) + " }}",
		"ifs":                many("{% if 1 %}", 25000),
		"sets":               many("{% set x %}", 23000),
		"prints":             many("{{ 1 }}", 37000),
		"over the size":      many("x", 1<<20),
		"comment":            "{#" + many("#", 200000),
		"text of everything": "{% for i in range(100000) %}{{ messages | tojson(indent=8) }}{% endfor %}",
	}
	return all
}

// TestHostileTemplates: each ends in an error, or renders, within bounds of time
// and of what it makes the program allocate in all.
func TestHostileTemplates(t *testing.T) {
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(t, err)
	for name, source := range hostile() {
		bounded.Run(t, 256, func() {
			tpl, err := chat.Parse(name, source)
			if err == nil {
				_, err = tpl.RenderSpans(c, chat.Options{})
			}
			if err != nil {
				assert.ErrorIs(t, err, failure.ErrData, name)
			}
		})
	}
}

// TestHostileConversation: many turns under a template without marks, whose
// prefixes would be rendered one by one.
func TestHostileConversation(t *testing.T) {
	tpl, err := chat.Parse("plain", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
	require.NoError(t, err)
	turn := func(n int) string {
		return `{"messages": [` + strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"a"},{"role":"assistant","content":"b"},`, n), ",") + `]}`
	}
	c, err := chat.ParseConversation([]byte(turn(50)))
	require.NoError(t, err)
	r, err := tpl.RenderSpans(c, chat.Options{})
	require.NoError(t, err)
	assert.Len(t, r.Assistant, 50)
	c, err = chat.ParseConversation([]byte(turn(50_000)))
	require.NoError(t, err)
	_, err = tpl.RenderSpans(c, chat.Options{})
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, "too many")
}

// BenchmarkHostileTemplates prints how long each takes.
func BenchmarkHostileTemplates(b *testing.B) {
	c, err := chat.ParseConversation([]byte(talk))
	require.NoError(b, err)
	for name, source := range hostile() {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if tpl, err := chat.Parse(name, source); err == nil {
					tpl.RenderSpans(c, chat.Options{})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
		})
	}
}
