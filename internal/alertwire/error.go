package alertwire

import (
	"strconv"

	"github.com/backout-io/backout"
)

// Kind says what sort of mistake an [Error] is.
type Kind int

// The kinds.
const (
	// Syntax is a body that is not JSON.
	Syntax Kind = iota
	// Shape is JSON that is not what the interface takes.
	Shape
	// Missing is a field that must be there.
	Missing
	// TooMany is more than one request may hold: see [MaxAlerts].
	TooMany
)

// Error says what is wrong with a body, and where.
type Error struct {
	Kind Kind
	// Path is where it is in the document ("alerts[3].labels"); empty means the
	// body itself.
	Path string
	// Offset counts bytes from the start of the body.
	Offset int
	// What says what is wrong.
	What string
}

// Error writes "alerts[3].labels: must be an object (at byte 210)".
func (e *Error) Error() string {
	text := e.What + " (at byte " + strconv.Itoa(e.Offset) + ")"
	if e.Path == "" {
		return text
	}
	return e.Path + ": " + text
}

// Unwrap makes errors.Is(err, backout.ErrInvalid) true.
func (*Error) Unwrap() error { return backout.ErrInvalid }

// under puts the error below a field.
func (e *Error) under(field string) *Error {
	switch {
	case e == nil:
		return nil
	case e.Path == "" || e.Path[0] == '[':
		e.Path = field + e.Path
	default:
		e.Path = field + "." + e.Path
	}
	return e
}

// underIndex puts the error below an element of an array.
func (e *Error) underIndex(i int) *Error {
	return e.under("[" + strconv.Itoa(i) + "]")
}

// quote shows the start of a text from the body.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
