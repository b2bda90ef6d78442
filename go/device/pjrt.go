package device

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/bindings/pjrt"
	"github.com/graftlm/graft/go/failure"
)

// PathVariable names the folders that are searched for plugins before others,
// separated by colons.
const PathVariable = "GRAFT_PJRT_PATH"

// openPJRT opens what follows "pjrt:", a path or a short name, with options of
// the plugin after a question mark; device=N is ours and picks one of several.
func openPJRT(rest string) (bindings.Backend, error) {
	o, err := pjrtOptions(rest)
	if err != nil {
		return nil, err
	}
	b, err := pjrt.Open(o)
	return b, failure.As(failure.ErrUnavailable, err)
}

func pjrtOptions(rest string) (o pjrt.Options, err error) {
	name, query, _ := strings.Cut(rest, "?")
	if name == "" {
		return o, failure.Config("device %q names no plugin: want pjrt:/path/to/plugin.so or pjrt:NAME, as in pjrt:cpu", "pjrt:"+rest)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return o, failure.Config("device %q: options are name=value, joined by &: %w", "pjrt:"+rest, err)
	}
	o.Client = map[string]any{}
	for key, v := range values {
		if key != "device" {
			o.Client[key] = option(v[len(v)-1])
			continue
		}
		if o.Device, err = strconv.Atoi(v[len(v)-1]); err != nil || o.Device < 0 {
			return o, failure.Config("device %q: device is %q, want the number of one", "pjrt:"+rest, v[len(v)-1])
		}
	}
	o.Plugin, err = findPlugin(name)
	return o, err
}

// option gives a value the type that it is written as: true, 3, 0.5, or text.
func option(s string) any {
	if b, err := strconv.ParseBool(s); err == nil && (s == "true" || s == "false") {
		return b
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 32); err == nil {
		return float32(f)
	}
	return s
}

// findPlugin is the file of a plugin. What has a slash or ends in .so is a path.
func findPlugin(name string) (string, error) {
	if strings.Contains(name, "/") || strings.HasSuffix(name, ".so") {
		if info, err := os.Stat(name); err != nil {
			return "", failure.As(failure.ErrUnavailable, fmt.Errorf("PJRT plugin: %w", err))
		} else if info.IsDir() {
			return "", failure.As(failure.ErrUnavailable, fmt.Errorf("PJRT plugin: %s is a directory; name the .so file in it", name))
		}
		return name, nil
	}
	folders := pluginFolders()
	for _, folder := range folders {
		for _, file := range pluginFiles(name) {
			if info, err := os.Stat(filepath.Join(folder, file)); err == nil && !info.IsDir() {
				return filepath.Join(folder, file), nil
			}
		}
	}
	return "", failure.As(failure.ErrUnavailable, fmt.Errorf("no PJRT plugin is called %q: looked for %s in %s; put it there, set %s to its folder, or give its path as pjrt:/path/to/plugin.so",
		name, strings.Join(pluginFiles(name), ", "), strings.Join(folders, ", "), PathVariable))
}

// pluginFolders are searched in this order.
func pluginFolders() (all []string) {
	for _, folder := range filepath.SplitList(os.Getenv(PathVariable)) {
		if folder != "" {
			all = append(all, folder)
		}
	}
	if exe, err := os.Executable(); err == nil {
		all = append(all, filepath.Join(filepath.Dir(exe), "..", "lib", "pjrt"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, filepath.Join(home, ".local", "lib", "graft", "pjrt"))
	}
	all = append(all, "/usr/local/lib/graft/pjrt")
	if dir, err := os.Getwd(); err == nil {
		all = append(all, filepath.Join(dir, ".cache", "pjrt")) // make pjrt-plugin
	}
	return all
}

// pluginFiles are the names that projects give to their plugins.
func pluginFiles(name string) []string {
	return []string{name + ".so", "xla_" + name + "_pjrt.so", "xla_" + name + "_plugin.so", "pjrt_c_api_" + name + "_plugin.so", "pjrt_plugin_" + name + ".so"}
}

var pluginName = regexp.MustCompile(`^(?:xla_(\w+?)_(?:pjrt|plugin)|pjrt_c_api_(\w+?)_plugin|pjrt_plugin_(\w+?))\.so$`)

// listPJRT lists the devices of every plugin in the folders. A plugin is opened
// for that.
func listPJRT() (all []Entry) {
	seen := map[string]bool{}
	for _, folder := range pluginFolders() {
		files, _ := filepath.Glob(filepath.Join(folder, "*.so"))
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".so")
			if m := pluginName.FindStringSubmatch(filepath.Base(file)); m != nil {
				name = m[1] + m[2] + m[3]
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			devices, err := pjrt.Devices(pjrt.Options{Plugin: file})
			if err != nil {
				all = append(all, Entry{Name: "pjrt:" + name, Missing: err.Error()})
			}
			for _, d := range devices {
				memory := "memory not told"
				if d.Memory > 0 {
					memory = fmt.Sprintf("%.1f GiB, %.1f of them in use", float64(d.Memory)/(1<<30), float64(d.Used)/(1<<30))
				}
				e := Entry{
					Name: "pjrt:" + name,
					Info: fmt.Sprintf("%s, platform %s %s, PJRT %s, %s, %s", d.Description, d.Platform, d.Version, d.API, memory, file),
				}
				if d.Memory > 0 {
					e.Description = &bindings.Description{Name: d.Description, Arch: d.Platform, MemoryTotal: d.Memory, MemoryFree: d.Memory - d.Used, Library: file}
				}
				if d.Number > 0 {
					e.Name += fmt.Sprintf("?device=%d", d.Number)
				}
				all = append(all, e)
			}
		}
	}
	if len(all) == 0 {
		all = append(all, Entry{Name: "pjrt:", Missing: "no plugin in " + strings.Join(pluginFolders(), ", ") + "; any other is pjrt:/path/to/plugin.so"})
	}
	return all
}
