// Package jinja renders Jinja templates as chat templates use them: the subset
// of jinja2, with its white space rules (trim_blocks and lstrip_blocks on), its
// Python values and its extras (tojson, raise_exception, strftime_now, loop
// controls, {% generation %}) that transformers sets up.
//
// A template comes with a downloaded model, so it is untrusted: it reaches no
// file and no Go value, and every render has a budget of steps, bytes and
// depth. An unknown tag, filter or test is an error of Parse. Errors are
// failure.Data and name the template, the line and the column.
//
//	t, err := jinja.Parse("chatml", source)
//	vars := jinja.NewDict()
//	vars.Set("messages", []any{message})
//	out, err := t.Render(vars, jinja.Options{})
//	fmt.Print(out.Text)
//
// Not here: include, import, extends and do, which no chat template uses;
// and conversations, spans of the assistant and named templates, which are in
// package chat.
package jinja
