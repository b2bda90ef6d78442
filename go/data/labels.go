package data

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/graftlm/graft/go/failure"
)

// Task is what the labels of texts are, under transformers' names of
// problem_type.
type Task string

const (
	AutoTask    Task = "auto" // by the labels of the training records
	SingleLabel Task = "single_label_classification"
	MultiLabel  Task = "multi_label_classification" // a list of classes, which may be empty
	Regression  Task = "regression"                 // a number, or as many in each record
)

// Labels is what a classifier answers with.
type Labels struct {
	Task  Task     `json:"task"`
	Names []string `json:"names"` // by id; of numbers, LABEL_0 and so on
}

// label is what a record says of its text, as it was read.
type label struct {
	Classes []string
	List    bool // was a list
	Number  bool // is a number that can be no class: 0.5, −1
}

// Labels finds the task and its classes in the rows. names give the order of
// the classes, and then no other may occur; without them it is that of numbers
// if all are whole ones, else that of texts.
func (r *Rows) Labels(task Task, names []string) (Labels, error) {
	count := map[string]int{}
	list, number := false, false
	for _, j := range r.index {
		l := r.labels[j]
		list, number = list || l.List, number || l.Number
		for _, c := range l.Classes {
			count[c]++
		}
	}
	if task == AutoTask || task == "" {
		switch {
		case number:
			task = Regression
		case list:
			task = MultiLabel
		default:
			task = SingleLabel
		}
	}
	if task == Regression {
		return r.numbers()
	}
	l := Labels{Task: task, Names: names}
	if len(names) == 0 {
		for c := range count {
			l.Names = append(l.Names, c)
		}
		slices.SortFunc(l.Names, byNumber(l.Names))
	}
	if repeated := len(l.Names) - len(slices.Compact(slices.Sorted(slices.Values(l.Names)))); repeated > 0 {
		return l, failure.Config("method.labels names %d classes twice", repeated)
	}
	switch {
	case len(l.Names) == 0:
		return l, failure.Data("no training record has a class; want \"label\": \"…\" or \"labels\": […]")
	case task == SingleLabel && len(l.Names) == 1:
		return l, failure.Data("every training record has the label %q; a classifier needs at least two", l.Names[0])
	}
	for _, name := range names {
		if count[name] == 0 {
			return l, failure.Data("the class %q of method.labels has no training record", name)
		}
	}
	return l, nil
}

// numbers is the task of regression: as many numbers as the first row has.
func (r *Rows) numbers() (Labels, error) {
	l := Labels{Task: Regression}
	for i := range len(r.labels[r.index[0]].Classes) {
		l.Names = append(l.Names, fmt.Sprintf("LABEL_%d", i))
	}
	if len(l.Names) == 0 {
		return l, failure.Data("%s: the label is an empty list; regression wants a number", r.where(r.index[0]))
	}
	return l, nil
}

// byNumber compares classes as numbers if all are whole ones.
func byNumber(names []string) func(a, b string) int {
	number := map[string]int{}
	for _, n := range names {
		v, err := strconv.Atoi(n)
		if err != nil {
			return strings.Compare
		}
		number[n] = v
	}
	return func(a, b string) int { return cmp.Or(number[a]-number[b], strings.Compare(a, b)) }
}

// Use turns the labels of the rows into classes and values. A label that is
// not one of l is an error of kind Data with its file and line.
func (r *Rows) Use(l Labels) error {
	id := map[string]int32{}
	for i, n := range l.Names {
		id[n] = int32(i)
	}
	if r.Len() == 0 {
		return nil
	}
	if r.class == nil {
		r.class = make([]int32, len(r.ends))
	}
	if l.Task != SingleLabel {
		r.width = len(l.Names)
		if r.values == nil {
			r.values = make([]float32, len(r.ends)*r.width)
		}
	}
	for _, j := range r.index {
		if err := r.use(l, id, j); err != nil {
			return fmt.Errorf("%s: %w", r.where(j), err)
		}
	}
	return nil
}

func (r *Rows) use(l Labels, id map[string]int32, j int32) error {
	have := r.labels[j].Classes
	row := r.values[int(j)*r.width:]
	switch {
	case l.Task == SingleLabel && len(have) != 1:
		return failure.Data("%d labels; %s wants one in each record", len(have), l.Task)
	case l.Task == Regression && len(have) != r.width:
		return failure.Data("%d numbers; the first record has %d, and each needs as many", len(have), r.width)
	}
	if l.Task != Regression && r.labels[j].Number {
		return failure.Data("the label %s is a number that can be no class; want a string or an integer of at least 0, or method.problem_type: %s", have[0], Regression)
	}
	for i, c := range have {
		if l.Task == Regression {
			v, err := strconv.ParseFloat(c, 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
				return failure.Data("the label %q is no number; regression wants one", c)
			}
			row[i] = float32(v)
			continue
		}
		n, ok := id[c]
		if !ok {
			return failure.Data("the label %q was never seen in training; the classes are %s", c, some(l.Names))
		}
		if l.Task == SingleLabel {
			r.class[j] = n
		} else {
			row[n] = 1
		}
	}
	return nil
}

// where is the file and line of a row of the store.
func (r *Rows) where(j int32) string {
	return fmt.Sprintf("%s:%d", r.files[runOf(r.files, int(j))].Name, r.line[j])
}

// some lists the first names.
func some(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:12], ", "), len(names))
	}
	return strings.Join(names, ", ")
}

// Labelled reports whether the rows have classes or values: Use ran.
func (r *Rows) Labelled() bool { return r.store != nil && r.class != nil }

// Counts gives the number of rows of each class; of no use for regression.
func (r *Rows) Counts() map[string]int {
	count := map[string]int{}
	for _, j := range r.index {
		for _, c := range r.labels[j].Classes {
			count[c]++
		}
	}
	return count
}
