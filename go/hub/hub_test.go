package hub_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/atomicfs/faultfs"
	"github.com/graftlm/graft/go/failure"
	"github.com/graftlm/graft/go/hub"
	"github.com/graftlm/graft/go/safetensors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const config = `{"model_type": "llama", "vocab_size":32,   "rope_theta": 1e4, "eos_token_id": 2, "bos_token_id": 1}`

// tensor holds n bytes that begin with the name.
func tensor(name string, n int) safetensors.Tensor {
	data := make([]byte, n)
	copy(data, name)
	return safetensors.Tensor{Name: name, DType: safetensors.U8, Shape: []int{n}, Data: data}
}

// directory makes a sharded model with these files over the ordinary ones; ""
// leaves a file out.
func directory(t *testing.T, files map[string]string) string {
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		return hub.WriteSharded(d, []safetensors.Tensor{tensor("b", 6), tensor("a", 4), tensor("c", 300_000)}, 10)
	}))
	for _, m := range []map[string]string{{"config.json": config}, files} {
		for name, text := range m {
			path := filepath.Join(dir, name)
			if text == "" {
				require.NoError(t, os.Remove(path))
				continue
			}
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	return dir
}

func open(t *testing.T, dir string) *hub.Model {
	m, err := hub.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func TestShardsReadAsOneModel(t *testing.T) {
	dir := directory(t, nil)
	assert.FileExists(t, filepath.Join(dir, "model-00001-of-00002.safetensors"))
	index, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"total_size":300010},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"}}`, string(index))
	m := open(t, dir)
	assert.Equal(t, []string{"a", "b", "c"}, m.Names())
	for _, i := range m.Tensors() {
		info, r, err := m.Tensor(i.Name)
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Len(t, data, info.Shape[0])
		assert.Equal(t, i.Name, strings.TrimRight(string(data), "\x00"))
	}
	dtype, shape, ok := m.Lookup("c")
	assert.True(t, ok)
	assert.Equal(t, safetensors.U8, dtype)
	assert.Equal(t, []int{300_000}, shape)
	_, _, ok = m.Lookup("d")
	assert.False(t, ok)
	assert.ErrorIs(t, m.ReadAt("d", nil, 0), failure.ErrData)
	assert.Equal(t, config, string(m.Config.Bytes()))
}

func TestSpecialTokens(t *testing.T) {
	g := open(t, directory(t, nil)).Generation
	assert.Equal(t, []int{2}, g.EOS)
	assert.Equal(t, 1, *g.BOS)
	assert.Nil(t, g.Pad)
	m := open(t, directory(t, map[string]string{
		"generation_config.json": `{"eos_token_id":[128001,128009],"pad_token_id":0,"temperature":0.6}`,
		"tokenizer_config.json":  `{"bos_token":{"content":"<s>","lstrip":false},"eos_token":"</s>","pad_token":null}`,
	}))
	assert.Equal(t, []int{128001, 128009}, m.Generation.EOS)
	assert.Equal(t, 1, *m.Generation.BOS, "from config.json")
	assert.Equal(t, 0, *m.Generation.Pad)
	assert.Equal(t, hub.Special{BOS: "<s>", EOS: "</s>"}, m.Special)
}

func TestRefusals(t *testing.T) {
	index := func(weights string) map[string]string {
		return map[string]string{"model.safetensors.index.json": `{"metadata":{},"weight_map":` + weights + `}`}
	}
	one, two := "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	cases := map[string]struct {
		files map[string]string
		kind  error
		says  string
	}{
		"no config":           {map[string]string{"config.json": ""}, failure.ErrNoInput, "no config.json"},
		"config no object":    {map[string]string{"config.json": "[1]"}, failure.ErrData, "want a JSON object"},
		"config twice":        {map[string]string{"config.json": `{"a":1,"a":2}`}, failure.ErrData, `duplicate key "a"`},
		"config and more":     {map[string]string{"config.json": "{} x"}, failure.ErrData, "bytes follow"},
		"config cut off":      {map[string]string{"config.json": `{"a":1`}, failure.ErrData, "does not end"},
		"config deep":         {map[string]string{"config.json": `{"a":` + strings.Repeat("[", 100000)}, failure.ErrData, "bad JSON"},
		"config huge":         {map[string]string{"config.json": `{"a":"` + strings.Repeat("x", 16<<20) + `"}`}, failure.ErrData, "larger than 16777216 bytes"},
		"config not UTF-8":    {map[string]string{"config.json": "{\"a\":\"\xff\"}"}, failure.ErrData, "not UTF-8"},
		"auto_map":            {map[string]string{"config.json": `{"auto_map":{"AutoModel":"evil.Model"}}`}, failure.ErrData, "never runs code"},
		"eos of text":         {map[string]string{"generation_config.json": `{"eos_token_id":"x"}`}, failure.ErrData, "must be an integer or a list"},
		"bos of a list":       {map[string]string{"config.json": `{"bos_token_id":[1]}`}, failure.ErrData, `"bos_token_id" must be an integer`},
		"token of a number":   {map[string]string{"tokenizer_config.json": `{"eos_token":3}`}, failure.ErrData, `"eos_token" must be a string`},
		"missing shard":       {map[string]string{two: ""}, failure.ErrNoInput, two},
		"no weights":          {map[string]string{one: "", two: "", "model.safetensors.index.json": ""}, failure.ErrNoInput, "neither model.safetensors nor"},
		"pickle":              {map[string]string{one: "", two: "", "model.safetensors.index.json": "", "pytorch_model.bin": "x"}, failure.ErrData, "PyTorch pickle"},
		"LFS pointer":         {map[string]string{one: "version https://git-lfs.github.com/spec/v1\n"}, failure.ErrData, "Git LFS pointer"},
		"parent directory":    {index(`{"a":"../x.safetensors"}`), failure.ErrData, `shard name "../x.safetensors" must be a plain file name`},
		"absolute":            {index(`{"a":"/etc/passwd"}`), failure.ErrData, "must be a plain file name"},
		"subdirectory":        {index(`{"a":"sub/x"}`), failure.ErrData, "must be a plain file name"},
		"backslash":           {index(`{"a":"..\\x"}`), failure.ErrData, "must be a plain file name"},
		"dot":                 {index(`{"a":"."}`), failure.ErrData, "must be a plain file name"},
		"dots":                {index(`{"a":".."}`), failure.ErrData, "must be a plain file name"},
		"empty name":          {index(`{"a":""}`), failure.ErrData, "must be a plain file name"},
		"number for a shard":  {index(`{"a":1}`), failure.ErrData, "must be a string"},
		"nothing mapped":      {index(`{}`), failure.ErrData, "weight_map is empty"},
		"no map":              {map[string]string{"model.safetensors.index.json": `{}`}, failure.ErrData, `no "weight_map"`},
		"mapped twice":        {index(`{"a":"` + one + `","a":"` + two + `"}`), failure.ErrData, `duplicate key "a"`},
		"tensor not in shard": {index(`{"a":"` + one + `","z":"` + one + `"}`), failure.ErrData, `should hold tensor "z"`},
		"tensor elsewhere":    {index(`{"a":"` + two + `","b":"` + one + `","c":"` + two + `"}`), failure.ErrData, `should hold tensor "a"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := hub.Open(directory(t, c.files))
			require.ErrorIs(t, err, c.kind)
			assert.ErrorContains(t, err, c.says)
		})
	}
	_, err := hub.Open(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorIs(t, err, failure.ErrNoInput)
}

func TestSameTensorInTwoShards(t *testing.T) {
	dir := directory(t, nil)
	require.NoError(t, safetensors.Write(filepath.Join(dir, "model-00002-of-00002.safetensors"), []safetensors.Tensor{tensor("c", 3), tensor("a", 4)}, nil))
	_, err := hub.Open(dir)
	require.ErrorIs(t, err, failure.ErrData)
	assert.ErrorContains(t, err, `tensor "a" is in another shard too`)
}

func TestOnlyRegularFilesOfTheDirectory(t *testing.T) {
	shard := "model-00002-of-00002.safetensors"
	for name, replace := range map[string]func(path string) error{
		"link out":  func(p string) error { return os.Symlink("../outside", p) },
		"pipe":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, nil)
			path := filepath.Join(dir, shard)
			require.NoError(t, os.Rename(path, filepath.Join(dir, "../outside")))
			require.NoError(t, replace(path))
			_, err := hub.Open(dir)
			require.ErrorIs(t, err, failure.ErrData)
			assert.ErrorContains(t, err, shard)
		})
	}
	dir := directory(t, nil)
	require.NoError(t, os.Rename(filepath.Join(dir, shard), filepath.Join(dir, "inside")))
	require.NoError(t, os.Symlink("inside", filepath.Join(dir, shard)))
	open(t, dir)
}

// A tuned model: the base's files byte for byte, weights of its own; every
// fault leaves the whole of it or nothing.
func TestCopyIsWholeOrAbsent(t *testing.T) {
	dir := directory(t, map[string]string{
		"tokenizer.json": "{ \"odd\" :1}\r\n", "chat_template.jinja": "{{ x }}", "LICENSE": "free",
		".gitattributes": "x", "pytorch_model.bin": "x", "pytorch_model.bin.index.json": "{}", "model.onnx": "x",
	})
	m := open(t, dir)
	files, err := m.Files()
	require.NoError(t, err)
	assert.Equal(t, []string{"LICENSE", "chat_template.jinja", "config.json", "tokenizer.json"}, files)
	require.NoError(t, m.Config.Set("num_labels", 3))
	out := filepath.Join(t.TempDir(), "tuned")
	for n := 1; ; n++ {
		disk := &faultfs.FS{Base: atomicfs.OS{}, FailAt: n, Err: syscall.ENOSPC}
		err := atomicfs.Writer{FS: disk}.WriteDir(out, func(d *atomicfs.Dir) error {
			if err := m.Copy(d, "config.json"); err != nil {
				return err
			}
			if err := d.WriteFile("config.json", m.Config.Bytes()); err != nil {
				return err
			}
			return hub.WriteSharded(d, []safetensors.Tensor{tensor("a", 4)}, 0)
		})
		if disk.Calls() < n {
			require.NoError(t, err)
			require.Greater(t, n, 20)
			break
		}
		require.ErrorIs(t, err, failure.ErrIO)
		if _, err := os.Stat(out); err == nil {
			open(t, out)
			require.NoError(t, os.RemoveAll(out))
		}
	}
	for _, name := range []string{"LICENSE", "chat_template.jinja", "tokenizer.json"} {
		want, _ := os.ReadFile(filepath.Join(dir, name))
		got, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	tuned := open(t, out)
	assert.Equal(t, []string{"a"}, tuned.Names())
	assert.Equal(t, []string{"model_type", "vocab_size", "rope_theta", "eos_token_id", "bos_token_id", "num_labels"}, tuned.Config.Keys())
	assert.Contains(t, string(tuned.Config.Bytes()), "\"rope_theta\": 1e4,\n", "a number keeps its spelling")
	tuned.Config.Delete("rope_theta")
	assert.NotContains(t, string(tuned.Config.Bytes()), "rope_theta")
}

func TestFingerprint(t *testing.T) {
	print := func(dir string) string {
		s, err := open(t, dir).Fingerprint()
		require.NoError(t, err)
		return s
	}
	dir := directory(t, nil)
	first := print(dir)
	assert.Len(t, first, 64)
	assert.Equal(t, first, print(directory(t, nil)), "the place does not matter")
	assert.Equal(t, first, print(directory(t, map[string]string{"README.md": "x"})))
	assert.NotEqual(t, first, print(directory(t, map[string]string{"config.json": config + "\n"})))

	shard := filepath.Join(dir, "model-00002-of-00002.safetensors")
	raw, err := os.ReadFile(shard)
	require.NoError(t, err)
	data := len(raw) - 300_000
	for at, seen := range map[int]bool{0: true, 65535: true, 65536: false, 150_000: false, 234_463: false, 234_464: true, 299_999: true} {
		raw[data+at] ^= 1
		require.NoError(t, os.WriteFile(shard, raw, 0o644))
		assert.Equal(t, seen, first != print(dir), "byte %d", at)
		raw[data+at] ^= 1
	}
}

// FuzzObject: what is accepted is an object whose bytes survive an edit.
func FuzzObject(f *testing.F) {
	for _, s := range []string{config, "{}", `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,"a":2}`, "\xef\xbb\xbf{}", `{"\ud800":1}`, "[]", `{"a":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := hub.ParseObject(raw)
		if err != nil {
			return
		}
		require.Equal(t, raw, o.Bytes())
		require.NoError(t, o.Set("added", 1))
		again, err := hub.ParseObject(o.Bytes())
		require.NoError(t, err)
		require.Equal(t, o.Keys(), again.Keys())
	})
}
