// Package link is a module of its own that uses graft as another program
// would: through its import path and its exported names only.
package link
