package jinja

import (
	"fmt"
	"strings"
	"time"
)

var strftimeLayouts = map[byte]string{
	'd': "02", 'm': "01", 'Y': "2006", 'y': "06", 'B': "January", 'b': "Jan", 'H': "15", 'M': "04",
	'S': "05", 'A': "Monday", 'a': "Mon", 'p': "PM", 'I': "03", 'j': "002", 'F': "2006-01-02", 'T': "15:04:05",
}

// strftime is Python's for the codes that templates use; "%-d" drops zeros.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 >= len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		text := "%"
		if layout, ok := strftimeLayouts[format[i]]; ok {
			text = t.Format(layout)
		} else if format[i] != '%' {
			text = fmt.Sprintf("%%%c", format[i])
		}
		if bare {
			text = strings.TrimLeft(text, "0")
		}
		b.WriteString(text)
	}
	return b.String()
}
