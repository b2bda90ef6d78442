// Package data holds the order of training rows and the flat micro-batches
// made of them. A micro-batch is a list of tokens with sequence boundaries and
// no padding; see MicroBatch. Tokenizers and chat templates live elsewhere.
//
//	order := data.Permutation{N: len(rows), Seed: 42, Epoch: 0}
//	batch := data.Flatten([]data.Row{rows[order.At(0)], rows[order.At(1)]})
package data
