package tokenizer

// wordLevel takes each word as one token.
type wordLevel struct {
	vocabulary
	unk string
}

func parseWordLevel(o *object) (model, error) {
	m := &wordLevel{}
	ids := map[string]int32{}
	o.need("vocab", &ids)
	o.need("unk_token", &m.unk)
	if err := o.close(); err != nil {
		return nil, err
	}
	var err error
	m.vocabulary, err = newVocabulary(ids)
	return m, err
}

func (m *wordLevel) tokenize(p piece, e *Encoding) error {
	if id, ok := m.ids[p.text]; ok {
		e.add(id, m.tokens[id], p.span(0, len(p.text)))
		return nil
	}
	id, err := m.unknownID(m.unk)
	if err == nil {
		e.add(id, m.unk, p.span(0, len(p.text)))
	}
	return err
}
