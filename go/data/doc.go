// Package data turns files of training records into micro-batches:
//
//	source (JSONL, JSON, CSV) → Record → text with trained spans → Row → MicroBatch
//
// A Row is one document as token ids and labels. A MicroBatch is a flat list
// of tokens with sequence boundaries and no padding. The order of rows, their
// packing and so every step of a run are pure functions of (rows, seed, step).
//
//	encoder := data.Encoder{Tokenizer: tok, Template: template, EOS: "</s>"}
//	rows, report, err := data.Load(ctx, data.Options{
//		Sources: []data.Source{{Path: "train.jsonl"}}, Encoder: encoder, MaxSeqLength: 2048,
//	})
//	loader, err := data.NewLoader(rows, data.LoaderOptions{
//		MaxSeqLength: 2048, MicroBatchSize: 2, Accumulation: 8, Epochs: 3, Packing: true, Shuffle: true, Seed: 42,
//	})
//	for i := range loader.Steps() {
//		batches := loader.Step(i)
//		...
//	}
//
// Nothing is dropped in silence: what a file holds and what became of it is in
// the Report. Tokenizers and chat templates live in packages of their own.
package data
