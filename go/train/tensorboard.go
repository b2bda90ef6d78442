package train

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/graftlm/graft/go/failure"
)

// board writes a TensorBoard event file: TFRecords (length, masked CRC-32C,
// data, masked CRC-32C) of Event protocol buffers with scalar summaries.
type board struct {
	f   *os.File
	now func() time.Time
}

// openBoard makes a new event file; TensorBoard reads all of a directory.
func openBoard(dir string, now func() time.Time) (*board, error) {
	name := fmt.Sprintf("events.out.tfevents.%d.graft.%d", now().Unix(), os.Getpid())
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, failure.IO("%w", err)
	}
	b := &board{f, now}
	return b, b.record(field(3, []byte("brain.Event:2"))) // file_version
}

// Write adds the numbers of a step.
func (b *board) Write(e Event) error {
	var values []byte
	add := func(tag string, v float64) {
		value := field(1, []byte(tag))
		value = binary.AppendUvarint(value, 2<<3|5) // simple_value, float
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(v)))
		values = append(values, field(1, value)...)
	}
	add("train/loss", e.Loss)
	add("train/grad_norm", e.GradNorm)
	add("train/learning_rate", e.LR)
	add("train/tokens_per_second", e.TokensPerSec)
	if e.EvalLoss != nil {
		add("eval/loss", *e.EvalLoss)
		add("eval/accuracy", *e.EvalAccuracy)
	}
	data := binary.AppendUvarint(nil, 2<<3) // step
	data = binary.AppendUvarint(data, uint64(e.Step))
	return b.record(append(data, field(5, values)...)) // summary
}

func (b *board) Close() error { return b.f.Close() }

// record frames an Event that lacks its wall time.
func (b *board) record(event []byte) error {
	data := binary.AppendUvarint(nil, 1<<3|1) // wall_time, double
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(b.now().UnixNano())/1e9))
	data = append(data, event...)
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, data...)
	out = binary.LittleEndian.AppendUint32(out, masked(data))
	_, err := b.f.Write(out)
	return failure.As(failure.ErrIO, err)
}

// field is a length-delimited field of a protocol buffer.
func field(number uint64, data []byte) []byte {
	out := binary.AppendUvarint(nil, number<<3|2)
	out = binary.AppendUvarint(out, uint64(len(data)))
	return append(out, data...)
}

// masked is the CRC-32C as TFRecord rotates it.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (c>>15 | c<<17) + 0xa282ead8
}
