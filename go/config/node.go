package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile    = 64 << 10
	maxNesting = 64
)

// kind of a node.
type kind int

const (
	null kind = iota
	scalar
	list
	mapping
)

// node is a value as it was written: scalars are text until a field says what
// they must be.
type node struct {
	kind  kind
	text  string
	plain bool // a scalar that is not quoted
	typed bool // a plain scalar that YAML reads as a number or a truth value
	where string
	items []*node
	keys  []entry
}

// entry is one key of a mapping.
type entry struct {
	name  string
	where string
	value *node
}

func (n *node) find(name string) *node {
	for _, e := range n.keys {
		if e.name == name {
			return e.value
		}
	}
	return nil
}

// describe says what a node is, for messages.
func (n *node) describe() string {
	switch n.kind {
	case list:
		return "a list"
	case mapping:
		return "an object"
	case null:
		return "nothing"
	}
	if n.typed {
		return n.text
	}
	return fmt.Sprintf("%q", n.text)
}

// source is a YAML text and its name in messages: a file, whose lines are
// named, or a flag.
type source struct {
	name string
	flag bool
}

func (s source) at(line int) string {
	if s.flag {
		return s.name
	}
	return fmt.Sprintf("%s:%d", s.name, line)
}

// parse reads one YAML document; nil if it is empty. The time that parsing
// takes grows with size and nesting, so both are bounded first.
func (s source) parse(text []byte) (*node, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", s.name, maxFile)
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == 0 || r == utf8.RuneError && n == 1 {
			return nil, fmt.Errorf("%s: byte %d is 0x%02x: a run file is UTF-8 text without NUL", s.name, i, text[i])
		}
		i += n
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	tokens := lexer.Tokenize(string(text))
	if err := s.nesting(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			return nil, fmt.Errorf("%s: %s", s.at(syntax.GetToken().Position.Line), syntax.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	var root ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if root != nil {
			return nil, fmt.Errorf("%s: a second document begins; a run file is one", s.at(d.Body.GetToken().Position.Line))
		}
		root = d.Body
	}
	if root == nil {
		return nil, nil
	}
	return s.convert(root)
}

// nesting bounds how deep brackets and indentation go.
func (s source) nesting(tokens token.Tokens) error {
	flow, line := 0, 0
	var columns []int // of the blocks that are open
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		}
		begins := t.Position.Line != line
		line = t.Position.Line
		if flow == 0 && (begins || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType) {
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		if flow+len(columns) > maxNesting {
			return fmt.Errorf("%s: nesting over %d", s.at(line), maxNesting)
		}
	}
	return nil
}

// convert turns a syntax tree into nodes and refuses what a run file does not
// need: aliases (a bomb is made of them), tags, keys that are not text.
func (s source) convert(a ast.Node) (*node, error) {
	line := a.GetToken().Position.Line
	n := &node{where: s.at(line)}
	switch a := a.(type) {
	case *ast.NullNode:
		return n, nil
	case *ast.StringNode:
		n.kind, n.text = scalar, a.Value
		n.plain = a.Token.Type != token.SingleQuoteType && a.Token.Type != token.DoubleQuoteType
		n.typed = n.plain && decimal.MatchString(a.Value) // 1e-9 is text to the library
		return n, nil
	case *ast.LiteralNode:
		n.kind, n.text = scalar, a.Value.Value
		return n, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text, n.plain, n.typed = scalar, a.GetToken().Value, true, true
		return n, nil
	case *ast.SequenceNode:
		n.kind = list
		for _, v := range a.Values {
			item, err := s.convert(v)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case *ast.MappingNode:
		n.kind = mapping
		lines := map[string]int{}
		for _, v := range a.Values {
			key, ok := v.Key.(ast.ScalarNode)
			line := v.Key.GetToken().Position.Line
			if _, alias := v.Key.(*ast.MergeKeyNode); !ok || alias {
				return nil, fmt.Errorf("%s: a key must be plain text", s.at(line))
			}
			name := strings.TrimSpace(key.GetToken().Value)
			if first, twice := lines[name]; twice {
				return nil, fmt.Errorf("%s: key %q already set on line %d", s.at(line), name, first)
			}
			lines[name] = line
			value, err := s.convert(v.Value)
			if err != nil {
				return nil, err
			}
			n.keys = append(n.keys, entry{name, s.at(line), value})
		}
		return n, nil
	case *ast.MappingValueNode:
		return s.convert(ast.Mapping(a.GetToken(), false, a))
	case *ast.AnchorNode, *ast.AliasNode:
		return nil, fmt.Errorf("%s: anchors and aliases are not read; write the value out", s.at(line))
	case *ast.TagNode:
		return nil, fmt.Errorf("%s: tags are not read; leave %q out", s.at(line), a.GetToken().Value)
	}
	return nil, fmt.Errorf("%s: %s is not read in a run file", s.at(line), a.Type())
}
