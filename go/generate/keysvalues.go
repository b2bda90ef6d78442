package generate

import (
	"context"

	"github.com/graftlm/graft/go/model"
)

// KeysValues reads tokens and gives the rotated keys and the values
// [len(ids), kv heads·dim] that the cache then holds of them, for each layer.
func (g *Generator) KeysValues(ctx context.Context, ids []int32) (keys, values [][]float32, err error) {
	if _, err := g.Generate(ctx, [][]int32{ids}, Params{MaxNewTokens: 1}, nil); err != nil {
		return nil, nil, err
	}
	for i := range g.cache.K {
		k, err := model.Download(g.dev, g.cache.K[i].RowRange(g.virtual, g.virtual+len(ids)))
		if err != nil {
			return nil, nil, err
		}
		v, err := model.Download(g.dev, g.cache.V[i].RowRange(g.virtual, g.virtual+len(ids)))
		if err != nil {
			return nil, nil, err
		}
		keys, values = append(keys, k), append(values, v)
	}
	return keys, values, nil
}
