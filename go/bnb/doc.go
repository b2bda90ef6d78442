// Package bnb reads and writes four-bit matrices as bitsandbytes lays them in a
// checkpoint: the codes under the name of the weight, and beside it
//
//	X.weight                                  codes, two a byte, [elements/2, 1]
//	X.weight.absmax                           scales: F32, or U8 codes of them
//	X.weight.quant_map                        the sixteen values
//	X.weight.nested_absmax, .nested_quant_map of doubly quantised scales
//	X.weight.quant_state.bitsandbytes__nf4    JSON: block sizes, shape, offset
//
// and quantization_config in config.json. Of its formats only NF4 in blocks of
// 64 is read; every other one is refused by name. A file may be hostile: sizes
// are checked before they are believed, scales have to be finite.
package bnb
