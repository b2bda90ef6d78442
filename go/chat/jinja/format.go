package jinja

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// maxField bounds the width and precision of a formatted field.
const maxField = 1000

var percentForm = regexp.MustCompile(`^%(?:\(([^)]*)\))?([-+ #0]*)(\d*)(?:\.(\d*))?(.)`)

// percent is Python's format % args.
func (s *state) percent(format string, args tuple) string {
	w := writer{meter: &s.meter}
	s.scan(len(format))
	used, named := 0, false
	for format != "" {
		at := strings.IndexByte(format, '%')
		if at < 0 {
			w.put(format)
			break
		}
		w.put(format[:at])
		f := percentForm.FindStringSubmatch(format[at:])
		if f == nil {
			fail("the format is broken at '%.10s'", format[at:])
		}
		format = format[at+len(f[0]):]
		if f[5] == "%" {
			w.put("%")
			continue
		}
		var value any
		if strings.HasPrefix(f[0], "%(") {
			d, ok := append(args, nil)[0].(*Dict)
			if !ok {
				fail("the format names '%s' and needs a dict", f[1])
			}
			if value, ok = d.Get(f[1]); !ok {
				fail("the dict of the format has no '%s'", f[1])
			}
			named = true
		} else {
			if used >= len(args) {
				fail("the format has more fields than there are values")
			}
			value = args[used]
			used++
		}
		s.step()
		w.put(s.field(value, f[2], f[3], f[4], f[5]))
	}
	if !named && used < len(args) {
		if _, ok := args[0].(*Dict); !ok || len(args) > 1 {
			fail("the format has fewer fields than there are values")
		}
	}
	return w.String()
}

func fieldSize(digits string) string {
	if n, err := strconv.Atoi(digits); digits != "" && (err != nil || n > maxField) {
		fail("the field width %s is above %d", digits, maxField)
	}
	return digits
}

// field formats one value by a verb of C's printf.
func (s *state) field(value any, flags, width, precision, verb string) string {
	spec := "%" + flags + fieldSize(width)
	if precision != "" {
		spec += "." + fieldSize(precision)
	}
	switch verb {
	case "s":
		return fmt.Sprintf(spec+"s", s.str(value))
	case "r":
		return fmt.Sprintf(spec+"s", s.repr(value))
	case "d", "i", "u", "x", "X", "o":
		z := asBig(value)
		if f, ok := value.(float64); ok && strings.Contains("diu", verb) {
			z = truncated(f)
		}
		if z == nil {
			fail("%%%s needs an integer, not %s", verb, typeName(value))
		}
		if strings.Contains("diu", verb) {
			verb = "d"
		}
		return fmt.Sprintf(spec+verb, z)
	case "f", "F", "e", "E", "g", "G":
		f, ok := asFloat(value)
		if !ok {
			fail("%%%s needs a number, not %s", verb, typeName(value))
		}
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return fmt.Sprintf("%"+strings.ReplaceAll(flags, "0", "")+width+"s", floatText(f))
		}
		if precision == "" {
			spec += ".6"
		}
		return fmt.Sprintf(spec+verb, f)
	case "c":
		if text, ok := asString(value); ok && length(text) == 1 {
			return fmt.Sprintf(spec+"s", text)
		}
		if i, ok := asInt(value); ok && i >= 0 && i <= 0x10ffff {
			return fmt.Sprintf(spec+"s", string(rune(i)))
		}
		fail("%%c needs a character")
	}
	fail("the format character '%s' is not supported", verb)
	return ""
}

// truncated is a float without its fraction, nil when it is not finite.
func truncated(f float64) *big.Int {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	z, _ := big.NewFloat(f).Int(nil)
	return z
}

// format is str.format with fields {}, {0} and {name}, with !r, !s and a
// specification such as ":>8.2f".
func (s *state) format(format string, a arguments) string {
	w := writer{meter: &s.meter}
	next := int64(0)
	for i := 0; i < len(format); i++ {
		c := format[i]
		if (c == '{' || c == '}') && strings.HasPrefix(format[i+1:], string(c)) {
			w.put(string(c))
			i++
			continue
		}
		if c == '}' {
			fail("the format has a '}' without '{'")
		}
		if c != '{' {
			w.put(format[i : i+1])
			continue
		}
		end := strings.IndexByte(format[i:], '}')
		if end < 0 {
			fail("the format has a '{' without '}'")
		}
		name, spec, _ := strings.Cut(format[i+1:i+end], ":")
		name, conversion, _ := strings.Cut(name, "!")
		i += end
		s.step()
		var value any
		if at, ok := decimal(name); ok || name == "" {
			if name == "" {
				at = next
				next++
			}
			if at >= int64(len(a.rest)) {
				fail("the format has more fields than there are values")
			}
			value = a.rest[at]
		} else if value, ok = a.named.Get(name); !ok {
			fail("the format names '%s', which is not given", name)
		}
		switch conversion {
		case "":
		case "s":
			value = s.str(value)
		case "r":
			value = s.repr(value)
		default:
			fail("the format has an unknown conversion '!%s'", conversion)
		}
		w.put(s.formatted(value, spec))
	}
	return w.String()
}

var specForm = regexp.MustCompile(`^(?:(.)?([<>^]))?([-+ ])?(#)?(0)?(\d*)(,)?(?:\.(\d+))?([a-zA-Z])?$`)

// formatted is Python's format(value, spec).
func (s *state) formatted(value any, spec string) string {
	if spec == "" {
		return s.str(value)
	}
	f := specForm.FindStringSubmatch(spec)
	if f == nil {
		fail("the format specification '%.20s' is not supported", spec)
	}
	fill, align, verb := f[1], f[2], f[9]
	_, number := asFloat(value)
	if _, isBool := value.(bool); isBool && verb == "" {
		number = false
	}
	switch {
	case verb == "" && !number:
		verb = "s"
	case verb == "" && asBig(value) != nil:
		verb = "d"
	case verb == "" && f[8] == "":
		value, verb = s.str(value), "s"
	case verb == "":
		verb = "g"
	}
	text := s.field(value, f[3]+f[4], "", f[8], verb)
	if f[7] != "" {
		text = thousands(text)
	}
	if align == "" {
		align = "<"
		if number {
			align = ">"
		}
	}
	sign := ""
	if f[5] != "" && fill == "" {
		fill = "0"
		if number && strings.ContainsAny(text[:1], "+-") {
			sign, text = text[:1], text[1:]
		}
	}
	if fill == "" {
		fill = " "
	}
	width, _ := strconv.ParseInt(fieldSize(f[6]), 10, 64)
	return sign + s.pad(text, width-int64(len(sign)), align != "<", align != ">", fill)
}

// thousands puts commas into the integer part.
func thousands(text string) string {
	end := strings.IndexAny(text, ".e")
	if end < 0 {
		end = len(text)
	}
	for at := end - 3; at > 0 && text[at-1] >= '0' && text[at-1] <= '9'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
