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
	if errors.Is(err, bindings.ErrOutOfMemory) {
		return nil, failure.Memory("%s cannot give the planned %d bytes: %w", b.Info(), p.Total(), err)
	}
	if err != nil {
		return nil, err
	}
	return dev, nil
}

// Programs are those that a device prepared, by what tells them apart.
type Programs[K comparable] map[K]bindings.Program

// Launch runs a program, which is prepared the first time.
func (all Programs[K]) Launch(dev bindings.Device, key K, name string, program func(bindings.Ops)) error {
	p, ok := all[key]
	if !ok {
		var err error
		if p, err = dev.Prepare(name, program); err != nil {
			return err
		}
		all[key] = p
	}
	return p.Launch()
}

// Close releases them.
func (all Programs[K]) Close() error {
	var failed []error
	for key, p := range all {
		failed = append(failed, p.Close())
		delete(all, key)
	}
	return errors.Join(failed...)
}
