package graft

// part is a progress for one thing that is done; on may be nil.
func part(on func(what string, done, total int64), what string) func(done, total int64) {
	return func(done, total int64) {
		if on != nil {
			on(what, done, total)
		}
	}
}
