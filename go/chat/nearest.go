package chat

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// marker finds what looks like the marks of a format: <|user|>, [INST], <s>.
var marker = regexp.MustCompile(`<[^<>\s]{1,40}>|\[/?[A-Z_]{3,30}\]|### \w+:`)

// Marks lists what looks like a special token in a text, as <|user|> does, each
// once.
func Marks(text string) []string {
	marks := slices.Sorted(maps.Keys(marksOf(text)))
	return slices.DeleteFunc(marks, func(m string) bool { return !strings.HasPrefix(m, "<") })
}

// advice names the built-in template to use in place of one that has no marks:
// the one that writes the same, else the one with the most marks in common. A
// few turns are enough to tell.
func (t *Template) advice(c Conversation, o Options) string {
	near, best := "", 0.0
	c.Messages = c.Messages[:min(len(c.Messages), 20)]
	own, err := t.render(c, o, false)
	text, marks := own.Text, marksOf(own.Text)
	for _, name := range BuiltinNames() {
		t, _ := Builtin(name)
		out, e := t.render(c, o, false)
		if e != nil {
			continue
		}
		if err == nil && out.Text == text {
			return "use the built-in template " + name + ", which writes the same text"
		}
		if score := similarity(marks, marksOf(out.Text)); score > best {
			near, best = name, score
		}
	}
	if best < 0.5 {
		return "use a template with marks, for instance a built-in one: " + strings.Join(BuiltinNames(), ", ")
	}
	return "use the built-in template " + near + ", which is the nearest (graft template " + near + " shows it), or add the marks to a copy of yours"
}

func marksOf(text string) map[string]bool {
	marks := map[string]bool{}
	for _, m := range marker.FindAllString(text, -1) {
		marks[m] = true
	}
	return marks
}

// similarity is the share of marks that two sets have in common (Jaccard).
func similarity(a, b map[string]bool) float64 {
	both := 0
	for m := range a {
		if b[m] {
			both++
		}
	}
	if both == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}
