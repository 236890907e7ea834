// Package view turns what the server said into what people read: tables, the
// live tree of a rollback, one line an event. It is pure: the same input gives
// the same text, now is an input, and nothing is written anywhere.
//
// Every text that came from outside passes through [Clean], or [CleanLines] for
// a step's output, before it reaches a line: names, labels and reasons are
// hostile until proven otherwise.
package view
