package data

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/graftlm/graft/go/failure"
	"github.com/parquet-go/parquet-go"
)

// eachParquetRow calls f with each row of a Parquet file as a JSON object, by
// the names and in the order of its columns. A null is a key that is not
// there. The line of an item is the number of its row, from 1.
func eachParquetRow(name string, file io.ReaderAt, size int64, f func(item) error) error {
	if err := checkFooter(name, file, size); err != nil {
		return err
	}
	var table *parquet.File
	err := guarded(name, func() (err error) {
		table, err = parquet.OpenFile(file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		return err
	}
	if err := checkPages(name, file, size, table); err != nil {
		return err
	}
	line := 0
	for _, group := range table.RowGroups() {
		if err := eachGroupRow(name, group, table.Schema(), &line, f); err != nil {
			return err
		}
	}
	if line == 0 {
		return failure.Data("%s: no examples", name)
	}
	return nil
}

func eachGroupRow(name string, group parquet.RowGroup, schema *parquet.Schema, line *int, f func(item) error) error {
	var rows parquet.Rows
	if err := guarded(name, func() error { rows = group.Rows(); return nil }); err != nil {
		return err
	}
	defer rows.Close()
	buffer := make([]parquet.Row, 64)
	columns := make([][]parquet.Value, len(schema.Columns()))
	for {
		n := 0
		var end error
		err := guarded(name, func() error {
			if n, end = rows.ReadRows(buffer); end != nil && !errors.Is(end, io.EOF) {
				return end
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range buffer[:n] {
			*line++
			it := item{line: *line}
			err := guarded(name, func() error {
				clear(columns)
				row.Range(func(c int, v []parquet.Value) bool { columns[c] = v; return true })
				a := assembly{}
				a.group(schema, columns, 0, 0)
				it.json, it.err = a.out, a.err
				return nil
			})
			if err != nil {
				return err
			}
			if len(it.json) > MaxLine {
				return failure.Data("%s:%d: record longer than 64 MiB; split it", name, *line)
			}
			if err := f(it); err != nil {
				return err
			}
		}
		if end != nil || n == 0 {
			return nil
		}
	}
}

// guarded makes an error of what the library finds wrong with a file, be it by
// a panic.
func guarded(name string, read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = failure.Data("%s: damaged Parquet data: %.200s", name, fmt.Sprint(r))
		}
	}()
	if err := read(); err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			return failure.As(failure.ErrIO, err)
		}
		return failure.Data("%s: damaged Parquet data: %w", name, err)
	}
	return nil
}
