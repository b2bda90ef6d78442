package jinja_test

import (
	"strings"
	"testing"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestErrors holds errors to their place and sentence.
func TestErrors(t *testing.T) {
	for source, text := range map[string]string{
		"a\n  {% foo %}":     "t:2:6: unknown tag 'foo'",
		"ü{{ x | nix }}":     "t:1:9: unknown filter 'nix'",
		"{{ x is nix }}":     "t:1:9: unknown test 'nix'",
		"{{ [1] | random }}": "t:1:10: the filter 'random' is refused: the same conversation must always give the same text",
		"{% if x %}\n{% for y in x %}\n{% endif %}": "t:3:4: unknown tag 'endif'",
		"{% if x %}":                             "t:1:11: {% if %} has no {% endif %}",
		"\n\n{{ 1 +":                             "t:3:3: the tag has no end '}}'",
		"{{ 'a\\N{BULLET}' }}":                   `t:1:4: \N{...} escapes are not supported; write the character itself`,
		"{{ 1 ; 2 }}":                            "t:1:6: expected '}}', found ';'",
		"{{ ? }}":                                "t:1:4: unexpected character '?'",
		"{% break %}":                            "t:1:4: {% break %} stands outside of a loop",
		"\r\n{{ nothing.at.all }}":               "t:2:12: 'nothing' is undefined",
		"{{ 1 }}\n{{ 2 + 'a' }}":                 "t:2:6: unsupported operands for +: 'int' and 'str'",
		"{{ 'a' | indent(wide=2) }}":             "t:1:10: the filter 'indent' has no argument 'wide'",
		"{{ 'a' | trim('b', 'c') }}":             "t:1:10: the filter 'trim' takes at most 1 arguments, 2 given",
		"{{ 'a'.split(sep=1) }}":                 "t:1:13: 'split': 'sep' must be a string, not int",
		"{{ raise_exception('no ' ~ 'tools') }}": "t:1:19: no tools",
		"{% macro f() %}{{ 1 / 0 }}{% endmacro %}\n{{ f() }}":         "t:1:21: division by zero",
		"{% set x %}{% generation %}a{% endgeneration %}{% endset %}": "t:1:12: {% generation %} stands in a macro, set, filter or call block, where what it writes has no position in the text",
		"{{ {}.update({}) }}":              "t:1:13: a template may not change a dict ('update')",
		"{{ '\xff' }}":                     "is not UTF-8 text",
		"{% generation %}{% generation %}": "t:1:20: a generation block cannot hold another one",
	} {
		tpl, err := jinja.Parse("t", source)
		if err == nil {
			_, err = tpl.Render(jinja.NewDict(), jinja.Options{Spans: true})
		}
		require.ErrorIs(t, err, failure.ErrData, source)
		assert.ErrorContains(t, err, text, source)
	}
}

// TestGeneration counts spans in bytes from zero, and lets a block in captured
// output pass as plain text where no spans are asked for.
func TestGeneration(t *testing.T) {
	tpl, err := jinja.Parse("t", "{% generation %}ü{{ 1 }}{% endgeneration %}-{% for i in [2, 3] %}{% generation %}{{ i }}{% endgeneration %},{% endfor %}")
	require.NoError(t, err)
	assert.True(t, tpl.HasGeneration())
	out, err := tpl.Render(jinja.NewDict(), jinja.Options{Spans: true})
	require.NoError(t, err)
	assert.Equal(t, "ü1-2,3,", out.Text)
	assert.Equal(t, []jinja.Span{{Start: 0, End: 3}, {Start: 4, End: 5}, {Start: 6, End: 7}}, out.Generation)

	for _, block := range []string{
		"{% macro f() %}[G]{% endmacro %}{{ f() }}", "{% set x %}[G]{% endset %}{{ x }}",
		"{% filter trim %}[G]{% endfilter %}", "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}[G]{% endcall %}",
		"{% for x in [[1]] recursive %}{% if x is iterable %}{{ loop(x) }}{% else %}[G]{% endif %}{% endfor %}",
	} {
		source := strings.ReplaceAll(block, "[G]", "{% generation %}g{% endgeneration %}")
		text, err := render(t, source, jinja.NewDict())
		require.NoError(t, err, source)
		assert.Equal(t, "g", text, source)
		tpl, err := jinja.Parse("t", source)
		require.NoError(t, err)
		_, err = tpl.Render(jinja.NewDict(), jinja.Options{Spans: true})
		require.ErrorIs(t, err, failure.ErrData, source)
		assert.ErrorContains(t, err, "has no position in the text", source)
	}
}
