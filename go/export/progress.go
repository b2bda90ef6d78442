package export

import (
	"io"

	"github.com/graftlm/graft/go/safetensors"
)

// Progress is told how many bytes of the weights are done; it may be nil.
type Progress func(done, total int64)

// of tells of the tensors as they are written.
func (p Progress) of(tensors []safetensors.Tensor) ([]safetensors.Tensor, error) {
	if p == nil {
		return tensors, nil
	}
	total, err := bytesOf(tensors)
	if err != nil {
		return nil, err
	}
	var done int64
	told := make([]safetensors.Tensor, len(tensors))
	for i, t := range tensors {
		size, err := t.Bytes()
		if err != nil {
			return nil, err
		}
		told[i] = t
		told[i].Data, told[i].Stream = nil, func(w io.Writer) (err error) {
			if t.Stream != nil {
				err = t.Stream(w)
			} else {
				_, err = w.Write(t.Data)
			}
			done += size
			p(done, total)
			return err
		}
	}
	return told, nil
}

func bytesOf(tensors []safetensors.Tensor) (total int64, err error) {
	for _, t := range tensors {
		n, err := t.Bytes()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
