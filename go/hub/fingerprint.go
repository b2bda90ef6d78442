package hub

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// sample is how much of each end of a tensor the fingerprint covers.
const sample = 64 << 10

// Fingerprint identifies a model, quickly: it is the SHA-256, in hexadecimal,
// of config.json whole and, of each weight file in order of name, the header
// and the first and last 64 KiB of every tensor (all of it up to 128 KiB). It
// tells models, revisions and trainings apart, because these change all
// tensors. It is no proof against a forger, nor against a flipped bit in the
// middle of a large tensor.
func (m *Model) Fingerprint() (string, error) {
	h := sha256.New()
	add(h, m.Config.Bytes())
	for _, s := range m.shards {
		add(h, s.file.Header())
		for _, t := range s.file.Tensors() {
			n := t.Bytes()
			first := make([]byte, min(n, sample))
			last := make([]byte, min(n-int64(len(first)), sample))
			if err := s.file.ReadAt(t.Name, first, 0); err != nil {
				return "", err
			}
			if err := s.file.ReadAt(t.Name, last, n-int64(len(last))); err != nil {
				return "", err
			}
			add(h, first)
			add(h, last)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// add hashes the length and then the bytes, so that no two lists look alike.
func add(h hash.Hash, b []byte) {
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
	h.Write(b)
}
