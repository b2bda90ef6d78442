package config

import (
	"fmt"
	"reflect"
	"strings"
)

// unknown explains a key that does not exist, with the nearest one that does:
// of the same section by its own name or another tool's, then of any.
func unknown(section reflect.Type, prefix, name string) error {
	best, distance := "", 1+len(name)/3
	consider := func(candidate, hint string, handicap int) {
		d := edits(strings.ToLower(name), candidate)
		if d > 0 {
			d += handicap
		}
		if d < distance {
			best, distance = hint, d
		}
	}
	for _, f := range fields(section) {
		consider(f.name, f.name, 0)
		for _, other := range strings.Fields(f.tag("aka")) {
			consider(other, f.name, 0)
		}
	}
	walk(reflect.TypeFor[Config](), "", func(path string, f field) {
		consider(path, path, 0)
		consider(f.name, path, 1)
		for _, other := range strings.Fields(f.tag("aka")) {
			consider(other, path, 1)
		}
	})
	if best == "" {
		return fmt.Errorf("unknown key %q; %s", prefix+name, known(section, prefix))
	}
	return fmt.Errorf("unknown key %q (did you mean %q?)", name, best)
}

// known lists the keys of a section.
func known(section reflect.Type, prefix string) string {
	var names []string
	for _, f := range fields(section) {
		names = append(names, f.name)
	}
	if prefix == "" {
		return "the file has " + strings.Join(names, ", ")
	}
	return strings.TrimSuffix(prefix, ".") + " has " + strings.Join(names, ", ")
}

// nearest is the word at most a third of whose letters are wrong, or "".
func nearest(name string, words []string) string {
	best, distance := "", 1+len(name)/3
	for _, w := range words {
		if d := edits(strings.ToLower(name), w); d < distance {
			best, distance = w, d
		}
	}
	return best
}

// edits is the number of insertions, deletions, replacements and swaps of
// neighbours between two words (optimal string alignment).
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 1 << 30
	}
	var before, last []int
	now := make([]int, len(b)+1)
	for j := range now {
		now[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now = last, now, make([]int, len(b)+1)
		now[0] = i
		for j := 1; j <= len(b); j++ {
			now[j] = min(last[j], now[j-1]) + 1
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			now[j] = min(now[j], replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
	}
	return now[len(b)]
}
