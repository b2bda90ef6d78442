package jinja_test

import (
	"testing"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/tests/bounded"
	"github.com/stretchr/testify/require"
)

// FuzzRender asserts that any source parses and renders or is an error of the
// template: never a crash.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"{% for m in messages %}{{ m.role | upper }}{% endfor %}", "{%- macro f(a, b=1) %}{{ a ~ b }}{% endmacro %}{{ f(1) }}",
		"{% set ns = namespace(x=[]) %}{% set ns.x = ns.x + [1] %}{{ ns.x[::-1] | tojson(indent=2) }}", "{% raw %}{{ x }}{% endraw %}{# c #}",
		"{% generation %}{{ '%5.2f' % 1.5 }}{% endgeneration %}", "{{ 'a b'.split()[0] if x is defined else none }}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		bounded.Run(t, 64, func() { useSource(t, source) })
	})
}

func useSource(t *testing.T, source string) {
	tpl, err := jinja.Parse("fuzz", source)
	if err == nil {
		message := jinja.NewDict()
		message.Set("role", "user")
		vars, e := jinja.FromGo(map[string]any{"messages": []any{message}})
		require.NoError(t, e)
		_, err = tpl.Render(vars.(*jinja.Dict), jinja.Options{Limits: jinja.Limits{Steps: 5000, Bytes: 1 << 20, Depth: 50}})
	}
	if err != nil {
		require.ErrorIs(t, err, failure.ErrData)
	}
}

// FuzzDecodeJSON asserts that what is decoded is written as JSON that decodes to
// the same.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"b":[1,2.5,null],"a":{"x":"\u00e9\ud83d\ude00"}}`, "123456789012345678901234567890", `"\u2028<&>"`, "-0.0", "[[[]]]", "1e400"} {
		f.Add([]byte(seed))
	}
	tpl, err := jinja.Parse("t", "{{ v | tojson }}")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		bounded.Run(t, 64, func() {
			v, err := jinja.DecodeJSON(data)
			if err != nil {
				return
			}
			write := func(v any) string {
				vars := jinja.NewDict()
				vars.Set("v", v)
				out, err := tpl.Render(vars, jinja.Options{})
				if err != nil {
					require.ErrorIs(t, err, failure.ErrData)
				}
				return out.Text
			}
			if first := write(v); first != "" {
				again, err := jinja.DecodeJSON([]byte(first))
				require.NoError(t, err)
				require.Equal(t, first, write(again))
			}
		})
	})
}
