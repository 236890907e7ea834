package engine

import (
	"context"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
)

// scores count how rules have done, over all changes. What each change says is kept,
// so that one which moves costs no look at the others.
type scores struct {
	mu       sync.Mutex
	byChange map[string][]finding
	byRule   map[content]*handlers.RuleScore
	last     map[string]time.Time
	// counted is closed once the changes at rest are in it.
	counted chan struct{}
}

// content is a rule as it was written at some time.
type content struct{ rule, hash string }

// finding is what became of what a rule said of a change.
type finding struct {
	content
	outcome  change.Outcome
	byPerson bool
}

func newScores() *scores {
	return &scores{byChange: map[string][]finding{}, byRule: map[content]*handlers.RuleScore{}, last: map[string]time.Time{}, counted: make(chan struct{})}
}

// noteRules brings what is known of rules in step with a change as it stands now.
func (e *Engine) noteRules(id string) {
	e.scores.mu.Lock()
	defer e.scores.mu.Unlock()
	// Read with the lock held: of two that come at once the later state counts.
	c, ok := e.changes.get(id)
	if !ok || len(c.Rules) == 0 {
		return
	}
	e.throttles.acted(&c)
	e.scores.put(&c)
}

// put replaces what a change says. The caller holds s.mu.
func (s *scores) put(c *backout.Change) {
	for _, old := range s.byChange[c.ID] {
		s.count(old, -1)
	}
	list := make([]finding, 0, len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		outcome, byPerson := change.OutcomeOf(c, r)
		list = append(list, finding{content{r.Rule, r.Hash}, outcome, byPerson})
		if r.Last.After(s.last[r.Rule]) {
			s.last[r.Rule] = r.Last
		}
	}
	for _, now := range list {
		s.count(now, 1)
	}
	s.byChange[c.ID] = list
}

func (s *scores) count(one finding, n int) {
	score := s.byRule[one.content]
	if score == nil {
		score = &handlers.RuleScore{}
		s.byRule[one.content] = score
	}
	switch one.outcome {
	case change.Agreed:
		score.Agreed += n
	case change.Disagreed:
		score.Disagreed += n
	case change.Undecided:
		score.Open += n
	case change.Moot:
	}
	if one.byPerson {
		score.ByPeople += n
	}
}

// of is the score of a rule with this content, and when it matched last.
func (s *scores) of(rule, hash string) (score handlers.RuleScore, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.byRule[content{rule, hash}]; known != nil {
		score = *known
	}
	if n := score.Agreed + score.Disagreed; n > 0 {
		score.Precision = float64(score.Agreed) / float64(n)
	}
	return score, s.last[rule]
}

// countRules counts what the changes said that are there at the start. Those at rest
// must be unpacked, so they come later, in a goroutine of their own.
func (e *Engine) countRules() {
	e.changes.awake(func(id string, _ backout.Change) { e.noteRules(id) })
	e.spawn(func(ctx context.Context) {
		for _, id := range e.changes.resting() {
			if ctx.Err() != nil {
				return
			}
			e.noteRules(id)
		}
		e.throttles.whole.Store(true)
		close(e.scores.counted)
	})
}

// await waits until all changes are counted.
func (s *scores) await(ctx context.Context) error {
	select {
	case <-s.counted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
