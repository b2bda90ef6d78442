package jinja

// at is the offset of a node in the source, for errors.
type at int

func (a at) offset() int { return int(a) }

type node interface{ offset() int }

// Statements.
type (
	textNode struct {
		at
		text string
	}
	printNode struct {
		at
		value node
	}
	ifNode struct {
		at
		tests    []node
		bodies   [][]node
		elseBody []node
	}
	forNode struct {
		at
		target, items, filter node
		body, elseBody        []node
		recursive             bool
	}
	setNode struct {
		at
		target, value node
	}
	setBlockNode struct {
		at
		target  node
		filters []*filterNode
		body    []node
	}
	macroNode struct {
		at
		name     string
		params   []string
		defaults []node // of the last parameters
		body     []node
		// whether the body uses these names
		caller, varargs, kwargs bool
	}
	callBlockNode struct {
		at
		call *callNode
		body *macroNode
	}
	filterBlockNode struct {
		at
		filters []*filterNode
		body    []node
	}
	withNode struct {
		at
		targets, values []node
		body            []node
	}
	generationNode struct {
		at
		body []node
	}
	breakNode    struct{ at }
	continueNode struct{ at }
)

// Expressions.
type (
	constNode struct {
		at
		value any
	}
	nameNode struct {
		at
		name string
	}
	tupleNode struct {
		at
		items []node
	}
	listNode struct {
		at
		items []node
	}
	dictNode struct {
		at
		keys, values []node
	}
	unaryNode struct {
		at
		op    string
		value node
	}
	binaryNode struct {
		at
		op          string
		left, right node
	}
	compareNode struct {
		at
		first node
		ops   []string
		rest  []node
	}
	concatNode struct {
		at
		items []node
	}
	condNode struct {
		at
		test, yes, no node
	}
	attrNode struct {
		at
		value node
		name  string
	}
	itemNode struct {
		at
		value, key node
	}
	sliceNode struct {
		at
		bounds [3]node
	} // start, stop, step; nil where left out
	callNode struct {
		at
		callee         node
		args           []node
		names          []string
		named          []node
		spread, mapped node // *args, **kwargs
	}
	filterNode struct {
		at
		value  node // nil in a filter block
		name   string
		filter filter
		args   *callNode
	}
	testNode struct {
		at
		value  node
		name   string
		test   test
		args   *callNode
		negate bool
	}
)
