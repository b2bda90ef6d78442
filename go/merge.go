package graft

import (
	"context"

	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/model"
)

// Merge writes the base with adapters added to its weights, each with its own
// weight, as a new model directory. Everything else of the base is copied byte
// for byte.
func Merge(ctx context.Context, base string, adapters []Weighted, out string) error {
	b, err := OpenBase(base, "auto")
	if err != nil {
		return err
	}
	defer b.Close()
	m := model.New(b.Config)
	values, err := stack(m, adapters, false)
	if err != nil {
		return err
	}
	return export.Merge(ctx, b.Files, m, values, out)
}
