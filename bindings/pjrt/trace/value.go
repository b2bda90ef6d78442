package trace

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graftlm/graft/bindings"
)

// value is an SSA value of the module.
type value struct {
	name string
	elem string // f32, bf16, f64, i32, ui32, ui64, ui8, i1
	dims []int
}

func (v value) typ() string { return typ(v.elem, v.dims) }

func (v value) len() int {
	n := 1
	for _, d := range v.dims {
		n *= d
	}
	return n
}

// elem is the StableHLO name of an element type.
func elem(t bindings.DType) string {
	return [...]string{"f32", "bf16", "f64", "i32", "ui32", "ui8"}[t]
}

func typ(elem string, dims []int) string {
	var b strings.Builder
	b.WriteString("tensor<")
	for _, d := range dims {
		fmt.Fprintf(&b, "%dx", d)
	}
	b.WriteString(elem + ">")
	return b.String()
}

// builder appends operations to the body of a function.
type builder struct {
	body   strings.Builder
	prefix string // of the names of values: the operation and its number
	loc    string // location of what is appended
	local  int    // values since the prefix was set
	lines  int
	consts map[string]value
}

// enter begins the values of one call of an operation.
func (b *builder) enter(prefix, loc string) { b.prefix, b.loc, b.local = prefix, loc, 0 }

// emit appends one operation and returns its result.
func (b *builder) emit(elem string, dims []int, format string, a ...any) value {
	return value{b.line("", format, a...), elem, dims}
}

// line appends one operation and returns the name of its result, or results.
func (b *builder) line(results, format string, a ...any) string {
	name := fmt.Sprintf("%%%s.%d", b.prefix, b.local)
	b.local++
	b.lines++
	b.body.WriteString("    " + name + results + " = ")
	fmt.Fprintf(&b.body, format, a...)
	if b.loc != "" {
		b.body.WriteString(" loc(" + b.loc + ")")
	}
	b.body.WriteByte('\n')
	return name
}

// op is an elementwise operation: operands and result have one type.
func (b *builder) op(name string, x ...value) value {
	names := make([]string, len(x))
	for i := range x {
		if x[i].typ() != x[0].typ() {
			panic(fmt.Sprintf("%s of %s and %s", name, x[0].typ(), x[i].typ()))
		}
		names[i] = x[i].name
	}
	return b.emit(x[0].elem, x[0].dims, "stablehlo.%s %s : %s", name, strings.Join(names, ", "), x[0].typ())
}

func (b *builder) add(x, y value) value { return b.op("add", x, y) }
func (b *builder) sub(x, y value) value { return b.op("subtract", x, y) }
func (b *builder) mul(x, y value) value { return b.op("multiply", x, y) }
func (b *builder) div(x, y value) value { return b.op("divide", x, y) }

// scale multiplies by a number.
func (b *builder) scale(x value, by float64) value {
	if by == 1 {
		return x
	}
	return b.mul(x, b.num(by, x))
}

// num is a number in the type and shape of a value.
func (b *builder) num(x float64, like value) value { return b.fill(x, like.elem, like.dims...) }

// fill is a number everywhere.
func (b *builder) fill(x float64, elem string, dims ...int) value {
	t := typ(elem, dims)
	return b.constant(literal(x, elem), elem, dims, t)
}

func (b *builder) constant(lit, elem string, dims []int, t string) value {
	key := lit + t
	if v, ok := b.consts[key]; ok {
		return v
	}
	if b.consts == nil {
		b.consts = map[string]value{}
	}
	v := b.emit(elem, dims, "stablehlo.constant dense<%s> : %s", lit, t)
	b.consts[key] = v
	return v
}

// literal is a number as MLIR reads it; an infinity is its bits.
func literal(x float64, elem string) string {
	switch elem {
	case "f32", "bf16", "f64":
	case "i1":
		return strconv.FormatBool(x != 0)
	default:
		return strconv.FormatInt(int64(x), 10)
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		switch elem {
		case "f32":
			return fmt.Sprintf("0x%08X", math.Float32bits(float32(x)))
		case "bf16":
			return fmt.Sprintf("0x%04X", bindings.FloatToBF16(float32(x)))
		}
		return fmt.Sprintf("0x%016X", math.Float64bits(x))
	}
	bits := 32
	if elem == "f64" {
		bits = 64
	}
	s := strconv.FormatFloat(x, 'e', -1, bits)
	if !strings.Contains(s, ".") {
		s = strings.Replace(s, "e", ".0e", 1)
	}
	return s
}

// table is a constant vector.
func (b *builder) table(x []float32) value {
	lits := make([]string, len(x))
	for i, v := range x {
		lits[i] = literal(float64(v), "f32")
	}
	dims := []int{len(x)}
	return b.constant("["+strings.Join(lits, ", ")+"]", "f32", dims, typ("f32", dims))
}

