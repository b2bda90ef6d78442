package method

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/graftlm/graft/go/failure"
)

// The files of an adapter directory, as PEFT names them.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// ReadConfig decodes adapter_config.json of a directory into c, whose fields
// hold the defaults of keys that are not there.
func ReadConfig(dir string, c any) error {
	path := filepath.Join(dir, ConfigFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return failure.NoInput("%s is not there; an adapter directory has it beside %s", path, WeightsFile)
	} else if err != nil {
		return failure.As(failure.ErrIO, err)
	}
	if err := json.Unmarshal(raw, c); err != nil {
		return failure.Data("%s: %w", path, err)
	}
	return nil
}

// PeftType gives the peft_type of an adapter directory.
func PeftType(dir string) (string, error) {
	var c struct {
		Type string `json:"peft_type"`
	}
	err := ReadConfig(dir, &c)
	return c.Type, err
}

// WriteConfig writes adapter_config.json.
func WriteConfig(w Writer, c any) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return w.WriteFile(ConfigFile, append(text, '\n'))
}
