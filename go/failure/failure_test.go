package failure_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

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
