package jinja

import (
	"math"
	"math/big"
	"strings"
)

// maxBits bounds integers; the largest that JSON may bring has 4300 digits.
const maxBits = 1 << 14

func (s *state) unary(op string, v any) any {
	if op == "not" {
		return !truth(v)
	}
	defined(v)
	if _, ok := asFloat(v); !ok {
		fail("bad operand for unary %s: '%s'", op, typeName(v))
	}
	if op == "-" {
		return s.arithmetic("*", v, int64(-1))
	}
	if i, ok := asInt(v); ok {
		return i
	}
	return v
}

// defined fails with the reason of an undefined value.
func defined(v any) {
	if u, ok := v.(undefined); ok {
		fail("%s", u.reason)
	}
}

// arithmetic is Python's + - * / // % **.
func (s *state) arithmetic(op string, a, b any) any {
	defined(a)
	defined(b)
	switch op {
	case "+":
		if v := s.joined(a, b); v != nil {
			return v
		}
	case "*":
		if v := s.repeated(a, b); v != nil {
			return v
		}
	case "%":
		if format, ok := asString(a); ok {
			args, ok := b.(tuple)
			if !ok {
				args = tuple{b}
			}
			return s.percent(format, args)
		}
	}
	if p, q := asBig(a), asBig(b); p != nil && q != nil {
		s.scan((p.BitLen() + q.BitLen()) / 8)
		if op != "/" && (op != "**" || q.Sign() >= 0) {
			return integers(op, p, q)
		}
	}
	x, ok := asFloat(a)
	y, ok2 := asFloat(b)
	if !ok || !ok2 {
		fail("unsupported operands for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	}
	if math.IsInf(x, 0) && asBig(a) != nil || math.IsInf(y, 0) && asBig(b) != nil {
		fail("the integer is too large for a float")
	}
	return floats(op, x, y)
}

// joined is a + b of strings, lists or tuples, else nil.
func (s *state) joined(a, b any) any {
	if x, ok := asString(a); ok {
		y, ok := asString(b)
		if !ok {
			return nil
		}
		s.grow(len(x) + len(y))
		_, safe := a.(markup)
		_, safe2 := b.(markup)
		if safe || safe2 {
			return markup(s.escape(a) + s.escape(b))
		}
		return x + y
	}
	x, ok := indexed(a)
	y, ok2 := indexed(b)
	if !ok || !ok2 || typeName(a) != typeName(b) || typeName(a) == "range" {
		return nil
	}
	s.grow(cell * (len(x) + len(y)))
	return like(a, append(append(make([]any, 0, len(x)+len(y)), x...), y...))
}

// repeated is a * b of a string, list or tuple with an integer, else nil.
func (s *state) repeated(a, b any) any {
	if _, ok := asInt(a); ok {
		a, b = b, a
	}
	n, ok := asInt(b)
	n = max(n, 0)
	if text, isText := asString(a); ok && isText {
		s.growTimes(len(text), n)
		if text == "" {
			n = 0
		}
		return strings.Repeat(text, int(n))
	}
	items, isList := indexed(a)
	if !ok || !isList || typeName(a) == "range" {
		return nil
	}
	s.growTimes(cell*len(items), n)
	if len(items) == 0 {
		n = 0
	}
	out := make([]any, 0, len(items)*int(n))
	for range n {
		out = append(out, items...)
	}
	return like(a, out)
}

// like makes a tuple of items where v is one, else a list.
func like(v any, items []any) any {
	if typeName(v) == "tuple" {
		return tuple(items)
	}
	return items
}

func integers(op string, p, q *big.Int) any {
	z, rest := new(big.Int), new(big.Int)
	switch op {
	case "+":
		z.Add(p, q)
	case "-":
		z.Sub(p, q)
	case "*":
		if p.BitLen()+q.BitLen() <= maxBits {
			z.Mul(p, q)
		} else if p.Sign() != 0 && q.Sign() != 0 {
			fail("the integer is too large")
		}
	case "**":
		if p.BitLen() > 1 && (!q.IsInt64() || q.Int64() > maxBits || int64(p.BitLen())*q.Int64() > maxBits) {
			fail("the integer is too large")
		}
		if p.BitLen() <= 1 { // 0, 1 or -1: only the parity and zero of q count
			q = big.NewInt(int64(q.Bit(0)) + 2*int64(min(q.BitLen(), 1)))
		}
		z.Exp(p, q, nil)
	default: // "//" and "%", which round down
		if q.Sign() == 0 {
			fail("division by zero")
		}
		z.DivMod(p, q, rest)
		if q.Sign() < 0 && rest.Sign() != 0 {
			z.Sub(z, big.NewInt(1))
			rest.Add(rest, q)
		}
		if op == "%" {
			z = rest
		}
	}
	if z.BitLen() > maxBits {
		fail("the integer is too large")
	}
	return integer(z)
}

func floats(op string, x, y float64) any {
	var z float64
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		if z = math.Pow(x, y); !math.IsInf(x, 0) && !math.IsInf(y, 0) && (math.IsInf(z, 0) || math.IsNaN(z)) {
			fail("the power has no finite real value")
		}
		return z
	}
	if y == 0 {
		fail("division by zero")
	}
	switch op {
	case "/":
		return x / y
	case "//":
		return math.Floor(x / y)
	}
	if z = math.Mod(x, y); z != 0 && (z < 0) != (y < 0) {
		z += y
	}
	return z
}
