// Package trace reads a program into one StableHLO module. It is text and pure
// Go: no plugin is needed to make a module or to look at it.
//
//	m, err := trace.Read("micro", program, nil)
//	fmt.Println(m.Text)
//
// A slot of memory becomes a value (store.go): reading a range slices it,
// writing a range makes a new value. Arguments (slots that are read before they
// are written), results (slots that are written and outlive the program) and
// donation (both) are derived; nobody declares them.
//
// Each operation of bindings.Ops is one method in the file of its kind, forward
// and backward together. Arithmetic is float32, whatever the activations are;
// matrix products take operands in the type of the activations and give
// float32. A new operation is a file with a method on Tracer.
//
// A compiler sees the whole module and may run it in any order, share work
// between the forward and the backward pass, or unpack every weight first. The
// method after holds it back where that would cost memory.
package trace
