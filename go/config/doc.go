// Package config reads the run file: YAML (or JSON, which is YAML) and --set
// flags become one Config, complete and checked.
//
// A key exists in one place, a field of Config with tags; reading, defaults,
// ranges, hints, the resolved file, the JSON Schema and the reference table
// follow from it by reflection. Reading is strict: unknown keys, duplicate
// keys, wrong types and values out of range are errors of kind Config that
// name file, line and key. Nothing here looks at a model or at data, and
// aliases and tags of YAML are refused, so that a run file means what it shows.
//
//	c, err := config.Load("run.yaml", []string{"optim.learning_rate=1e-4"})
//	...
//	err = c.Require("model.path", "data.train", "train.output_dir")
//	os.Stdout.Write(c.Resolved()) // every value, and where it comes from
//
// The tags of a field:
//
//	yaml      its name
//	doc       one sentence, for the schema and the reference table
//	default   the value if none is given, as YAML; absent: "", 0, false, none
//	full,     the default where method.type is that, if it differs
//	lora, …
//	only      the values of method.type for which the key means anything: a|b
//	range     of a number, or of each in a list: [0,1] (0,1] …
//	enum      of a text, or of each in a list: a|b|c
//	match     a regular expression for a text, with form as its description
//	aka       names that other tools give it, for hints
//	required  of a field in a list of objects: it must be given
//	short     of a list of objects: the field that a plain text stands for
package config
