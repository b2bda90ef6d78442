package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// packages are the classes: the packages of the standard library outside of
// runtime, syscall and internal ones that have at least five functions to train
// on, three to choose by and three to test on.
var packages = []string{
	"archive/tar", "crypto/elliptic", "crypto/tls", "crypto/x509", "encoding/gob", "encoding/json", "go/doc", "go/types",
	"html/template", "index/suffixarray", "log/slog", "math", "math/big", "net", "net/http", "os", "path/filepath", "reflect",
	"runtime/pprof", "runtime/trace", "sync", "text/template", "text/template/parse", "time",
}

// example is the body of a function, its identifiers split into words, and the
// package that it is from.
type example struct {
	Text  string `json:"text"`
	Label string `json:"label"`
}

// parts are the functions to train on, to choose settings by, and to test on.
type parts struct{ train, choose, test []example }

// held is how many functions of a package each of the latter two have at most.
const held = 60

// functions reads the bodies of the packages' functions, of 3 to 40 lines with a
// comment among them, without name and signature. Each part has files of its own, so that no test
// body has a neighbour in training; each package gives perPackage bodies to train
// on, others for each draw.
func functions(root string, perPackage, draw int) (all parts, err error) {
	for _, p := range packages {
		found := [3][]example{}
		files, err := filepath.Glob(filepath.Join(root, "src", p, "*.go"))
		if err != nil {
			return all, err
		}
		files = slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
		for i, path := range sorted(files, 0) {
			bodies, err := bodiesOf(path)
			if err != nil {
				return all, err
			}
			for _, b := range bodies {
				found[i%3] = append(found[i%3], example{split(b), p})
			}
		}
		for i, to := range []*[]example{&all.train, &all.choose, &all.test} {
			most, from := held, 0
			if i == 0 {
				most, from = perPackage, draw
			}
			some := sorted(found[i], from)
			*to = append(*to, some[:min(most, len(some))]...)
		}
	}
	return all, nil
}

var seam = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// split writes identifiers as the words that they are made of: the encoder's
// vocabulary is of English.
func split(code string) string {
	return strings.ReplaceAll(seam.ReplaceAllString(code, "$1 $2"), "_", " ")
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
			if body := strings.TrimSpace(string(source[from+1 : to])); 2 <= strings.Count(body, "\n") && strings.Count(body, "\n") < 40 && strings.Contains(body, "// ") {
				all = append(all, body)
			}
		}
	}
	return all, nil
}

// sorted orders by a hash of the content and of a draw: the same on every
// machine, and with nothing to do with where a thing stood.
func sorted[T string | example](all []T, draw int) []T {
	key := func(x T) uint64 {
		h := fnv.New64a()
		if draw > 0 {
			fmt.Fprint(h, draw)
		}
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
