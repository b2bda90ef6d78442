package graft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/checkpoint"
)

// identify gives what must be equal for a run to resume.
func (r *Run) identify() (map[string]string, error) {
	base, err := r.Base.Files.Fingerprint()
	if err != nil {
		return nil, err
	}
	// All but mayChange.
	d, t, how := r.Config.Data, r.Config.Train, r.Config.Method
	d.Train, d.Eval, d.Cache, d.Preflight, t.OutputDir, t.MaxSkipped, how.FeatureCache = nil, nil, "", "", "", 0, ""
	stored := r.Config.Model.Quant + fmt.Sprint(r.Config.Model.Double)
	settings := fmt.Sprintf("%+v|%+v|%+v|%+v|%+v|%s", how, d, t, r.Config.Optim, r.Base.Types, stored)
	s := sha256.Sum256([]byte(settings))
	return map[string]string{"base": base, "data": r.rows.Fingerprint(), checkpoint.Configuration: hex.EncodeToString(s[:])}, nil
}

// settings spell out the configuration that identify hashes.
func (r *Run) settings() map[string]string {
	all := r.Config.Settings()
	maps.DeleteFunc(all, func(key, _ string) bool {
		section, _, _ := strings.Cut(key, ".")
		return !slices.Contains([]string{"method", "data", "train", "optim", "model"}, section) || slices.Contains(mayChange, key)
	})
	return all
}

// mayChange are where things lie, and what only reports.
var mayChange = []string{"model.path", "data.train", "data.eval", "data.cache", "data.preflight", "train.output_dir", "train.max_skipped", "method.feature_cache"}
