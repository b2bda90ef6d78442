// Package chat turns conversations into the text a model was trained on, by the
// model's chat template, and marks what the assistant says in it.
//
//	c, err := chat.ParseConversation(line) // {"messages": [...], "tools": [...]}
//	t, err := chat.FromModelDir(dir)       // or chat.Builtin("qwen3")
//	r, err := t.RenderSpans(c, chat.Options{})
//	for _, s := range r.Assistant {
//		fmt.Println(r.Text[s.Start:s.End])
//	}
//
// The template language is in package jinja; turning text into tokens and
// masks is the work of packages tokenizer and data.
package chat
