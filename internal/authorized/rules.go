package authorized

import (
	"context"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type rules struct {
	*guard
	inner handlers.Rules
}

// ListRules implements [handlers.Rules]. Rules are of no target: whoever may read
// anything may read them.
func (s *rules) ListRules(ctx context.Context) ([]handlers.RuleStatus, error) {
	if err := s.somewhere(ctx, reading(ctx, "ListRules", "")); err != nil {
		return nil, err
	}
	return s.inner.ListRules(ctx)
}

// Explain implements [handlers.Rules]. The answer tells of every change that it is
// about, and of alerts that came in: who does not read everywhere gives the alert,
// and names changes that they may read.
func (s *rules) Explain(ctx context.Context, r handlers.ExplainRequest) (handlers.Explained, error) {
	w := reading(ctx, "Explain", r.Fingerprint)
	if r.Alert == nil || r.Fingerprint != "" || len(r.ChangeIDs) == 0 {
		if err := s.everywhere(ctx, w); err != nil {
			return handlers.Explained{}, err
		}
	}
	for _, id := range r.ChangeIDs {
		w.on = id
		if _, err := s.change(ctx, w); err != nil {
			return handlers.Explained{}, err
		}
	}
	return s.inner.Explain(ctx, r)
}

// everyAlert is more than fire at once anywhere.
const everyAlert = 1 << 30

// RedAlerts implements [handlers.Rules].
func (s *rules) RedAlerts(ctx context.Context, most int) ([]handlers.RedAlert, int, error) {
	w := reading(ctx, "RedAlerts", "")
	if err := s.somewhere(ctx, w); err != nil {
		return nil, 0, err
	}
	if s.judge(w, nil) == nil {
		return s.inner.RedAlerts(ctx, most)
	}
	list, _, err := s.inner.RedAlerts(ctx, everyAlert)
	list = slices.DeleteFunc(list, func(a handlers.RedAlert) bool { return !s.sees(ctx, []string{a.Target}) })
	return list[:min(len(list), most)], len(list), err
}

// PromoteRule implements [handlers.Rules]. A rule is about every target.
func (s *rules) PromoteRule(ctx context.Context, by handlers.Actor, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	if err := s.everywhere(ctx, want{by: by, action: access.ActionRule, call: "PromoteRule", on: rule}); err != nil {
		return handlers.RuleStatus{}, err
	}
	return s.inner.PromoteRule(ctx, by, rule, p)
}

// JudgeRule implements [handlers.Rules].
func (s *rules) JudgeRule(ctx context.Context, by handlers.Actor, changeID, rule string, j backout.Judgement) (backout.Change, error) {
	if _, err := s.change(ctx, want{by: by, action: access.ActionRule, call: "JudgeRule " + rule, on: changeID}); err != nil {
		return backout.Change{}, err
	}
	return s.inner.JudgeRule(ctx, by, changeID, rule, j)
}

// History implements [handlers.Rules]. It holds every alert that came in.
func (s *rules) History(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) error {
	if err := s.everywhere(ctx, reading(ctx, "History", "")); err != nil {
		return err
	}
	return s.inner.History(ctx, since, until, fn)
}
