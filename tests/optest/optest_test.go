package optest

import (
	"testing"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/reference"
)

func TestReferenceFloat32(t *testing.T) { Run(t, reference.New(reference.Float32), Options{}) }

func TestReferenceFloat64(t *testing.T) {
	Run(t, reference.New(reference.Float64), Options{Types: []bindings.DType{bindings.F64}})
}

func BenchmarkReference(b *testing.B) { Bench(b, reference.New(reference.Float32)) }
