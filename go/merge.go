package graft

import (
	"context"

	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/model"
)

// Merge writes the base with an adapter added to its weights as a new model
// directory. Everything else of the base is copied byte for byte.
func Merge(ctx context.Context, base, adapter string, scale float64, out string) error {
	b, err := OpenBase(base, "auto")
	if err != nil {
		return err
	}
	defer b.Close()
	m := model.New(b.Config)
	_, values, err := Attach(m, adapter, scale)
	if err != nil {
		return err
	}
	return export.Merge(ctx, b.Files, m, values, out)
}
