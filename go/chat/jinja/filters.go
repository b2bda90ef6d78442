package jinja

import "maps"

// filter is a filter with its parameters, and test a test, as bind reads them.
type filter struct {
	params string
	cost   cost
	call   func(s *state, v any, a arguments) any
}

type test struct {
	params string
	call   func(s *state, v any, a arguments) bool
}

var filters = allFilters()

func allFilters() map[string]filter {
	all := map[string]filter{}
	for _, some := range []map[string]filter{textFilters, layoutFilters, numberFilters, listFilters, selectFilters} {
		maps.Copy(all, some)
	}
	all["e"], all["d"], all["count"] = all["escape"], all["default"], all["length"]
	return all
}
