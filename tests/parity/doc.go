// Package parity holds graft to transformers and PEFT: logits, losses,
// gradients, twenty steps of AdamW, adapter directories in both directions and
// merged weights, for a tiny random checkpoint of each family. There is no
// code here, only tests; make_fixtures.py makes what they read (testdata), and
// load_adapter.py gives PEFT an adapter that graft wrote.
package parity
