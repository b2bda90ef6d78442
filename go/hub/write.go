package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/safetensors"
)

// WriteSharded writes weights as one file, or, where they exceed maxShardBytes,
// as shards in the order given with an index. A tensor larger than that gets a
// shard of its own. 0 stands for no limit.
func WriteSharded(to *atomicfs.Dir, tensors []safetensors.Tensor, maxShardBytes int64) error {
	var shards [][]safetensors.Tensor
	var filled, total int64
	seen := map[string]bool{}
	for _, t := range tensors {
		n, err := t.Bytes()
		if err != nil {
			return err
		}
		if seen[t.Name] {
			return failure.Internal("tensor %q is given twice", t.Name)
		}
		seen[t.Name] = true
		if len(shards) == 0 || maxShardBytes > 0 && filled > 0 && filled+n > maxShardBytes {
			shards, filled = append(shards, nil), 0
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], t)
		filled += n
		total += n
	}
	if len(shards) <= 1 {
		return to.Stream(singleFile, func(w io.Writer) error { return safetensors.Encode(w, tensors, nil) })
	}
	index := struct {
		Metadata map[string]int64 `json:"metadata"`
		Weights  weightMap        `json:"weight_map"`
	}{map[string]int64{"total_size": total}, weightMap{}}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			index.Weights[t.Name] = name
		}
		err := to.Stream(name, func(w io.Writer) error { return safetensors.Encode(w, shard, nil) })
		if err != nil {
			return err
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(index); err != nil {
		return failure.Internal("index of shards: %w", err)
	}
	return to.WriteFile(indexFile, b.Bytes())
}
