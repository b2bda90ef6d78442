//go:build cgo && (linux || darwin)

package pjrt_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gopjrt "github.com/gomlx/gopjrt/pjrt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
)

// stub builds a plugin that fails as the flags say, against the header of the
// binding.
func stub(t *testing.T, flags ...string) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/gopjrt").Output()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "stub.so")
	args := append([]string{"-shared", "-fPIC", "-I", filepath.Join(strings.TrimSpace(string(dir)), "pjrt"), "-o", path, "testdata/stub.c"}, flags...)
	out, err := exec.Command("cc", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// lab opens a device of a plugin with one tensor.
func lab(t *testing.T, plugin string) (bindings.Device, bindings.Tensor) {
	t.Helper()
	backend, err := pjrt.Open(pjrt.Options{Plugin: plugin})
	require.NoError(t, err)
	assert.Contains(t, backend.Info(), "StubDevice, device 0 of 1")
	m := bindings.NewMemory()
	x := m.Alloc(bindings.Trainable, bindings.F32, 4)
	d, err := backend.Open(m.Peak())
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, d.Close())
		assert.NoError(t, d.Close())
		assert.Zero(t, pjrt.Live(), "every buffer is freed")
	})
	return d, x
}

func zero(x bindings.Tensor) func(bindings.Ops) { return func(o bindings.Ops) { o.Zero(x) } }

