package plan

import (
	"errors"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
)

// Open reserves planned bytes on a backend, and says in the kind of its error
// whether the device is missing or too small.
func Open(b bindings.Backend, p bindings.Plan) (bindings.Device, error) {
	dev, err := b.Open(p)
	switch {
	case errors.Is(err, bindings.ErrOutOfMemory):
		return nil, failure.Memory("%s cannot give the planned %d bytes: %w", b.Info(), p.Total(), err)
	case errors.Is(err, bindings.ErrUnavailable):
		return nil, failure.As(failure.ErrUnavailable, err)
	}
	return dev, err
}
