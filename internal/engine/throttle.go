package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/trigger"
)

// throttles keep the book of what rules with a throttle have seen and done.
type throttles struct {
	mu   sync.Mutex
	book *trigger.Book
	// whole is set once the book knows of every change what rules did to it.
	whole atomic.Bool
}

func newThrottles() *throttles { return &throttles{book: trigger.NewBook()} }

// matched notes a match, for rules that count them.
func (t *throttles) matched(c trigger.Case) {
	if c.Throttle.AtLeast <= 1 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.book.Matched(c)
}

func (t *throttles) decide(c trigger.Case) trigger.Next {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := trigger.Decide(c, t.book)
	if next.Do == trigger.Open && acrossChanges(c.Throttle) && !t.whole.Load() {
		return trigger.Next{Do: trigger.Nothing, Stopped: "once_within: what the rule did to other changes is still being read", Moot: true}
	}
	return next
}

// acrossChanges tells whether what a rule may do depends on other changes than the
// one it speaks of.
func acrossChanges(t backout.Throttle) bool { return t.Per == backout.PerRule && t.OnceWithin > 0 }

// acted notes what rules have done to a change, as the change stands.
func (t *throttles) acted(c *backout.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range c.Rollbacks {
		ref := &c.Rollbacks[i]
		v := backout.Verdict{Rule: ref.Rule, ChangeID: c.ID}
		switch {
		case ref.Rule == "":
		case ref.Status == backout.RollbackCancelled:
			t.book.Cancelled(v, ref.StartAt, ref.RequestedAt)
		default:
			t.book.Acted(v, ref.StartAt, ref.RequestedAt)
		}
	}
}

func (t *throttles) forget(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.book.Forget(now)
}

// recallMatches tells the book of the matches that the logs of live changes hold.
func (e *Engine) recallMatches(now time.Time) {
	counts := map[string]backout.Throttle{}
	for _, rule := range e.cfg().Rules.Rules() {
		if rule.Throttle.AtLeast > 1 {
			counts[rule.Name] = rule.Throttle
		}
	}
	given := e.world.given(func(rule string) bool { return counts[rule].AtLeast > 1 })
	e.throttles.mu.Lock()
	defer e.throttles.mu.Unlock()
	for _, v := range given {
		e.throttles.book.Recall(v, counts[v.Rule], v.At, now)
	}
}
