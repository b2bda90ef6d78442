package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sources is the text that the demo learns from.
type sources struct {
	texts        []string // one a file
	tasks        []task
	files, bytes int
}

// task is a function: what is asked and what is answered.
type task struct {
	Prompt     string `json:"prompt"`
	Completion string `json:"completion"`
}

// folders hold readable code; the rest of the library is left out, so that the
// demo stays short.
var folders = []string{"archive", "bufio", "bytes", "compress", "container", "context", "crypto", "database", "debug", "encoding",
	"errors", "expvar", "flag", "fmt", "go", "hash", "html", "image", "index", "io", "log", "math", "mime", "net", "os", "path",
	"reflect", "regexp", "slices", "maps", "sort", "strconv", "strings", "sync", "testing", "text", "time", "unicode"}

// readSources reads the Go files below GOROOT that are no tests and not
// generated.
func readSources(ctx context.Context) (*sources, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w; the demo needs Go in the PATH", err)
	}
	s := &sources{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil || bytes.Contains(text[:min(len(text), 400)], []byte("DO NOT EDIT")) || len(text) > 200_000 {
				return err
			}
			s.add(string(text))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(s.tasks) < 100 {
		return nil, fmt.Errorf("only %d documented functions below %s; is the standard library's source there?", len(s.tasks), root)
	}
	return s, ctx.Err()
}

// add takes the declarations of a file with their documentation, without the
// bodies of functions, and the tasks that they make.
func (s *sources) add(text string) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ParseComments)
	if err != nil {
		return
	}
	s.files++
	var declared bytes.Buffer
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok {
			f.Body = nil
		}
		if printer.Fprint(&declared, set, d) == nil {
			declared.WriteString("\n\n")
		}
		if !ok || f.Doc == nil || !f.Name.IsExported() {
			continue
		}
		sentence := new(doc.Package).Synopsis(f.Doc.Text())
		f.Doc = nil
		var signature bytes.Buffer
		if printer.Fprint(&signature, set, f) != nil || !strings.HasPrefix(sentence, f.Name.Name+" ") {
			continue
		}
		line := strings.Join(strings.Fields(signature.String()), " ")
		if len(line) < 160 && len(sentence) < 160 {
			s.tasks = append(s.tasks, task{line + "\n// ", sentence + "\n"})
		}
	}
	s.texts = append(s.texts, declared.String())
	s.bytes += declared.Len()
}

// key tells bases of different sources apart.
func (s *sources) key() string {
	h := sha256.New()
	fmt.Fprint(h, recipe)
	for _, t := range s.texts {
		fmt.Fprintln(h, t)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// writeLines writes one JSON object a line.
func writeLines[T any](path string, records []T) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, r := range records {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
