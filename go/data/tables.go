package data

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
)

// records is a reader that knows its lines and bounds the size of one record.
type records struct {
	name string
	r    io.Reader
	read int   // bytes so far
	free int   // bytes of it that earlier records used
	line int   // of offset at
	ends []int // offsets of newlines that are read and not passed
}

func (r *records) Read(p []byte) (int, error) {
	if r.read-r.free > MaxLine {
		return 0, failure.Data("%s:%d: record longer than 64 MiB; split it", r.name, r.line+1)
	}
	n, err := r.r.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			r.ends = append(r.ends, r.read+i)
		}
	}
	r.read += n
	return n, err
}

// pass moves on to an offset and gives its line.
func (r *records) pass(offset int) int {
	n := 0
	for n < len(r.ends) && r.ends[n] < offset {
		n++
	}
	r.line += n
	r.ends = append(r.ends[:0], r.ends[n:]...)
	r.free = offset
	return r.line + 1
}

// eachElement calls f with each element of a JSON array.
func eachElement(name string, in io.Reader, f func(item) error) error {
	r := &records{name: name, r: in}
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil {
		return r.damaged(d, err)
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return r.damaged(d, err)
		}
		line := r.pass(int(d.InputOffset()) - len(raw))
		if err := f(item{line: line, json: raw}); err != nil {
			return err
		}
		r.pass(int(d.InputOffset()))
	}
	if _, err := d.Token(); err != nil {
		return r.damaged(d, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return failure.Data("%s:%d: more after the end of the JSON array", name, r.pass(int(d.InputOffset())))
	}
	return nil
}

func (r *records) damaged(d *json.Decoder, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return failure.Data("%s:%d: invalid JSON: %w", r.name, r.pass(int(syntax.Offset)), err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failure.Data("%s: the JSON array does not end", r.name)
	}
	return failure.As(failure.ErrIO, err)
}

// eachRow calls f with each row of a CSV file as an object of strings, by the
// names in the first row.
func eachRow(name string, in io.Reader, comma rune, f func(item) error) error {
	r := &records{name: name, r: in}
	c := csv.NewReader(r)
	c.Comma = comma
	header, err := c.Read()
	if err != nil {
		return csvError(name, err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for {
		fields, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, csv.ErrFieldCount) {
			return csvError(name, err)
		}
		line, _ := c.FieldPos(0)
		it := item{line: line}
		if err != nil {
			it.err = failure.Data("%d fields; expected %d as in the first row", len(fields), len(header))
		} else {
			it.json, it.err = object(header, fields)
		}
		if err := f(it); err != nil {
			return err
		}
		r.pass(int(c.InputOffset()))
	}
}

func object(keys, values []string) ([]byte, error) {
	m := make(map[string]string, len(keys))
	for i, v := range values {
		if !utf8.ValidString(v) {
			return nil, failure.Data("invalid UTF-8 in column %.40q; convert the file to UTF-8", keys[i])
		}
		m[keys[i]] = v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(m)
	return b.Bytes(), err
}

func csvError(name string, err error) error {
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		return failure.Data("%s:%d:%d: %w", name, parse.Line, parse.Column, parse.Err)
	case err == io.EOF:
		return failure.Data("%s: no examples", name)
	}
	return failure.As(failure.ErrIO, err)
}
