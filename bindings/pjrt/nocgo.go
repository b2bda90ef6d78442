//go:build !cgo || !(linux || darwin)

package pjrt

import (
	"fmt"

	"github.com/graftlm/graft/bindings"
)

// Compiled reports whether this program can open plugins.
const Compiled = false

// Open fails with an ErrUnavailable.
func Open(o Options) (bindings.Backend, error) {
	return nil, fmt.Errorf("%w: this program was built without cgo, and so without PJRT", bindings.ErrUnavailable)
}

// Devices fails as Open does.
func Devices(o Options) ([]Entry, error) { _, err := Open(o); return nil, err }

// Live is zero: nothing can be opened.
func Live() int { return 0 }
