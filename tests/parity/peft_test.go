package parity_test

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/method"
	"github.com/graftlm/graft/go/method/lora"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/require"
)

var python = flag.String("python", "", "a Python that has PEFT, to load what graft writes")

// TestPEFTLoads trains an adapter from our own first values, writes it, and
// has PEFT compute the same logits. Without -python it does not run: the same
// directory is compared with PEFT's, file by file, in TestAdapterDirectory.
func TestPEFTLoads(t *testing.T) {
	if *python == "" {
		t.Skip("no -python; make parity gives one")
	}
	for _, family := range families {
		for _, name := range append(adapters[:len(adapters):len(adapters)], variants[family]...) {
			t.Run(family+"/"+name, func(t *testing.T) {
				if name == "frozen" {
					return // a whole checkpoint
				}
				f := read(t, family)
				var s setting
				if c, ok := settings[name]; ok {
					s = f.setting(t, name)
					s.method, s.adapter = c, ""
				} else {
					f = readVariants(t, family)
					s = f.variant(t, name)
				}
				e := open(t, single, s)
				for i, step := range f.Methods[name].Steps {
					_, err := e.Step(i, 10*peakLR, f.packed(step.Rows))
					require.NoError(t, err)
				}
				dir := t.TempDir()
				s.adapter = filepath.Join(dir, "adapter")
				require.NoError(t, atomicfs.WriteDir(s.adapter, func(d *atomicfs.Dir) error {
					return s.method.Save(d, e.Model, e.Values)
				}))
				read, err := lora.Read(s.adapter)
				require.NoError(t, err)
				s.method = read // PiSSA writes a plain adapter
				var all []safetensors.Tensor
				for i := range f.Rows {
					z := logits(t, single, s, f.row(i))
					narrow := make([]float32, len(z))
					for j, x := range z {
						narrow[j] = float32(x)
					}
					all = append(all, method.Tensor(fmt.Sprintf("logits.%d", i), []int{len(narrow)}, narrow))
				}
				computed := filepath.Join(dir, "logits.safetensors")
				require.NoError(t, safetensors.Write(computed, all, nil))
				out, err := exec.Command(*python, "load_adapter.py", f.dir, s.adapter, computed).CombinedOutput()
				require.NoError(t, err, "%s", out)
				t.Logf("%s", out)
			})
		}
	}
}
