// Package quant has the block-wise number formats of bitsandbytes on the host:
// NF4 weights with plain or doubly quantised scales, and the 8-bit dynamic maps
// that those scales and the state of 8-bit AdamW are coded in. It is bit-equal
// to bitsandbytes in both directions. Devices decode weights themselves; here
// they are made, read and checked.
//
//	codes, absmax := make([]byte, n/2), make([]float32, n/bindings.NF4Block)
//	quant.Encode(codes, absmax, values)
//	scales, nested, offset := quant.Double(absmax)
package quant
