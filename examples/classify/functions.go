package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages are the classes: 24 packages of the standard library.
var packages = []string{
	"archive/tar", "archive/zip", "bytes", "compress/flate", "crypto/tls", "crypto/x509", "debug/dwarf", "encoding/gob",
	"encoding/json", "encoding/xml", "fmt", "go/ast", "go/printer", "go/types", "html/template", "log/slog", "math/big",
	"mime/multipart", "net/http", "net/textproto", "os", "strconv", "text/template", "time",
}

// example is the body of a function and the package that it is from.
type example struct {
	Text  string `json:"text"`
	Label string `json:"label"`
}

// functions reads the bodies of the packages' functions, three lines and more,
// without name and signature. Whole files are held out, so that no test body has
// a neighbour in training; each package gives perPackage bodies to train on, and
// as many to test on, in an order that only their text decides.
func functions(root string, perPackage int) (training, test []example, err error) {
	for _, p := range packages {
		found := [2][]example{}
		files, err := filepath.Glob(filepath.Join(root, "src", p, "*.go"))
		if err != nil {
			return nil, nil, err
		}
		files = slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
		for i, path := range sorted(files) {
			bodies, err := bodiesOf(path)
			if err != nil {
				return nil, nil, err
			}
			held := 0
			if i%3 == 2 {
				held = 1
			}
			for _, b := range bodies {
				found[held] = append(found[held], example{b, p})
			}
		}
		for i, to := range []*[]example{&training, &test} {
			some := sorted(found[i])
			*to = append(*to, some[:min(perPackage, len(some))]...)
		}
	}
	return training, test, nil
}

func bodiesOf(path string) (all []string, err error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			from, to := set.Position(fn.Body.Lbrace).Offset, set.Position(fn.Body.Rbrace).Offset
			if body := strings.TrimSpace(string(source[from+1 : to])); 2 <= strings.Count(body, "\n") && strings.Count(body, "\n") < 12 {
				all = append(all, body)
			}
		}
	}
	return all, nil
}

// sorted orders by a hash of the content: the same on every machine, and with
// nothing to do with where a thing stood.
func sorted[T string | example](all []T) []T {
	key := func(x T) uint64 {
		h := fnv.New64a()
		switch v := any(x).(type) {
		case string:
			h.Write([]byte(filepath.Base(v)))
		case example:
			h.Write([]byte(v.Text))
		}
		return h.Sum64()
	}
	sortBy(all, key)
	return all
}
