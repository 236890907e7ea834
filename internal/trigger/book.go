package trigger

import (
	"time"

	"github.com/backout-io/backout"
)

// Book remembers what throttles need: which alerts matched when, and when rules
// acted.
type Book struct{}

// NewBook returns an empty book.
func NewBook() *Book { return &Book{} }

// Matched notes that a rule with a throttle matched.
func (b *Book) Matched(backout.Verdict, backout.Throttle, time.Time) {}

// Acted notes that a rollback was opened for the verdict at a level.
func (b *Book) Acted(backout.Verdict, int, time.Time) {}

// Forget drops what is of no use any more at the time.
func (b *Book) Forget(time.Time) {}

func (b *Book) stops(Case) string { return "" }

func (b *Book) latched(Case, int) string { return "" }
