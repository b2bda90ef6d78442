package tokenizer

import (
	"bytes"
	"encoding/json"

	"github.com/graftlm/graft/go/failure"
)

// A tokenizer comes with a download, so it is not trusted: what it may cost is
// proportional to its size and to that of the text, with these factors. All are
// several times what any published tokenizer needs.
const (
	maxFile    = 256 << 20 // bytes of a file
	maxDepth   = 32        // of Sequence components
	maxObjects = 1024      // in the description of one stage
	maxFound   = 512       // bytes of a token that is looked for at every place of a text
	maxAffix   = 64        // bytes of what stands before or after tokens within a word

	maxGrowth = 16   // times that a stage may lengthen a text
	freeText  = 4096 // bytes that a text may grow by in any case
	maxWork   = 256  // times that all components of a stage together may go through it

	maxDecoded  = 1 << 30 // bytes of the tokens that are decoded at once
	maxSpecial  = 1 << 16 // special tokens around a text
	maxCopies   = 8       // of a text in a template
	maxPadding  = 1 << 20 // tokens that a file may fill up to
	maxOverflow = 1 << 23 // tokens in all windows that truncation cuts off
)

// allowance is what is left of growth and work for one text in one stage.
type allowance struct {
	stage      string
	size, work int
}

func allow(stage string, text int) allowance {
	return allowance{stage, maxGrowth * (text + freeText), maxWork * (text + freeText)}
}

// spend is an error if a component made the text too long, or all of them
// together go through too much.
func (a *allowance) spend(size int) error {
	if size > a.size {
		return failure.Data("%s: the text grows beyond %d times its size", a.stage, maxGrowth)
	}
	if a.work -= size; a.work < 0 {
		return failure.Data("%s: too many components for a text of this size", a.stage)
	}
	return nil
}

// checkTokens refuses a token that is too long.
func checkTokens(path string, tokens []string, limit int) error {
	for i, text := range tokens {
		if len(text) > limit {
			return failure.Data("%s: token %d has %d bytes; at most %d are read", path, i, len(text), limit)
		}
	}
	return nil
}

// checkStage refuses a stage of too many components before they are built.
func checkStage(path string, raw json.RawMessage) error {
	if n := bytes.Count(raw, []byte("{")); n > maxObjects {
		return failure.Data("%s: %d objects; at most %d are read", path, n, maxObjects)
	}
	return nil
}
