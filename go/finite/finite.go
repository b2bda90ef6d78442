// Package finite writes numbers as JSON that may be none: JSON has no NaN and
// no infinity, and encoding/json fails on them. What is not finite is null.
//
//	json.Marshal(map[string]any{"perplexity": finite.Number(math.Inf(1))}) // {"perplexity":null}
package finite

import (
	"encoding/json"
	"math"
)

// Number is a float64 that JSON can always carry.
type Number float64

// MarshalJSON writes null for what is not finite.
func (n Number) MarshalJSON() ([]byte, error) {
	if !Is(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// Is reports whether a number is neither NaN nor infinite.
func Is(f float64) bool { return f-f == 0 }

// Map gives the same numbers as ones that JSON can carry; nil stays nil.
func Map[K comparable](m map[K]float64) map[K]Number {
	if m == nil {
		return nil
	}
	all := make(map[K]Number, len(m))
	for k, v := range m {
		all[k] = Number(v)
	}
	return all
}