func TestPluginThatIsNone(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	require.NoError(t, os.WriteFile(text, []byte("no library"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty.so")
	out, err := exec.Command("cc", "-shared", "-o", empty, "-x", "c", "/dev/null").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for path, want := range map[string]string{
		"/no/such/plugin.so": "/no/such/plugin.so: cannot open shared object file",
		text:                 "text.so: file too short",
		empty:                "empty.so is no PJRT plugin: it has no function GetPjrtApi",
	} {
		_, err := pjrt.Open(pjrt.Options{Plugin: path})
		require.ErrorIs(t, err, bindings.ErrUnavailable)
		assert.ErrorContains(t, err, want)
	}
}

// TestVersionGate: the stub aborts if anything is called in it.
func TestVersionGate(t *testing.T) {
	for _, minor := range []string{"53", "90", "117"} {
		_, err := pjrt.Open(pjrt.Options{Plugin: stub(t, "-DMINOR="+minor)})
		require.ErrorIs(t, err, bindings.ErrUnavailable)
		assert.ErrorContains(t, err, "speaks PJRT 0."+minor+", want 0.54 to 0.89")
	}
}

func TestClientFails(t *testing.T) {
	_, err := pjrt.Open(pjrt.Options{Plugin: stub(t, "-DFAIL=INITIALIZE")})
	require.ErrorIs(t, err, bindings.ErrUnavailable)
	assert.ErrorContains(t, err, "initializing")
	assert.ErrorContains(t, err, "as the stub was told")
	_, err = pjrt.Open(pjrt.Options{Plugin: stub(t, "-DFAIL=CREATE")})
	require.ErrorIs(t, err, bindings.ErrUnavailable)
	assert.ErrorContains(t, err, "gives no client")
	assert.ErrorContains(t, err, "as the stub was told")
	_, err = pjrt.Open(pjrt.Options{Plugin: stub(t), Device: 1})
	require.ErrorIs(t, err, bindings.ErrUnavailable)
	assert.ErrorContains(t, err, "has 1 devices, there is no number 1")
}

// TestDevices: what a plugin tells of a device, and of its memory if it does.
func TestDevices(t *testing.T) {
	want := pjrt.Entry{Platform: "stub", Version: "1", API: "0.81", Description: "StubDevice", Memory: 80000, Used: 1000}
	all, err := pjrt.Devices(pjrt.Options{Plugin: stub(t)})
	require.NoError(t, err)
	assert.Equal(t, []pjrt.Entry{want}, all)
	want.Memory, want.Used = 0, 0
	all, err = pjrt.Devices(pjrt.Options{Plugin: stub(t, "-DFAIL=MEMORY", "-DCODE=PJRT_Error_Code_UNIMPLEMENTED")})
	require.NoError(t, err)
	assert.Equal(t, []pjrt.Entry{want}, all)
}

func TestCompileFails(t *testing.T) {
	d, x := lab(t, stub(t, "-DFAIL=COMPILE"))
	_, err := d.Prepare("update", zero(x))
	assert.ErrorContains(t, err, "prepare update: compile")
	assert.ErrorContains(t, err, "as the stub was told")
	d, x = lab(t, stub(t, "-DFAIL=COMPILE", "-DCODE=PJRT_Error_Code_UNIMPLEMENTED"))
	_, err = d.Prepare("update", zero(x))
	assert.ErrorIs(t, err, bindings.ErrNotImplemented)
}

// TestWrongOutputs: a launch takes as many results as the module has, so an
// executable that says another number is refused, and freed.
func TestWrongOutputs(t *testing.T) {
	alive := gopjrt.LoadedExecutablesAlive()
	for _, outputs := range []string{"0", "2"} {
		d, x := lab(t, stub(t, "-DOUTPUTS="+outputs))
		_, err := d.Prepare("update", zero(x))
		assert.ErrorContains(t, err, "prepare update: compile: the module has 1 results, the executable "+outputs)
		assert.Equal(t, alive, gopjrt.LoadedExecutablesAlive())
	}
}

func TestUploadFails(t *testing.T) {
	d, x := lab(t, stub(t, "-DFAIL=UPLOAD", "-DCODE=PJRT_Error_Code_RESOURCE_EXHAUSTED"))
	err := d.Upload(x, make([]byte, x.Bytes()))
	require.ErrorIs(t, err, bindings.ErrOutOfMemory)
	var op *bindings.OpError
	require.ErrorAs(t, err, &op)
	assert.Equal(t, "upload", op.Op)
}

// TestDownloadFails: also where a range is uploaded into a slot whose contents are
// on the device alone. The rest of the slot stays what it was, so the next range is
// no better off.
func TestDownloadFails(t *testing.T) {
	d, x := lab(t, stub(t, "-DFAIL=DOWNLOAD", "-DCODE=PJRT_Error_Code_UNAVAILABLE"))
	require.NoError(t, d.Upload(x, make([]byte, x.Bytes())))
	check := func(want string, err error) {
		t.Helper()
		require.ErrorIs(t, err, bindings.ErrUnavailable)
		assert.ErrorContains(t, err, "as the stub was told")
		var op *bindings.OpError
		require.ErrorAs(t, err, &op)
		assert.Equal(t, want, op.Op)
	}
	for range 2 {
		check("download", d.Download(make([]byte, x.Bytes()), x))
		check("download", d.Download(make([]byte, 8), x.View(0, 2)))
		check("upload", d.Upload(x.View(0, 2), make([]byte, 8)))
	}
}

// TestExecuteFails: what a failed launch was given is lost, so nothing works
// afterwards, and it says why.
func TestExecuteFails(t *testing.T) {
	for code, want := range map[string]error{"INTERNAL": nil, "RESOURCE_EXHAUSTED": bindings.ErrOutOfMemory} {
		t.Run(code, func(t *testing.T) {
			d, x := lab(t, stub(t, "-DFAIL=EXECUTE", "-DCODE=PJRT_Error_Code_"+code))
			require.NoError(t, d.Upload(x, make([]byte, x.Bytes())))
			p, err := d.Prepare("update", zero(x))
			require.NoError(t, err)
			first := p.Launch()
			assert.ErrorContains(t, first, "update: ")
			assert.ErrorContains(t, first, "as the stub was told")
			if want != nil {
				assert.ErrorIs(t, first, want)
			}
			assert.Equal(t, first, p.Launch())
			assert.ErrorContains(t, d.Download(make([]byte, x.Bytes()), x), first.Error())
			require.NoError(t, p.Close())
		})
	}
}

func TestWrongUse(t *testing.T) {
	d, x := lab(t, stub(t))
	assert.ErrorContains(t, d.Upload(x, []byte{1}), "1 bytes for")
	assert.ErrorContains(t, d.Upload(bindings.Tensor{}, nil), "absent tensor")
	part := x.View(0, 2)
	part.DType = bindings.I32
	require.NoError(t, d.Upload(x, make([]byte, x.Bytes())))
	assert.ErrorContains(t, d.Upload(part, make([]byte, 8)), "into a slot of f32")
	m := bindings.NewMemory()
	act, staged := m.Act(bindings.F32, 4), m.Alloc(bindings.Staging, bindings.F32, 4)
	staged.Slot.Serial = 100
	assert.ErrorContains(t, d.Upload(act, make([]byte, 16)), "activations exist only inside of a program")
	p, err := d.Prepare("read", func(o bindings.Ops) { o.Cast(x, staged) })
	require.NoError(t, err)
	assert.ErrorContains(t, p.Launch(), "is read and was never uploaded")
	var op *bindings.OpError
	_, err = d.Prepare("wrong", func(o bindings.Ops) { o.Add(x, x, x.View(0, 2)) })
	require.ErrorAs(t, err, &op)
	assert.Equal(t, "add", op.Op)

	same, err := d.Prepare("read", func(o bindings.Ops) { o.Cast(x, staged) })
	require.NoError(t, err)
	compiled := d.(bindings.Compiler).Compiled()
	require.Len(t, compiled, 1, "equal modules are compiled once")
	assert.EqualValues(t, 4096, compiled[0].Temporary)
	require.NoError(t, p.Close())
	require.NoError(t, same.Close())
	require.NoError(t, d.Close())
	assert.ErrorContains(t, same.Launch(), "closed")
	assert.ErrorContains(t, d.Upload(x, make([]byte, 16)), "closed")
	_, err = d.Prepare("late", zero(x))
	assert.ErrorContains(t, err, "closed")
}
