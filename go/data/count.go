package data

import (
	"context"
	"io"
)

// Count says how many records of each form sources hold. Nothing is encoded, so
// that it needs no tokenizer; what is no record is left out.
func Count(ctx context.Context, sources []Source, stdin io.Reader) (map[Form]int, error) {
	forms := map[Form]int{}
	for _, s := range sources {
		_, err := s.each(stdin, func(_ string, it item) error {
			if it.err != nil {
				return ctx.Err()
			}
			if r, err := ParseRecord(it.json, s.Format); err == nil {
				forms[r.Form]++
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	return forms, nil
}
