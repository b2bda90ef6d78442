// Package data turns files of training records into micro-batches:
//
//	source (JSONL, JSON, CSV, Parquet) → Record → text with trained spans → Row → MicroBatch
//
// A Row is one document as token ids and labels. A MicroBatch is a flat list
// of tokens with sequence boundaries and no padding. The order of rows, their
// packing and so every step of a run are pure functions of (rows, seed, step).
// Files are streamed; rows are in memory up to a bound, in a file beyond it, and
// in a cache for the next run.
//
//	encoder := data.Encoder{Tokenizer: tok, Template: template, EOS: "</s>"}
//	rows, report, err := data.Load(ctx, data.Options{
//		Sources: []data.Source{{Path: "train.jsonl"}}, Encoder: encoder, MaxSeqLength: 2048,
//	})
//	defer rows.Close()
//	loader, err := data.NewLoader(rows, data.LoaderOptions{
//		MaxSeqLength: 2048, MicroBatchSize: 2, Accumulation: 8, Epochs: 3, Packing: true, Shuffle: true, Seed: 42,
//	})
//	for i := range loader.Steps() {
//		batches := loader.Step(i)
//		...
//	}
//
// Nothing is dropped in silence: what a file holds and what became of it is in
// the Report, and Survey counts what Load would refuse. Convert and Divide write
// files of records for others to read. Tokenizers and chat templates live in packages of their own.
package data
