//go:build cuda

package step

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graftlm/graft/bindings/native"
	"github.com/graftlm/graft/go/device"
	"github.com/graftlm/graft/go/failure"
)

// These tests have the emulation be other devices than there are, several of
// them: GRAFT_SHIM_DEVICES, and lists in GRAFT_SHIM_ARCH and GRAFT_SHIM_MEMORY.

// TestEmulationDevices: what is wrong with a driver or a device is said.
func TestEmulationDevices(t *testing.T) {
	t.Setenv("GRAFT_SHIM_DRIVER", "12040")
	_, err := native.CUDA(native.Options{})
	assert.ErrorContains(t, err, "the driver is made for CUDA 12.4, this library for 13.0")
	t.Setenv("GRAFT_SHIM_DRIVER", "")
	_, err = native.CUDA(native.Options{Device: 3})
	assert.ErrorContains(t, err, "cuda:3: there are 1 devices")
}

// TestEmulationOldGPU: a GPU that the kernels cannot run on is listed with the
// reason, is an error where it is named, and is not what auto takes: a run goes
// to the CPU.
func TestEmulationOldGPU(t *testing.T) {
	t.Setenv("GRAFT_SHIM_ARCH", "75")
	const reason = "host emulation is sm_75; sm_80 or later is needed"
	_, err := device.Open("cuda:0", 0)
	require.Equal(t, 69, failure.Code(err), "%v", err)
	assert.ErrorContains(t, err, reason)
	assert.Contains(t, listed(t)["cuda:0"].Missing, reason)
	b, err := device.Open("auto", 2)
	require.NoError(t, err)
	assert.Equal(t, "cpu", b.Profile().Name)
	settings["lora"].train(t, workplace(t), "out", "auto", 0, false, "train.max_steps=1", "eval.every=0")
}

// TestEmulationBestGPU: auto takes the GPU with the most free memory of those
// that can be used, the first of equals.
func TestEmulationBestGPU(t *testing.T) {
	t.Setenv("GRAFT_SHIM_DEVICES", "4")
	t.Setenv("GRAFT_SHIM_ARCH", "75,90,80,80")
	for memory, want := range map[string]struct{ name, info string }{
		"8000000000,1000000000,3000000000,2000000000": {"cuda:2", "(sm_80), 2.8 GiB"},
		"8000000000,4000000000,3000000000,4000000000": {"cuda:1", "(sm_90), 3.7 GiB"},
	} {
		t.Setenv("GRAFT_SHIM_MEMORY", memory)
		all := listed(t)
		assert.Contains(t, all["cuda:0"].Missing, "sm_75", "more memory does not make it usable")
		assert.Contains(t, all[want.name].Info, want.info)
		b, err := device.Open("auto", 0)
		require.NoError(t, err)
		assert.Equal(t, "cuda", b.Profile().Name)
		assert.Equal(t, all[want.name].Info, b.Info())
	}
	t.Setenv("GRAFT_SHIM_DEVICES", "0")
	b, err := device.Open("auto", 0)
	require.NoError(t, err)
	assert.Equal(t, "cpu", b.Profile().Name)
}

// listed are the devices by name.
func listed(t *testing.T) map[string]device.Entry {
	t.Helper()
	all := map[string]device.Entry{}
	for _, e := range device.List() {
		all[e.Name] = e
	}
	return all
}
