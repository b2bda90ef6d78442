// Package gpu runs the scripts of a machine with a GPU (cuda/*.sh, cuda/bench/*.py)
// over stand-ins for the tools and programs that they call: which parts run, what
// a failure or a missing tool says, and what ends in which file.
package gpu
