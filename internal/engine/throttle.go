package engine

import (
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/trigger"
)

// throttles keep the book of what rules with a throttle have seen and done.
type throttles struct {
	mu   sync.Mutex
	book *trigger.Book
}

func newThrottles() *throttles { return &throttles{book: trigger.NewBook()} }

func (t *throttles) decide(c trigger.Case) trigger.Next {
	t.mu.Lock()
	defer t.mu.Unlock()
	return trigger.Decide(c, t.book)
}

// throttleOf is the throttle of the rule as the config has it now.
func (e *Engine) throttleOf(string) backout.Throttle { return backout.Throttle{} }
