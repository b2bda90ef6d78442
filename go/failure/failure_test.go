package failure_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/failure"
	"github.com/stretchr/testify/assert"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("load: %w", failure.Data("a.jsonl:3: %w", io.ErrUnexpectedEOF))
	assert.ErrorIs(t, err, failure.ErrData)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotErrorIs(t, err, failure.ErrConfig)
	assert.Equal(t, 65, failure.Code(err))
	assert.Equal(t, "load: a.jsonl:3: unexpected EOF", err.Error())
}

func TestFirstKindWins(t *testing.T) {
	err := failure.As(failure.ErrInternal, failure.NoInput("x is missing"))
	assert.Equal(t, 66, failure.Code(err))
}

func TestCodeOfPlainErrors(t *testing.T) {
	assert.Equal(t, 0, failure.Code(nil))
	assert.Equal(t, 70, failure.Code(errors.New("surprise")))
	assert.NoError(t, failure.As(failure.ErrData, nil))
}

// TestDevicesKeepTheirKind: what a device says has a kind by itself, which no
// room on the way has to give and none can take.
func TestDevicesKeepTheirKind(t *testing.T) {
	for cause, want := range map[error]struct {
		kind *failure.Kind
		code int
	}{bindings.ErrOutOfMemory: {failure.ErrMemory, 82}, bindings.ErrUnavailable: {failure.ErrUnavailable, 69}} {
		err := fmt.Errorf("layer 3: %w", &bindings.OpError{Op: "upload", Err: fmt.Errorf("%w: 40 GiB", cause)})
		for _, err := range []error{err, failure.As(failure.ErrData, err), failure.Internal("load: %w", err), errors.Join(io.EOF, err)} {
			assert.Equal(t, want.code, failure.Code(err), "%v", err)
			assert.ErrorIs(t, err, want.kind)
			assert.ErrorIs(t, err, cause)
			assert.NotErrorIs(t, err, failure.ErrInternal)
		}
	}
	assert.Equal(t, 70, failure.Code(bindings.ErrNotImplemented))
	assert.Equal(t, 65, failure.Code(failure.As(failure.ErrData, bindings.ErrNotImplemented)))
}
