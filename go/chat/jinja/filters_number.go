package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

var numberFilters = map[string]filter{
	"int": {"default? base?", looks, func(_ *state, v any, a arguments) any {
		if z := toInt(v, int(a.integer("base", 10))); z != nil {
			return integer(z)
		}
		return a.get("default", int64(0))
	}},
	"float": {"default?", looks, func(_ *state, v any, a arguments) any {
		if x, ok := toFloat(v); ok {
			return x
		}
		return a.get("default", 0.0)
	}},
	"abs": {"", free, func(s *state, v any, _ arguments) any {
		if s.compare("<", v, int64(0)) {
			return s.unary("-", v)
		}
		return s.unary("+", v)
	}},
	"round":          {"precision? method?", free, round},
	"filesizeformat": {"binary?", free, filesize},
}

func toInt(v any, base int) *big.Int {
	if z := asBig(v); z != nil {
		return z
	}
	if f, ok := v.(float64); ok {
		return truncated(f)
	}
	text, ok := asString(v)
	text = strings.TrimFunc(text, isSpace)
	if !ok || len(text) > maxJSONDigits || base < 2 || base > 36 {
		return nil
	}
	digits := text
	if mark := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; mark != "" {
		digits = strings.TrimPrefix(strings.ToLower(digits), mark)
	}
	if z, ok := new(big.Int).SetString(digits, base); ok {
		return z
	}
	if f, ok := toFloat(text); ok {
		return truncated(f)
	}
	return nil
}

func toFloat(v any) (float64, bool) {
	if x, ok := asFloat(v); ok {
		return x, true
	}
	text, ok := asString(v)
	if !ok || len(text) > maxJSONDigits || strings.ContainsAny(text, "xX") {
		return 0, false
	}
	x, err := strconv.ParseFloat(strings.TrimFunc(text, isSpace), 64)
	return x, err == nil || math.IsInf(x, 0)
}

func round(_ *state, v any, a arguments) any {
	x, ok := asFloat(v)
	if !ok {
		fail("'round' needs a number, not %s", typeName(v))
	}
	precision, method := a.integer("precision", 0), a.text("method", "common")
	if precision < -300 || precision > 300 {
		fail("'round' needs a precision between -300 and 300")
	}
	unit := math.Pow(10, float64(precision))
	switch method {
	case "ceil":
		return math.Ceil(x*unit) / unit
	case "floor":
		return math.Floor(x*unit) / unit
	case "common":
	default:
		fail("'round' knows the methods common, ceil and floor, not '%.20s'", method)
	}
	if asBig(v) != nil {
		if precision >= 0 {
			return v
		}
		fail("'round' with a negative precision needs a float")
	}
	if precision < 0 {
		return math.RoundToEven(x*unit) / unit
	}
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'f', int(precision), 64), 64)
	return x
}

func filesize(_ *state, v any, a arguments) any {
	size, ok := toFloat(v)
	if !ok {
		fail("'filesizeformat' needs a number, not %s", typeName(v))
	}
	base, prefixes := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if a.truth("binary") {
		base, prefixes = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case size == 1:
		return "1 Byte"
	case size < base:
		return fmt.Sprintf("%.0f Bytes", math.Trunc(size))
	}
	unit, at := base, 0
	for at+1 < len(prefixes) && size >= unit*base {
		unit *= base
		at++
	}
	return fmt.Sprintf("%.1f %s", size/unit, prefixes[at])
}
