package jinja_test

import (
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFromGo(t *testing.T) {
	v, err := jinja.FromGo(map[string]any{"b": []string{"x"}, "a": 1, "c": []any{nil, 2.5, map[string]any{}}, "d": big.NewInt(3)})
	require.NoError(t, err)
	text, err := render(t, "{% for k, v in items.items() %}{{ k }}={{ v }};{% endfor %}", func() *jinja.Dict {
		vars := jinja.NewDict()
		vars.Set("items", v)
		return vars
	}())
	require.NoError(t, err)
	assert.Equal(t, "a=1;b=['x'];c=[None, 2.5, {}];d=3;", text)
	for _, bad := range []any{struct{}{}, []any{make(chan int)}, map[string]any{"a": []byte("x")}} {
		_, err := jinja.FromGo(bad)
		require.ErrorContains(t, err, "a template cannot use a Go value of type")
	}
}

// TestConcurrentRenders shares one template and its variables.
func TestConcurrentRenders(t *testing.T) {
	tpl, err := jinja.Parse("t", "{% set c = cycler('a', 'b') %}{% for x in list %}{{ c.next() }}{{ x | upper }}{% endfor %}{{ list | sort | tojson }}")
	require.NoError(t, err)
	vars := jinja.NewDict()
	vars.Set("list", []any{"q", "p"})
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 50 {
				out, err := tpl.Render(vars, jinja.Options{})
				assert.NoError(t, err)
				assert.Equal(t, `aQbP["p", "q"]`, out.Text)
			}
		}()
	}
	all.Wait()
}

// TestLimits holds a render to the limits it is given.
func TestLimits(t *testing.T) {
	tpl, err := jinja.Parse("t", "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}{% for i in range(9) %}{{ 'x' * 10 }}{% endfor %}")
	require.NoError(t, err)
	enough := jinja.Limits{Steps: 500, Bytes: 1000, Depth: 10}
	out, err := tpl.Render(jinja.NewDict(), jinja.Options{Limits: enough})
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("x", 90), out.Text)
	for limit, limits := range map[string]jinja.Limits{
		"limit of steps":      {Steps: 50, Bytes: 1000, Depth: 10},
		"limit of bytes":      {Steps: 500, Bytes: 100, Depth: 10},
		"recurses too deeply": {Steps: 500, Bytes: 1000, Depth: 3},
	} {
		_, err := tpl.Render(jinja.NewDict(), jinja.Options{Limits: limits})
		require.ErrorIs(t, err, failure.ErrData)
		assert.ErrorContains(t, err, limit)
	}
}
