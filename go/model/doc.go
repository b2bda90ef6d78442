// Package model knows the families of models: it reads config.json, says which
// weights a checkpoint has under which names, builds the nn layers, and loads
// the weights into their arena.
//
// One decoder with switches serves Llama 1 to 3, SmolLM2, TinyLlama, Mistral,
// Qwen2, Qwen2.5 and Qwen3. To add a family see docs/add-a-family.md.
package model
