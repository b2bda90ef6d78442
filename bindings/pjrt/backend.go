//go:build cgo && (linux || darwin)

package pjrt

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"

	"github.com/gomlx/gopjrt/pjrt"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/native"
)

// Compiled reports whether this program can open plugins.
const Compiled = true

// backend is a client of a plugin.
type backend struct {
	options Options
	client  *pjrt.Client
	entries []Entry
	// announce is told of programs that compile.
	announce func(bindings.Compiled)
}

var _ bindings.Announcer = (*backend)(nil)

func (b *backend) Announce(to func(bindings.Compiled)) { b.announce = to }

// Open opens a plugin. Errors are bindings.ErrUnavailable: no such file, no
// plugin, a version that is not accepted (refused before the first call), no
// such device, or what the plugin says.
func Open(o Options) (bindings.Backend, error) {
	b, err := open(o)
	if err != nil {
		return nil, err
	}
	if o.Device < 0 || o.Device >= len(b.entries) {
		return nil, fmt.Errorf("%w: %s has %d devices, there is no number %d", bindings.ErrUnavailable, o.Plugin, len(b.entries), o.Device)
	}
	return b, nil
}

// Devices lists the devices of a plugin.
func Devices(o Options) ([]Entry, error) {
	b, err := open(o)
	if err != nil {
		return nil, err
	}
	defer b.client.Destroy()
	return b.entries, nil
}

func open(o Options) (*backend, error) {
	path, err := filepath.Abs(o.Plugin)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bindings.ErrUnavailable, err)
	}
	major, minor, err := native.PluginVersion(path)
	if err != nil {
		return nil, err
	}
	if major != 0 || minor < minAPI || minor > maxAPI {
		return nil, fmt.Errorf("%w: %s speaks PJRT %d.%d, want 0.%d to 0.%d; take a release of the plugin from 2024 or 2025",
			bindings.ErrUnavailable, path, major, minor, minAPI, maxAPI)
	}
	plugin, err := pjrt.GetPlugin(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", bindings.ErrUnavailable, path, err)
	}
	client, err := plugin.NewClient(o.Client)
	if err != nil {
		return nil, fmt.Errorf("%w: %s gives no client: %w", bindings.ErrUnavailable, path, err)
	}
	b := &backend{options: o, client: client}
	for i, d := range client.AddressableDevices() {
		e := Entry{Number: i, Platform: client.Platform(), Version: client.PlatformVersion(), API: fmt.Sprintf("%d.%d", major, minor)}
		if description, err := d.GetDescription(); err == nil {
			e.Description = description.DebugString()
		}
		// The binding has no call for memory, so it is asked for the handle.
		if handle := reflect.ValueOf(d).Elem().FieldByName("cDevice"); handle.IsValid() {
			e.Memory, e.Used = native.PluginMemory(path, handle.UnsafePointer())
		}
		b.entries = append(b.entries, e)
	}
	return b, nil
}

func (b *backend) Profile() bindings.Profile { return bindings.PJRTProfile() }

func (b *backend) Info() string {
	e := b.entries[b.options.Device]
	return fmt.Sprintf("%s, device %d of %d, %s, PJRT %s", e.Description, e.Number, len(b.entries), e.Version, e.API)
}

// Open makes a device. Nothing is allocated before it is uploaded or written.
func (b *backend) Open(p bindings.Plan) (bindings.Device, error) {
	return &device{backend: b, slots: map[int32]*slot{}, modules: map[[32]byte]*module{}}, nil
}

// Live is the number of buffers of plugins that exist, for tests of leaks.
func Live() int { return int(pjrt.BuffersAlive()) }

var codePattern = regexp.MustCompile(`PJRT error \(code=(\d+)\)`)

// kind gives an error of the library the kind that its code stands for.
func kind(err error) error {
	m := codePattern.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	switch code, _ := strconv.Atoi(m[1]); code {
	case 8: // RESOURCE_EXHAUSTED
		return fmt.Errorf("%w: %w", bindings.ErrOutOfMemory, err)
	case 12: // UNIMPLEMENTED
		return fmt.Errorf("%w: %w", bindings.ErrNotImplemented, err)
	case 14: // UNAVAILABLE
		return fmt.Errorf("%w: %w", bindings.ErrUnavailable, err)
	}
	return err
}
