package tokenizer

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// parseScore reads a number as serde_json does, which is not always the
// nearest float64: up to 19 digits as an integer, times or divided by a power
// of ten. Scores that differ in the last bit break ties another way.
func parseScore(raw json.RawMessage) (float64, bool) {
	exact, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(exact, 0) {
		return 0, false
	}
	text := strings.ToLower(strings.TrimPrefix(string(raw), "-"))
	mantissa, power, _ := strings.Cut(text, "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent, _ := strconv.Atoi(power)
	digits := uint64(0)
	full := false
	for i, c := range whole + fraction {
		d := uint64(c - '0')
		full = full || digits > (math.MaxUint64-d)/10
		switch {
		case !full:
			digits = 10*digits + d
			if i >= len(whole) {
				exponent--
			}
		case i < len(whole):
			exponent++
		}
	}
	f := float64(digits)
	switch {
	case exponent > 308 || exponent < -308:
		f = math.Abs(exact)
	case exponent >= 0:
		f *= math.Pow10(exponent)
	default:
		f /= math.Pow10(-exponent)
	}
	if raw[0] == '-' {
		f = -f
	}
	return f, !math.IsInf(f, 0)
}
