package hub

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/graftlm/graft/go/failure"
)

// weightMap is the shard of each tensor.
type weightMap map[string]string

func (w weightMap) tensors() []string { return slices.Sorted(maps.Keys(w)) }

func (w weightMap) shards() []string {
	return slices.Compact(slices.Sorted(maps.Values(w)))
}

// readIndex reads the index of shards; nil if the model is a single file.
func (m *Model) readIndex() (weightMap, error) {
	object, err := m.readObject(indexFile, maxIndex)
	if object == nil || err != nil {
		return nil, err
	}
	raw, ok := object.fields["weight_map"]
	if !ok {
		return nil, failure.Data("%s: no \"weight_map\"", m.path(indexFile))
	}
	entries, err := ParseObject(raw)
	if err != nil {
		return nil, failure.Data("%s: weight_map: %w", m.path(indexFile), err)
	}
	if len(entries.keys) == 0 {
		return nil, failure.Data("%s: weight_map is empty", m.path(indexFile))
	}
	w := weightMap{}
	for _, name := range entries.keys {
		var shard string
		if json.Unmarshal(entries.fields[name], &shard) != nil {
			return nil, failure.Data("%s: the shard of %q must be a string, got %.40s", m.path(indexFile), name, entries.fields[name])
		}
		w[name] = shard
	}
	return w, nil
}

// readFile reads a file whole; nil if it is not there.
func (m *Model) readFile(name string, limit int64) ([]byte, error) {
	f, err := m.openFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, failure.IO("%s: %w", m.path(name), cause(err))
	}
	if int64(len(raw)) > limit {
		return nil, failure.Data("%s: larger than %d bytes", m.path(name), limit)
	}
	return raw, nil
}

// readObject reads a file that holds a JSON object; nil if it is not there.
func (m *Model) readObject(name string, limit int64) (*Object, error) {
	raw, err := m.readFile(name, limit)
	if raw == nil || err != nil {
		return nil, err
	}
	o, err := ParseObject(raw)
	if err != nil {
		return nil, failure.Data("%s: %w", m.path(name), err)
	}
	return o, nil
}
