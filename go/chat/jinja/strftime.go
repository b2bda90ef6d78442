package jinja

import (
	"strings"
	"time"
)

// layout is the form package time uses for one of strftime's codes.
func layout(code byte) string {
	const codes = "dmYyBbHMSAapIjFT"
	at := strings.IndexByte(codes, code)
	if at < 0 {
		return ""
	}
	return [len(codes)]string{
		"02", "01", "2006", "06", "January", "Jan", "15", "04", "05", "Monday", "Mon", "PM", "03", "002", "2006-01-02", "15:04:05",
	}[at]
}

// strftime is Python's for the codes that templates use; "%-d" drops zeros.
func (m *meter) strftime(t time.Time, format string) string {
	w := writer{meter: m}
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 >= len(format) {
			w.put(format[i : i+1])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		text := "%"
		if form := layout(format[i]); form != "" {
			text = t.Format(form)
		} else if format[i] != '%' {
			fail("'strftime_now' has no code '%%%c'", format[i])
		}
		if bare {
			text = strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:]
		}
		w.put(text)
	}
	return w.String()
}
