// Package failure names the ways in which graft can fail, one for each
// documented exit code. Every room wraps its errors in one of them, so that
// the command line maps an error to a code in a single place and a Go program
// can ask with errors.Is.
//
//	return failure.Data("%s:%d: %q must be a list, got %s", file, line, key, kind)
//	...
//	if errors.Is(err, failure.ErrData) { ... }
//
// The text of an error is one sentence: where, what was found, what was
// expected, what to do. It never repeats the kind.
package failure

import (
	"errors"
	"fmt"

	"github.com/graftlm/graft/bindings"
)

// Kind is a way to fail. It is an error itself, for errors.Is.
type Kind struct {
	name  string
	code  int
	cause error // of a device, which has this kind wherever it comes from; may be nil
}

func (k *Kind) Error() string { return k.name }

// Covers reports whether a failure of a device is one of this kind.
func (k *Kind) Covers(cause error) bool { return cause == k.cause }

// The kinds, with the exit code of each.
var (
	ErrUsage       = &Kind{name: "wrong use of the command line", code: 2}
	ErrData        = &Kind{name: "bad data, model or adapter file", code: 65}
	ErrNoInput     = &Kind{name: "missing input", code: 66}
	ErrUnavailable = &Kind{name: "device unavailable", code: 69, cause: bindings.ErrUnavailable}
	ErrInternal    = &Kind{name: "internal error", code: 70}
	ErrIO          = &Kind{name: "input or output failed", code: 74}
	ErrPreempted   = &Kind{name: "stopped, checkpoint saved", code: 75}
	ErrConfig      = &Kind{name: "bad configuration", code: 78}
	ErrDiverged    = &Kind{name: "training diverged", code: 81}
	ErrMemory      = &Kind{name: "does not fit in device memory", code: 82, cause: bindings.ErrOutOfMemory}
	ErrDrift       = &Kind{name: "what was written is not what was trained", code: 83}
)

// classified is an error of one kind. Its text is the cause's alone.
type classified struct {
	kind  *Kind
	cause error
}

func (c *classified) Error() string        { return c.cause.Error() }
func (c *classified) Unwrap() error        { return c.cause }
func (c *classified) Is(target error) bool { return target == error(c.kind) }

// kindOf is the kind that an error has, or nil: one that it was given, or that
// of the device which failed.
func kindOf(err error) *Kind {
	var c *classified
	if errors.As(err, &c) {
		return c.kind
	}
	for _, k := range []*Kind{ErrMemory, ErrUnavailable} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// As gives an error a kind, unless it has one already; nil stays nil.
func As(kind *Kind, err error) error {
	if err == nil || kindOf(err) != nil {
		return err
	}
	return &classified{kind, err}
}

// Usage, Data, NoInput, Unavailable, Internal, IO, Config, Diverged, Memory and Drift
// format an error of that kind; %w wraps as in fmt.Errorf.
func Usage(format string, a ...any) error       { return newOf(ErrUsage, format, a) }
func Data(format string, a ...any) error        { return newOf(ErrData, format, a) }
func NoInput(format string, a ...any) error     { return newOf(ErrNoInput, format, a) }
func Unavailable(format string, a ...any) error { return newOf(ErrUnavailable, format, a) }
func Internal(format string, a ...any) error    { return newOf(ErrInternal, format, a) }
func IO(format string, a ...any) error          { return newOf(ErrIO, format, a) }
func Config(format string, a ...any) error      { return newOf(ErrConfig, format, a) }
func Diverged(format string, a ...any) error    { return newOf(ErrDiverged, format, a) }
func Memory(format string, a ...any) error      { return newOf(ErrMemory, format, a) }
func Drift(format string, a ...any) error       { return newOf(ErrDrift, format, a) }

// Preempted says that a run stopped on request and can be resumed.
func Preempted(format string, a ...any) error { return newOf(ErrPreempted, format, a) }

// Code is the exit code of an error: 0 for nil, 70 for one without a kind.
func Code(err error) int {
	if err == nil {
		return 0
	}
	if k := kindOf(err); k != nil {
		return k.code
	}
	return ErrInternal.code
}

func newOf(kind *Kind, format string, a []any) error { return As(kind, fmt.Errorf(format, a...)) }