func (b *builder) reshape(x value, dims ...int) value {
	if equal(x.dims, dims) {
		return x
	}
	return b.emit(x.elem, dims, "stablehlo.reshape %s : (%s) -> %s", x.name, x.typ(), typ(x.elem, dims))
}

func (b *builder) transpose(x value, perm ...int) value {
	dims := make([]int, len(perm))
	for i, p := range perm {
		dims[i] = x.dims[p]
	}
	return b.emit(x.elem, dims, "stablehlo.transpose %s, dims = %s : (%s) -> %s", x.name, list(perm), x.typ(), typ(x.elem, dims))
}

// spread broadcasts x: its dimension i becomes dimension at[i] of dims.
func (b *builder) spread(x value, dims []int, at ...int) value {
	if equal(x.dims, dims) {
		return x
	}
	return b.emit(x.elem, dims, "stablehlo.broadcast_in_dim %s, dims = %s : (%s) -> %s", x.name, list(at), x.typ(), typ(x.elem, dims))
}

func (b *builder) convert(x value, to string) value {
	if x.elem == to {
		return x
	}
	return b.emit(to, x.dims, "stablehlo.convert %s : (%s) -> %s", x.name, x.typ(), typ(to, x.dims))
}

// bits is x as integers where it is bf16: a compiler that has no bf16 moves such
// elements through float32, which costs memory and changes the bits of a NaN.
func (b *builder) bits(x value) value {
	if x.elem != "bf16" {
		return x
	}
	return b.bitcast(x, "ui16")
}

// bitcast is the same bits as another type of the same size.
func (b *builder) bitcast(x value, elem string) value {
	if x.elem == elem {
		return x
	}
	return b.emit(elem, x.dims, "stablehlo.bitcast_convert %s : (%s) -> %s", x.name, x.typ(), typ(elem, x.dims))
}

// wide is x in float32, in which elements are computed.
func (b *builder) wide(x value) value { return b.convert(x, "f32") }

// dot contracts and gives float32; the result has the batch dimensions, then
// those that are left of x and of y.
func (b *builder) dot(x, y value, batch, contract [2][]int) value {
	var dims []int
	for _, i := range batch[0] {
		dims = append(dims, x.dims[i])
	}
	for side, v := range []value{x, y} {
		for i, d := range v.dims {
			if !has(batch[side], i) && !has(contract[side], i) {
				dims = append(dims, d)
			}
		}
	}
	how := fmt.Sprintf("contracting_dims = %s x %s", list(contract[0]), list(contract[1]))
	if len(batch[0]) > 0 {
		how = fmt.Sprintf("batching_dims = %s x %s, ", list(batch[0]), list(batch[1])) + how
	}
	return b.emit("f32", dims, "stablehlo.dot_general %s, %s, %s : (%s, %s) -> %s",
		x.name, y.name, how, x.typ(), y.typ(), typ("f32", dims))
}

// matmul contracts dimension i of x with dimension j of y.
func (b *builder) matmul(x, y value, i, j int) value {
	return b.dot(x, y, [2][]int{}, [2][]int{{i}, {j}})
}

// fold reduces one dimension.
func (b *builder) fold(x value, with string, init float64, dim int) value {
	from := b.fill(init, x.elem)
	dims := append(append([]int{}, x.dims[:dim]...), x.dims[dim+1:]...)
	return b.emit(x.elem, dims, "stablehlo.reduce(%s init: %s) applies stablehlo.%s across dimensions = [%d] : (%s, %s) -> %s",
		x.name, from.name, with, dim, x.typ(), from.typ(), typ(x.elem, dims))
}

func (b *builder) sum(x value, dim int) value { return b.fold(x, "add", 0, dim) }
func (b *builder) max(x value, dim int) value { return b.fold(x, "maximum", math.Inf(-1), dim) }

// total is the sum of all elements, in rows of 1024 so that no sum is longer.
func (b *builder) total(x value) value {
	x = b.reshape(x, x.len())
	for x.len() > 1024 {
		rows := (x.len() + 1023) / 1024
		x = b.sum(b.reshape(b.pad(x, 0, 0, rows*1024-x.len(), 0), rows, 1024), 1)
	}
	return b.sum(x, 0)
}

// pad adds elements of a number before and after one dimension.
func (b *builder) pad(x value, dim, low, high int, with float64) value {
	if low == 0 && high == 0 {
		return x
	}
	lows, highs, none := make([]int, len(x.dims)), make([]int, len(x.dims)), make([]int, len(x.dims))
	dims := append([]int{}, x.dims...)
	lows[dim], highs[dim] = low, high
	dims[dim] += low + high
	p := b.fill(with, x.elem)
	return b.emit(x.elem, dims, "stablehlo.pad %s, %s, low = %s, high = %s, interior = %s : (%s, %s) -> %s",
		x.name, p.name, list(lows), list(highs), list(none), x.typ(), p.typ(), typ(x.elem, dims))
}

