package data

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/graftlm/graft/go/atomicfs"
	"github.com/graftlm/graft/go/failure"
)

// cacheVersion changes when rows of the same records would be others.
const cacheVersion = "3"

// cacheLimit is what the rows of all runs may take on disk; the least recently
// used go first.
const cacheLimit = 64 << 30

// cached takes the rows from the cache, or reads them and puts them there. That
// nothing can be written is no error: the report says so.
func (o Options) cached(ctx context.Context, read func(context.Context) (*Rows, Report, error)) (*Rows, Report, error) {
	if o.Cache == "" || o.CacheKey == "" {
		return read(ctx)
	}
	for _, s := range o.Sources {
		if s.Path == "-" {
			return read(ctx)
		}
	}
	if err := o.check(); err != nil {
		return nil, Report{}, err
	}
	key, before, err := o.key(ctx)
	if err != nil {
		return nil, Report{}, err
	}
	dir := filepath.Join(o.Cache, key)
	if rows, report, ok := readCache(dir); ok {
		now := time.Now()
		os.Chtimes(dir, now, now)
		report.Cache = "read " + dir
		return rows, report, nil
	}
	rows, report, err := read(ctx)
	if err != nil {
		return rows, report, err
	}
	if _, after, err := o.stamp(); err != nil || after != before {
		rows.Close()
		return nil, report, failure.Data("a file of the data changed while it was read; start again")
	}
	if err := rows.writeCache(dir, report); err != nil {
		report.Cache = "not written: " + err.Error()
	} else {
		report.Cache = "written " + dir
		trim(o.Cache, dir, cacheLimit)
	}
	return rows, report, nil
}

