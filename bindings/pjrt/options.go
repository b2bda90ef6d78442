package pjrt

// Options say which plugin and which of its devices.
type Options struct {
	Plugin string         // path of the shared library
	Device int            // among those that the plugin has
	Client map[string]any // options of the plugin: string, int64, float32 or bool
}

// Entry is one device of a plugin.
type Entry struct {
	Number      int
	Platform    string // "cpu", "cuda", "tpu"
	Version     string // of the platform
	API         string // version of the PJRT interface
	Description string
	Memory      int64 // bytes of the device; 0: the plugin does not tell
	Used        int64 // of these, now
}

// Versions of the PJRT interface that are accepted: what the binding was built
// for is 0.81. From 0.90 on plugins refuse its smaller structures.
const (
	minAPI = 54
	maxAPI = 89
)
