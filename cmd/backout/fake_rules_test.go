package main

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// ListRules knows Red, which may ask, and Evil.
func (f *fake) ListRules(context.Context) ([]handlers.RuleStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	red := handlers.RuleStatus{Rule: "Red", Hash: "01", FileMode: backout.ModeAuto, Mode: backout.ModeAsk, Why: "it was promoted to ask by ana, no further", Score: handlers.RuleScore{Agreed: 3, Disagreed: 1, Precision: 0.75}}
	red.History = []handlers.Promoted{{Mode: backout.ModeAsk, By: "ana", Reason: "right so far", At: epoch, Hash: "01"}}
	red.Promotion = &red.History[0]
	return []handlers.RuleStatus{red, {Rule: "Evil", Hash: "02", FileMode: backout.ModeShadow, Mode: backout.ModeShadow, Why: evil}}, nil
}

// PromoteRule refuses auto.
func (f *fake) PromoteRule(ctx context.Context, by handlers.Actor, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	list, _ := f.ListRules(ctx)
	switch {
	case rule != "Red":
		return handlers.RuleStatus{}, fmt.Errorf("promote rule %s: the config has no such rule: %w", rule, backout.ErrNotFound)
	case p.Hash != "" && p.Hash != "01":
		return handlers.RuleStatus{}, fmt.Errorf("promote rule Red: %w: look at it again", backout.ErrConflict)
	case p.Mode == backout.ModeAuto:
		return handlers.RuleStatus{}, fmt.Errorf("promote rule Red: %w: 3 changes agreed with it, the policy wants 20", backout.ErrRefused)
	}
	red := list[0]
	red.Mode, red.Why = p.Mode, by.Name+" lets it do no more than "+string(p.Mode)
	red.Promotion = &handlers.Promoted{Mode: p.Mode, Lowered: true, By: by.Name, Reason: p.Reason, At: time.Now(), Hash: "01"}
	return red, nil
}

// JudgeRule judges what Red said of CHG-OLD.
func (f *fake) JudgeRule(_ context.Context, by handlers.Actor, id, rule string, j backout.Judgement) (backout.Change, error) {
	if id != "CHG-OLD" || rule != "Red" {
		return backout.Change{}, fmt.Errorf("judge rule on change %s: rule %s has said nothing of it: %w", id, rule, backout.ErrNotFound)
	}
	return f.change(id, func(c *backout.Change) error {
		j.By = by.Name
		c.Rules = []backout.RuleRecord{{Rule: "Red", Mode: backout.ModeAsk, Last: epoch, Targets: []string{"web-01"}, Judged: &j}}
		return nil
	})
}

func (f *fake) Explain(context.Context, handlers.ExplainRequest) (handlers.Explained, error) {
	return handlers.Explained{}, backout.ErrUnavailable
}

func (f *fake) History(context.Context, time.Time, time.Time, func(handlers.HistoryEntry) error) error {
	return backout.ErrUnavailable
}

func (f *fake) RedAlerts(context.Context, int) ([]handlers.RedAlert, int, error) {
	return nil, 0, backout.ErrUnavailable
}