// key is the hash of everything that the rows depend on, the program and the
// content of the files among it, with a stamp of the files.
func (o Options) key(ctx context.Context) (key, stamp string, err error) {
	paths, stamp, err := o.stamp()
	if err != nil {
		return "", "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%q\x00%q\x00%q\x00%t\x00%q\x00%d\x00%q\x00%q\x00%v\x00", cacheVersion, o.CacheKey, o.Encoder.TrainOn, o.Encoder.EOS,
		o.Encoder.Labelled, fmt.Sprint(o.Encoder.Chat.Tokens), o.MaxSeqLength, o.OnOverflow, o.OnError, o.Ends)
	if program, err := os.Executable(); err == nil {
		if err := hashFile(ctx, h, program); err != nil {
			return "", "", err
		}
	}
	for i, s := range o.Sources {
		fmt.Fprintf(h, "%q\x00%g\x00", s.Format, s.Weight)
		for _, path := range paths[i] {
			fmt.Fprintf(h, "%q\x00", path)
			if err := hashFile(ctx, h, path); err != nil {
				return "", "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), stamp, nil
}

// stamp lists the files of each source, with their sizes and times.
func (o Options) stamp() (paths [][]string, stamp string, err error) {
	for _, s := range o.Sources {
		files, err := s.files()
		if err != nil {
			return nil, "", err
		}
		paths = append(paths, files)
		for _, path := range files {
			file, err := openRegular(path)
			if err != nil {
				return nil, "", err
			}
			info, err := file.Stat()
			file.Close()
			if err != nil {
				return nil, "", failure.As(failure.ErrIO, err)
			}
			stamp += fmt.Sprintf("%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return paths, stamp, nil
}

func hashFile(ctx context.Context, to io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return failure.As(failure.ErrIO, err)
	}
	defer file.Close()
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(h, file, 64<<20)
		if err == io.EOF || n == 0 {
			break
		} else if err != nil {
			return failure.As(failure.ErrIO, err)
		}
	}
	fmt.Fprintf(to, "%x\x00", h.Sum(nil))
	return nil
}

// cacheIndex is index.json: all but the numbers of the rows. Beside it lie
// rows.bin, tokens.bin, labels.json of rows that have labels, and SHA256 of
// them all.
type cacheIndex struct {
	Report  Report `json:"report"`
	Rows    int    `json:"rows"`
	Tokens  int    `json:"tokens"`
	Files   []run  `json:"files"`
	Groups  []run  `json:"groups"`
	Choices []run  `json:"choices,omitempty"`
}

const rowBytes = 4 + 4 + 4 + 8 // length, targets with firstBit, line, key

// firstBit marks, beside the number of targets, that the first token has a label.
const firstBit = 1 << 31

func (r *Rows) writeCache(dir string, report Report) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return failure.As(failure.ErrIO, err)
	}
	if err := os.RemoveAll(dir); err != nil { // one that could not be read
		return failure.As(failure.ErrIO, err)
	}
	return atomicfs.WriteDir(dir, func(d *atomicfs.Dir) error {
		sum := sha256.New()
		err := d.Stream("rows.bin", func(w io.Writer) error {
			b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
			var row []byte
			for i := range r.Len() {
				row = binary.LittleEndian.AppendUint32(row[:0], uint32(r.Tokens(i)))
				targets := uint32(r.targets[i])
				if r.first[i] {
					targets |= firstBit
				}
				row = binary.LittleEndian.AppendUint32(row, targets)
				row = binary.LittleEndian.AppendUint32(row, uint32(r.line[i]))
				row = binary.LittleEndian.AppendUint64(row, r.keys[i])
				b.Write(row)
			}
			return b.Flush()
		})
		if err != nil {
			return err
		}
		if err := d.Stream("tokens.bin", func(w io.Writer) error { return r.tokens.writeTo(io.MultiWriter(w, sum)) }); err != nil {
			return err
		}
		if r.labels != nil {
			if err := d.Stream("labels.json", func(w io.Writer) error { return json.NewEncoder(io.MultiWriter(w, sum)).Encode(r.labels) }); err != nil {
				return err
			}
		}
		index, err := json.Marshal(cacheIndex{Report: report, Rows: r.Len(), Tokens: r.tokens.n, Files: r.files, Groups: r.groups, Choices: r.choices})
		if err != nil {
			return err
		}
		sum.Write(index)
		if err := d.WriteFile("index.json", index); err != nil {
			return err
		}
		return d.WriteFile("SHA256", []byte(hex.EncodeToString(sum.Sum(nil))))
	})
}

// readCache gives what writeCache wrote, if it is whole.
func readCache(dir string) (*Rows, Report, bool) {
	var index cacheIndex
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil || json.Unmarshal(text, &index) != nil {
		return nil, Report{}, false
	}
	sum := sha256.New()
	table, err := os.ReadFile(filepath.Join(dir, "rows.bin"))
	if err != nil || len(table) != index.Rows*rowBytes {
		return nil, Report{}, false
	}
	sum.Write(table)
	file, err := os.Open(filepath.Join(dir, "tokens.bin"))
	if err != nil {
		return nil, Report{}, false
	}
	n, err := io.Copy(sum, file)
	r := newRows()
	if labels, e := os.ReadFile(filepath.Join(dir, "labels.json")); e == nil {
		sum.Write(labels)
		if json.Unmarshal(labels, &r.labels) != nil || len(r.labels) != index.Rows {
			n = -1
		}
	}
	sum.Write(text)
	if want, e := os.ReadFile(filepath.Join(dir, "SHA256")); err != nil || e != nil || n != 4*int64(index.Tokens) || hex.EncodeToString(sum.Sum(nil)) != string(want) {
		file.Close()
		return nil, Report{}, false
	}
	r.files, r.groups, r.choices, r.tokens.n, r.tokens.file = index.Files, index.Groups, index.Choices, index.Tokens, file
	end := 0
	for i := range index.Rows {
		row := table[i*rowBytes:]
		end += int(binary.LittleEndian.Uint32(row))
		r.ends = append(r.ends, end)
		targets := binary.LittleEndian.Uint32(row[4:])
		r.targets = append(r.targets, int32(targets&^firstBit))
		r.first = append(r.first, targets&firstBit != 0)
		r.line = append(r.line, int32(binary.LittleEndian.Uint32(row[8:])))
		r.keys = append(r.keys, binary.LittleEndian.Uint64(row[12:]))
		r.index = append(r.index, int32(i))
	}
	return r, index.Report, true
}

// trim removes the entries that were not used for longest, except one, until
// the rest is within a limit.
func trim(cache, except string, limit int64) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	type entry struct {
		path string
		used time.Time
		size int64
	}
	var all []entry
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || len(e.Name()) != 2*sha256.Size {
			continue
		}
		x := entry{path: filepath.Join(cache, e.Name()), used: info.ModTime()}
		for _, name := range []string{"rows.bin", "tokens.bin"} {
			if info, err := os.Stat(filepath.Join(x.path, name)); err == nil {
				x.size += info.Size()
			}
		}
		total += x.size
		if x.path != except {
			all = append(all, x)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].used.Before(all[j].used) })
	for _, x := range all {
		if total <= limit {
			return
		}
		if os.RemoveAll(x.path) == nil {
			total -= x.size
		}
	}
}
