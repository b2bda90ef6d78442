package data

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/graftlm/graft/go/failure"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// assembly writes one row as JSON from the values of its columns, by their
// repetition and definition levels (Melnik et al., Dremel, 2010).
type assembly struct {
	out []byte
	err error // the first value that has no form in JSON
}

// group writes the fields of a group as an object; those that are null are
// left out. columns are those below the group.
func (a *assembly) group(n parquet.Node, columns [][]parquet.Value, rep, def int) {
	a.out = append(a.out, '{')
	first := true
	for _, field := range n.Fields() {
		count := leaves(field)
		start := len(a.out)
		if !first {
			a.out = append(a.out, ',')
		}
		a.text(field.Name())
		a.out = append(a.out, ':')
		if a.field(field, columns[:count], rep, def) {
			first = false
		} else {
			a.out = a.out[:start]
		}
		columns = columns[count:]
	}
	a.out = append(a.out, '}')
}

// field writes a field of any repetition and reports whether it is there.
func (a *assembly) field(n parquet.Node, columns [][]parquet.Value, rep, def int) bool {
	switch {
	case n.Optional():
		if def++; columns[0][0].DefinitionLevel() < def {
			return false
		}
	case n.Repeated():
		a.list(n, columns, rep+1, def+1)
		return true
	}
	return a.value(n, columns, rep, def)
}

// value writes what a field holds, its optionality settled.
func (a *assembly) value(n parquet.Node, columns [][]parquet.Value, rep, def int) bool {
	switch {
	case n.Leaf():
		return a.leaf(n, columns[0][0])
	case isListNode(n):
		a.list(n.Fields()[0], columns, rep+1, def+1)
	case isMapNode(n):
		a.dict(n.Fields()[0], columns, rep+1, def+1)
	default:
		a.group(n, columns, rep, def)
	}
	return true
}

// list writes the elements of a repeated node; one of three levels, as in
// "list.element", is its inner field.
func (a *assembly) list(n parquet.Node, columns [][]parquet.Value, rep, def int) {
	a.out = append(a.out, '[')
	wrapped := !n.Leaf() && len(n.Fields()) == 1 && (n.Fields()[0].Name() == "element" || n.Fields()[0].Name() == "item")
	each(columns, rep, def, func(i int, element [][]parquet.Value) {
		if i > 0 {
			a.out = append(a.out, ',')
		}
		there := false
		if wrapped {
			there = a.field(n.Fields()[0], element, rep, def)
		} else {
			there = a.value(n, element, rep, def)
		}
		if !there {
			a.out = append(a.out, "null"...)
		}
	})
	a.out = append(a.out, ']')
}

// dict writes a map of keys and values as an object.
func (a *assembly) dict(n parquet.Node, columns [][]parquet.Value, rep, def int) {
	a.out = append(a.out, '{')
	key, value := n.Fields()[0], n.Fields()[1]
	each(columns, rep, def, func(i int, pair [][]parquet.Value) {
		if i > 0 {
			a.out = append(a.out, ',')
		}
		a.text(string(pair[0][0].Bytes()))
		a.out = append(a.out, ':')
		if !a.field(value, pair[leaves(key):], rep, def) {
			a.out = append(a.out, "null"...)
		}
	})
	a.out = append(a.out, '}')
}

// each cuts the columns of a repeated node into its elements.
func each(columns [][]parquet.Value, rep, def int, f func(i int, element [][]parquet.Value)) {
	if columns[0][0].DefinitionLevel() < def {
		return
	}
	rest := append([][]parquet.Value(nil), columns...)
	element := make([][]parquet.Value, len(columns))
	for i := 0; len(rest[0]) > 0; i++ {
		for c, values := range rest {
			n := 1
			for n < len(values) && values[n].RepetitionLevel() > rep {
				n++
			}
			element[c], rest[c] = values[:n], values[n:]
		}
		f(i, element)
	}
}

func leaves(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	count := 0
	for _, field := range n.Fields() {
		count += leaves(field)
	}
	return count
}

// logical is what a node says that it stands for, or nil.
func logical(n parquet.Node) format.LogicalTypeValue {
	if t := n.Type().LogicalType(); t != nil {
		return t.Value
	}
	return nil
}

func isListNode(n parquet.Node) bool {
	_, ok := logical(n).(*format.ListType)
	return ok && len(n.Fields()) == 1 && n.Fields()[0].Repeated()
}

func isMapNode(n parquet.Node) bool {
	if _, ok := logical(n).(*format.MapType); !ok || len(n.Fields()) != 1 || !n.Fields()[0].Repeated() || n.Fields()[0].Leaf() {
		return false
	}
	pair := n.Fields()[0].Fields()
	return len(pair) == 2 && pair[0].Leaf() && pair[0].Type().Kind() == parquet.ByteArray
}

// leaf writes a value and reports whether it is one.
func (a *assembly) leaf(n parquet.Node, v parquet.Value) bool {
	if v.IsNull() {
		return false
	}
	switch v.Kind() {
	case parquet.Boolean:
		a.out = strconv.AppendBool(a.out, v.Boolean())
	case parquet.Int32:
		a.out = strconv.AppendInt(a.out, int64(v.Int32()), 10)
	case parquet.Int64:
		if t, ok := logical(n).(*format.IntType); ok && !t.IsSigned {
			a.out = strconv.AppendUint(a.out, v.Uint64(), 10)
		} else {
			a.out = strconv.AppendInt(a.out, v.Int64(), 10)
		}
	case parquet.Float:
		return a.number(float64(v.Float()), 32)
	case parquet.Double:
		return a.number(v.Double(), 64)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		a.text(string(v.Bytes()))
	default:
		a.text(v.String())
	}
	return true
}

func (a *assembly) number(v float64, bits int) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	a.out = strconv.AppendFloat(a.out, v, 'g', -1, bits)
	return true
}

func (a *assembly) text(s string) {
	if !utf8.ValidString(s) {
		a.fail("invalid UTF-8 in %.40q; such a column holds no text", s)
		s = ""
	}
	text, err := json.Marshal(s)
	if err != nil {
		a.fail("%v", err)
	}
	a.out = append(a.out, text...)
}

func (a *assembly) fail(format string, args ...any) {
	if a.err == nil {
		a.err = failure.Data(format, args...)
	}
}
