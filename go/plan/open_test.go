package plan_test

import (
	"fmt"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/plan"
	"github.com/stretchr/testify/assert"
)

// refusing is a backend that cannot be opened.
type refusing struct{ cause error }

func (r refusing) Profile() bindings.Profile { return bindings.Profile{} }
func (r refusing) Info() string              { return "a device" }
func (r refusing) Open(bindings.Plan) (bindings.Device, error) {
	return nil, fmt.Errorf("no: %w", r.cause)
}

func TestOpenSaysWhy(t *testing.T) {
	for cause, code := range map[error]int{bindings.ErrOutOfMemory: 82, bindings.ErrUnavailable: 69, assert.AnError: 70} {
		_, err := plan.Open(refusing{cause}, bindings.Plan{})
		assert.ErrorIs(t, err, cause)
		assert.Equal(t, code, failure.Code(err))
	}
}
