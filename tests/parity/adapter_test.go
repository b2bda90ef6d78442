package parity_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/export"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settings are those of METHODS in make_fixtures.py.
var settings = map[string]lora.Config{
	"qv":         {R: 4, Alpha: 8, Targets: []string{"q_proj", "v_proj"}},
	"all-linear": {R: 3, Alpha: 6, Targets: []string{"all-linear"}},
	"rslora":     {R: 4, Alpha: 5, Targets: []string{"k_proj", "o_proj", "down_proj"}, RSLoRA: true},
	"patterns": {
		R: 4, Alpha: 8, Targets: []string{"k_proj", "up_proj"},
		RankPattern: map[string]int{"k_proj": 2}, AlphaPattern: map[string]float64{"layers.1.mlp.up_proj": 3},
	},
}

// TestAdapterDirectory writes PEFT's values with our settings: the weights are
// PEFT's file byte for byte, the config agrees in each key that we write, and
// what we leave out is PEFT's default.
func TestAdapterDirectory(t *testing.T) {
	for _, family := range families {
		for _, name := range adapters {
			t.Run(family+"/"+name, func(t *testing.T) {
				f := read(t, family)
				c := settings[name]
				c.BaseModel = "tiny-" + family
				m := model.New(f.config(t))
				require.NoError(t, c.Attach(m, 7))
				values, err := c.Load(f.adapter(name, "final"), m)
				require.NoError(t, err)
				dir := filepath.Join(t.TempDir(), "adapter")
				require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
					return c.Save(d, m, func(p string) ([]float32, error) { return values[p], nil })
				}))
				file := func(dir, name string) []byte {
					raw, err := os.ReadFile(filepath.Join(dir, name))
					require.NoError(t, err)
					return raw
				}
				theirs := f.adapter(name, "final")
				assert.Equal(t, file(theirs, method.WeightsFile), file(dir, method.WeightsFile))

				var want, got map[string]any
				require.NoError(t, json.Unmarshal(file(theirs, method.ConfigFile), &want))
				require.NoError(t, json.Unmarshal(file(dir, method.ConfigFile), &got))
				assert.ElementsMatch(t, kinds(want["target_modules"]), got["target_modules"])
				delete(want, "target_modules")
				delete(got, "target_modules")
				for key, v := range want {
					if ours, ok := got[key]; ok {
						assert.Equal(t, v, ours, key)
						continue
					}
					switch key {
					case "peft_version", "megatron_core", "qalora_group_size": // constants that nothing reads here
					default:
						assert.Contains(t, []any{nil, false, map[string]any{}}, v, "%s is left out, but is not a default", key)
					}
				}
				for key := range got {
					assert.Contains(t, want, key, "PEFT has no such key")
				}
			})
		}
	}
}

// kinds are the last parts of module paths, each once. Of "all-linear" PEFT
// writes whole paths as long as there are fewer than twenty.
func kinds(paths any) (all []any) {
	for _, p := range paths.([]any) {
		path := p.(string)
		if kind := path[strings.LastIndexByte(path, '.')+1:]; !slices.Contains(all, any(kind)) {
			all = append(all, kind)
		}
	}
	return all
}

// onDevice does the sums of an export where the fixtures are followed.
func onDevice(t *testing.T, m *model.Model) *export.Arithmetic {
	t.Helper()
	on, err := export.OnDevice(single.open(), m)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, on.Close()) })
	return on
}

// merged has the method whose merge the fixture stores.
var merged = map[string]string{"llama": "all-linear", "mistral": "qv", "qwen2": "rslora", "qwen3": "patterns"}

// TestMerge holds the merge to merge_and_unload, and the merged model to the
// logits of the adapted one.
func TestMerge(t *testing.T) {
	for family, name := range merged {
		t.Run(family+"/"+name, func(t *testing.T) {
			f := read(t, family)
			base := f.checkpoint(t)
			m := model.New(f.config(t))
			adapted := f.method(t, name)
			require.NoError(t, adapted.Attach(m, 7))
			values, err := adapted.Load(f.adapter(name, "final"), m)
			require.NoError(t, err)
			dir := filepath.Join(t.TempDir(), "merged")
			require.NoError(t, export.Merge(t.Context(), onDevice(t, m), base, m, values, dir, nil))

			before, err := method.ReadTensors(filepath.Join(f.dir, "model.safetensors"))
			require.NoError(t, err)
			after, err := method.ReadTensors(filepath.Join(dir, "model.safetensors"))
			require.NoError(t, err)
			require.Len(t, after, len(before))
			changed := 0
			for n, got := range after {
				want, ok := f.tensors["merged."+n]
				if !ok {
					assert.Equal(t, before[n], got, n)
					continue
				}
				changed++
				assert.Less(t, distance(want, got), 1e-6, n)
				assert.Less(t, largest(want, got), 1e-6, n)
			}
			assert.Equal(t, len(m.Params.Trainable())/2, changed)

			h, err := hub.Open(dir)
			require.NoError(t, err)
			defer h.Close()
			got := logits(t, single, setting{config: f.config(t), source: h}, f.row(2))
			assert.Less(t, distance(f.tensor(t, name+".logits"), got), close)
		})
	}
}
