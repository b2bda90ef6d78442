package tokenizer

import (
	"encoding/binary"
	"math"

	"github.com/graftlm/graft/go/failure"
)

// message reads the wire format of Protocol Buffers, one field after another.
type message struct {
	data []byte
	err  error
}

// field is one field: number, and a value of one of the wire types.
type field struct {
	number int
	wire   int // 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32
	value  uint64
	bytes  []byte
}

// next is the next field, false at the end or after an error.
func (m *message) next() (f field, ok bool) {
	if len(m.data) == 0 || m.err != nil {
		return f, false
	}
	tag := m.varint()
	f.number, f.wire = int(tag>>3), int(tag&7)
	switch f.wire {
	case 0:
		f.value = m.varint()
	case 1:
		if b := m.take(8); b != nil {
			f.value = binary.LittleEndian.Uint64(b)
		}
	case 2:
		f.bytes = m.take(m.varint())
	case 5:
		if b := m.take(4); b != nil {
			f.value = uint64(binary.LittleEndian.Uint32(b))
		}
	default:
		m.fail("wire type %d of field %d is not known", f.wire, f.number)
	}
	if f.number < 1 || f.number > 1<<29-1 {
		m.fail("field number %d is not valid", f.number)
	}
	return f, m.err == nil
}

func (m *message) varint() uint64 {
	v, n := binary.Uvarint(m.data)
	if n <= 0 {
		m.fail("a number is cut off or too long")
		return 0
	}
	m.data = m.data[n:]
	return v
}

func (m *message) take(n uint64) []byte {
	if m.err != nil || n > uint64(len(m.data)) {
		m.fail("a field of %d bytes, but %d are left", n, len(m.data))
		return nil
	}
	b := m.data[:n:n]
	m.data = m.data[n:]
	return b
}

func (m *message) fail(format string, a ...any) {
	if m.err == nil {
		m.err = failure.Data(format, a...)
	}
}

// float is the value of a fixed 32 field.
func (f field) float() float32 { return math.Float32frombits(uint32(f.value)) }