func (b *builder) iota(elem string, dim int, dims ...int) value {
	return b.emit(elem, dims, "stablehlo.iota dim = %d : %s", dim, typ(elem, dims))
}

func (b *builder) compare(how string, x, y value) value {
	return b.emit("i1", x.dims, "stablehlo.compare %s, %s, %s : (%s, %s) -> %s", how, x.name, y.name, x.typ(), y.typ(), typ("i1", x.dims))
}

// choose is x where p holds and y elsewhere.
func (b *builder) choose(p, x, y value) value {
	return b.emit(x.elem, x.dims, "stablehlo.select %s, %s, %s : %s, %s", p.name, x.name, y.name, p.typ(), x.typ())
}

// cut is the range [from, to) of one dimension.
func (b *builder) cut(x value, dim, from, to int) value {
	if from == 0 && to == x.dims[dim] {
		return x
	}
	parts, dims := make([]string, len(x.dims)), append([]int{}, x.dims...)
	for i, d := range x.dims {
		parts[i] = fmt.Sprintf("0:%d", d)
	}
	parts[dim], dims[dim] = fmt.Sprintf("%d:%d", from, to), to-from
	return b.emit(x.elem, dims, "stablehlo.slice %s [%s] : (%s) -> %s", x.name, strings.Join(parts, ", "), x.typ(), typ(x.elem, dims))
}

// at is element i of a vector, as a scalar.
func (b *builder) at(x value, i int) value { return b.reshape(b.cut(x, 0, i, i+1)) }

func (b *builder) concat(dim int, x ...value) value {
	if len(x) == 1 {
		return x[0]
	}
	dims := append([]int{}, x[0].dims...)
	dims[dim] = 0
	var names, types []string
	for _, v := range x {
		dims[dim] += v.dims[dim]
		names, types = append(names, v.name), append(types, v.typ())
	}
	return b.emit(x[0].elem, dims, "stablehlo.concatenate %s, dim = %d : (%s) -> %s",
		strings.Join(names, ", "), dim, strings.Join(types, ", "), typ(x[0].elem, dims))
}

// put replaces a range of a vector.
func (b *builder) put(x, part value, first int) value {
	i := b.fill(float64(first), "i32")
	return b.emit(x.elem, x.dims, "stablehlo.dynamic_update_slice %s, %s, %s : (%s, %s, %s) -> %s",
		x.name, part.name, i.name, x.typ(), part.typ(), i.typ(), x.typ())
}

// rows gathers rows of a matrix, or elements of a vector.
func (b *builder) rows(x, ids value) value {
	row := x.dims[1:]
	dims := append(append([]int{}, ids.dims...), row...)
	var offset []int
	for i := range row {
		offset = append(offset, len(ids.dims)+i)
	}
	return b.emit(x.elem, dims, `"stablehlo.gather"(%s, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = %s, collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = %d>, indices_are_sorted = false, slice_sizes = array<i64: %s>}> : (%s, %s) -> %s`,
		x.name, ids.name, list(offset), len(ids.dims), strings.Trim(list(append([]int{1}, row...)), "[]"), x.typ(), ids.typ(), typ(x.elem, dims))
}

// scatter writes rows of u to the rows ids of x, or adds them.
func (b *builder) scatter(x, ids, u value, add bool) value {
	s, result, what := typ(x.elem, nil), "%r", ""
	if add {
		result, what = "%s", fmt.Sprintf("      %%s = stablehlo.add %%l, %%r : %s\n", s)
	}
	return b.emit(x.elem, x.dims, `"stablehlo.scatter"(%s, %s, %s) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = %t}> ({
    ^bb0(%%l: %s, %%r: %s):
%s      stablehlo.return %s : %s
    }) : (%s, %s, %s) -> %s`, x.name, ids.name, u.name, !add, s, s, what, result, s, x.typ(), ids.typ(), u.typ(), x.typ())
}

// after is x, but made to depend on values that x does not need: their first
// elements times zero are added. No compiler may fold that, for they might be
// infinite; then the step is not applied. optimization_barrier is the proper
// word for it, but the CPU plugin drops barriers before it shares and schedules.
func (b *builder) after(x value, by ...value) value {
	var sum value
	for _, v := range by {
		if v.len() == 0 {
			continue
		}
		for dim := range v.dims {
			v = b.cut(v, dim, 0, 1)
		}
		v = b.wide(b.reshape(v))
		if sum.name != "" {
			v = b.add(sum, v)
		}
		sum = v
	}
	if sum.name == "" || x.len() == 0 {
		return x
	}
	nothing := b.convert(b.mul(sum, b.num(0, sum)), x.elem)
	return b.add(x, b.spread(nothing, x.dims))
}

func list(x []int) string { return strings.ReplaceAll(fmt.Sprint(x), " ", ", ") }

func equal(a, b []int) bool { return slices.Equal(a, b) }

func has(x []int, i int) bool {
	for _, v := range x {
		if v == i {
			return true
		}
	}
	return false
}
