package recorded

import (
	"context"
	"iter"
	"time"

	"github.com/backout-io/backout/internal/replay"
)

// History is one that is open for one run.
type History struct {
	// Past are the changes and what became of them, as far as the history has them.
	Past replay.Past
	// Alerts may be ranged over once.
	Alerts iter.Seq2[replay.Delivery, error]
	// Notes are what people should know of it; they are complete once Alerts has
	// ended.
	Notes func() []string
	// Close frees what the history holds. It may be called at any time.
	Close func()
}

// Opener opens a history, each time from its beginning.
type Opener func(ctx context.Context) (*History, error)

// steady keeps times from going backwards where that says nothing: clocks of several
// servers differ, and a message that is repeated has the times of the first.
type steady struct{ last time.Time }

func (s *steady) at(t time.Time) time.Time {
	if t.Before(s.last) {
		return s.last
	}
	s.last = t
	return t
}
