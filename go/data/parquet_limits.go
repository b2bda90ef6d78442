package data

import (
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"

	"github.com/graftlm/graft/go/failure"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// A Parquet file says itself how much memory its parts need, so what it says
// is checked before the library believes it.
const (
	maxFooter     = 64 << 20
	maxPage       = 256 << 20 // of one page of one column, expanded
	maxPageHeader = 1 << 20
	maxPageValues = 1 << 26
	maxStructs    = 1 << 19 // in a footer
	maxThrift     = 32      // levels of nesting
)

// checkFooter walks the metadata of a file.
func checkFooter(name string, file io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return failure.Data("%s: damaged Parquet data: %d bytes are too few", name, size)
	}
	if _, err := file.ReadAt(tail[:], size-8); err != nil {
		return failure.As(failure.ErrIO, err)
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if string(tail[4:]) != "PAR1" || n > size-12 || n > maxFooter {
		return failure.Data("%s: damaged Parquet data: the file does not end with its metadata", name)
	}
	footer := make([]byte, n)
	if _, err := file.ReadAt(footer, size-8-n); err != nil {
		return failure.As(failure.ErrIO, err)
	}
	w := thrift{data: footer}
	if w.structure(nil, 0); w.bad {
		return failure.Data("%s: damaged Parquet data: metadata at byte %d", name, size-8-n+int64(w.at))
	}
	return nil
}

// checkPages walks the page headers of each column.
func checkPages(name string, file io.ReaderAt, size int64, f *parquet.File) error {
	for _, group := range f.Metadata().RowGroups {
		held := int64(0) // one page of each column is in memory at a time
		for i := range group.Columns {
			m := &group.Columns[i].MetaData
			switch m.Codec {
			case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd:
			default:
				return failure.Data("%s: column %v is compressed by %v; write it with zstd, snappy or gzip", name, m.PathInSchema, m.Codec)
			}
			at := m.DataPageOffset
			if d := m.DictionaryPageOffset; d > 0 && d < at {
				at = d
			}
			end := at + m.TotalCompressedSize
			if at < 4 || end < at || end > size {
				return failure.Data("%s: damaged Parquet data: column %v lies outside of the file", name, m.PathInSchema)
			}
			largest := int64(0)
			for at < end {
				page, err := readPage(file, at, end)
				if err != nil {
					return failure.Data("%s: damaged Parquet data: page at byte %d: %w", name, at, err)
				}
				if largest = max(largest, page.expanded); page.expanded > maxPage || page.expanded > freeExpanded+maxExpansion*page.size || page.values > maxPageValues {
					return failure.Data("%s: a page of column %v has %d bytes and %d values; at most %d MiB and 1000:1 are read; write smaller pages", name, m.PathInSchema, page.expanded, page.values, maxPage>>20)
				}
				if err := page.check(io.NewSectionReader(file, at+page.header, page.size), m.Codec); err != nil {
					return failure.Data("%s: damaged Parquet data: page at byte %d: %w", name, at, err)
				}
				at += page.header + page.size
			}
			held += largest
		}
		if held > 4*maxPage {
			return failure.Data("%s: its pages need %d MiB at once; write smaller pages", name, held>>20)
		}
	}
	return nil
}

// page is what a header says, in bytes.
type page struct {
	header, size, expanded, values int64

	levels int64 // of a page of version 2, which stand before what is compressed
	plain  bool  // nothing is compressed, whatever the codec of the column
}

// check expands a page to see that it is as large as its header says: the
// library would find out by filling the memory.
func (p page) check(data io.Reader, codec format.CompressionCodec) error {
	if _, err := io.CopyN(io.Discard, data, p.levels); err != nil || p.levels > p.expanded {
		return failure.Data("its levels do not fit it")
	}
	want, have := p.expanded-p.levels, int64(0)
	if p.plain {
		codec = format.Uncompressed
	}
	switch codec {
	case format.Uncompressed:
		have = p.size - p.levels
	case format.Snappy:
		head := make([]byte, binary.MaxVarintLen64)
		n, _ := io.ReadFull(data, head)
		size, _ := binary.Uvarint(head[:n])
		have = int64(min(size, math.MaxInt64))
	case format.Gzip:
		z, err := gzip.NewReader(data)
		if err != nil {
			return err
		}
		have, err = io.Copy(io.Discard, io.LimitReader(z, want+1))
		if err != nil {
			return err
		}
	case format.Zstd:
		z, err := zstd.NewReader(data, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return err
		}
		defer z.Close()
		have, err = io.Copy(io.Discard, io.LimitReader(z, want+1))
		if err != nil {
			return err
		}
	}
	if have != want && (want != 0 || p.size != p.levels) { // nothing may be written for nothing
		return failure.Data("it expands to %d bytes, its header says %d", have, want)
	}
	return nil
}

func readPage(file io.ReaderAt, at, end int64) (p page, err error) {
	head := make([]byte, min(512, end-at))
	for {
		if _, err := file.ReadAt(head, at); err != nil {
			return p, err
		}
		p = page{}
		w := thrift{data: head}
		w.structure(func(path [2]int, v int64) {
			switch path {
			case [2]int{2, 0}:
				p.expanded = v
			case [2]int{3, 0}:
				p.size = v
			case [2]int{5, 1}, [2]int{7, 1}, [2]int{8, 1}: // the values of the three kinds of page
				p.values = v
			case [2]int{8, 5}, [2]int{8, 6}:
				p.levels += v
			case [2]int{8, 7}:
				p.plain = v == 0
			}
		}, 0)
		if p.header = int64(w.at); !w.bad {
			break
		}
		if more := min(maxPageHeader, end-at); int64(len(head)) < more {
			head = make([]byte, more)
			continue
		}
		return p, failure.Data("its header is cut")
	}
	if p.size < 0 || p.expanded < 0 || p.values < 0 || p.levels < 0 || at+p.header+p.size > end {
		return p, failure.Data("it does not fit its column")
	}
	return p, nil
}

// thrift walks a struct of the compact protocol without keeping anything.
type thrift struct {
	data    []byte
	at      int
	structs int
	bad     bool
}

func (t *thrift) byte() byte {
	if t.at >= len(t.data) {
		t.bad = true
		return 0
	}
	t.at++
	return t.data[t.at-1]
}

func (t *thrift) varint() uint64 {
	v, n := binary.Uvarint(t.data[min(t.at, len(t.data)):])
	if n <= 0 {
		t.bad = true
		return 0
	}
	t.at += n
	return v
}

func (t *thrift) skip(n uint64) {
	if n > uint64(len(t.data)-t.at) {
		t.bad = true
		return
	}
	t.at += int(n)
}

// structure walks one struct. number is told of the integers and
// booleans of the outermost
// struct and of those directly inside of it, by their field numbers.
func (t *thrift) structure(number func(path [2]int, v int64), depth int) {
	t.walk(number, [2]int{}, depth)
}

func (t *thrift) walk(number func([2]int, int64), path [2]int, depth int) {
	if t.structs++; depth > maxThrift || t.structs > maxStructs {
		t.bad = true
	}
	id := int64(0)
	for !t.bad {
		head := t.byte()
		if head == 0 {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			id = zigzag(t.varint())
		}
		here := path
		if depth < 2 {
			here[depth] = int(id)
		}
		t.value(head&15, number, here, depth)
	}
}

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func (t *thrift) value(kind byte, number func([2]int, int64), path [2]int, depth int) {
	switch kind {
	case 1, 2: // a boolean is its kind
		if number != nil && depth < 2 {
			number(path, int64(2-kind))
		}
	case 3:
		t.byte()
	case 4, 5, 6:
		if v := zigzag(t.varint()); number != nil && depth < 2 {
			number(path, v)
		}
	case 7:
		t.skip(8)
	case 8:
		t.skip(t.varint())
	case 9, 10:
		head := t.byte()
		n := uint64(head >> 4)
		if n == 15 {
			n = t.varint()
		}
		t.items(n, depth, head&15)
	case 11:
		if n := t.varint(); n > 0 {
			kinds := t.byte()
			t.items(n, depth, kinds>>4, kinds&15)
		}
	case 12:
		t.walk(number, path, depth+1)
	case 13:
		t.skip(16)
	default:
		t.bad = true
	}
}

// items walks the elements of a list, or the pairs of a map.
func (t *thrift) items(n uint64, depth int, kinds ...byte) {
	if n > uint64(len(t.data)-t.at) || depth >= maxThrift {
		t.bad = true
	}
	for range n {
		for _, kind := range kinds {
			if t.bad {
				return
			}
			if kind == 1 || kind == 2 { // in a list a boolean takes a byte
				kind = 3
			}
			t.value(kind, nil, [2]int{}, depth+1)
		}
	}
}
