package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// MaxLine bounds one record in bytes.
const MaxLine = 64 << 20

// An item is one record of a file as JSON. A file that cannot be cut into
// records is an error of the file; a record that is bad in itself is an item
// with err set, so that it can be skipped.
type item struct {
	line int
	json []byte
	err  error
}

// Lines calls f with each line of a stream that is not blank, of at most
// MaxLine bytes; the text is valid until f returns.
func Lines(name string, r io.Reader, f func(line int, text []byte) error) error {
	_, err := eachLine(name, r, func(it item) error { return f(it.line, it.json) })
	return err
}

// eachLine calls f with each line of a JSONL stream that is not blank; the
// bytes are valid until f returns. It gives the number of blank lines.
func eachLine(name string, r io.Reader, f func(item) error) (blank int, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	var line []byte
	for n := 1; ; n++ {
		line = line[:0]
		var end error
		for {
			var part []byte
			part, end = b.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > MaxLine {
				return blank, failure.Data("%s:%d: line longer than 64 MiB; split the record", name, n)
			}
			if !errors.Is(end, bufio.ErrBufferFull) {
				break
			}
		}
		if end != nil && end != io.EOF {
			return blank, failure.As(failure.ErrIO, end)
		}
		switch text := bytes.TrimSpace(line); {
		case len(text) > 0:
			if err := f(item{line: n, json: text}); err != nil {
				return blank, err
			}
		case len(line) > 0:
			blank++
		}
		if end == io.EOF {
			return blank, nil
		}
	}
}

// checkText refuses what would silently become U+FFFD or cut a text: bytes
// that are not UTF-8, and escapes of lone surrogates and of NUL.
func checkText(json []byte) error {
	if !utf8.Valid(json) {
		for i := 0; ; {
			r, size := utf8.DecodeRune(json[i:])
			if r == utf8.RuneError && size <= 1 {
				return failure.Data("invalid UTF-8 (byte 0x%02x) at byte %d of the record; convert the file to UTF-8", json[i], i+1)
			}
			i += size
		}
	}
	for i := 0; ; {
		at := bytes.IndexByte(json[i:], '\\')
		if at < 0 {
			return nil
		}
		i += at
		unit, ok := escape(json[i:])
		if !ok {
			i += min(2, len(json)-i)
			continue
		}
		switch {
		case unit == 0:
			return failure.Data("a NUL character at byte %d of the record; remove it", i+1)
		case unit >= 0xd800 && unit < 0xdc00:
			if low, ok := escape(json[i+6:]); ok && low >= 0xdc00 && low < 0xe000 {
				i += 6
				break
			}
			fallthrough
		case unit >= 0xdc00 && unit < 0xe000:
			return failure.Data("half of a surrogate pair at byte %d of the record; write the character whole", i+1)
		}
		i += 6
	}
}

// escape reads \uXXXX at the start of b.
func escape(b []byte) (unit rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}
