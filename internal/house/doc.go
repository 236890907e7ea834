// Package house holds the rules this project is built by, as tests: which
// package may import which, what the pure packages may touch, who owns which
// library, what must be documented, how long things may get.
//
// The rules look at import paths and syntax trees, not at habits, and each
// failure says what to do. A rule that stands in the way of something good is
// changed here, in the open, with the change that needs it.
package house
