// Package generate draws text from a model: prompts are read in chunks, keys
// and values of earlier tokens are cached, and each new token costs one step
// over it alone. Memory is planned by the same rules as for training, adapters
// are exchanged without loading the base again, and sampling happens on the
// device: one small download a round.
//
//	g, err := generate.Open(ctx, backend, generate.Options{Model: m, Types: nn.BFloat, Source: weights, MaxTokens: 4096})
//	defer g.Close()
//	out, err := g.Generate(ctx, [][]int32{prompt}, generate.Params{MaxNewTokens: 100, StopTokens: eos}, nil)
//
// Text decodes as it goes and knows stop strings; Chat keeps a conversation
// and computes only what a turn adds to it.
//
// Several prompts are served together, as many as there are sequences in the
// cache; a free place is taken by the next prompt at once. Every forward pass
// is a flat list of tokens of whichever sequences have some to read, rounded up
// to one of a few sizes, so that programs repeat. What fills it is a sequence
// of its own, whose keys and values go to free rows of the cache: they are
// overwritten before anything reads them.
//
// What lives elsewhere: the layers and the cached attention (go/nn), the
// filters of sampling (bindings.Ops.Sample), tokens (go/tokenizer), templates
// (go/chat).
package generate
