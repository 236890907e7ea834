package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// ListRules implements [handlers.Rules].
func (e *Engine) ListRules(ctx context.Context) ([]handlers.RuleStatus, error) {
	if err := e.allCounted(ctx); err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	all := e.cfg().Rules.Rules()
	out := make([]handlers.RuleStatus, len(all))
	for i, r := range all {
		out[i] = e.ruleStatus(r)
	}
	return out, nil
}

// allCounted waits until the scores are those of everything that has happened.
func (e *Engine) allCounted(ctx context.Context) error {
	if !e.sole {
		e.changes.catchUp(ctx)
	}
	return e.scores.await(ctx)
}

func (e *Engine) ruleStatus(r rules.Rule) handlers.RuleStatus {
	s := handlers.RuleStatus{
		Rule: r.Name, Group: r.Group, File: r.File, Line: r.Line, Match: r.Match, When: r.When, TargetLabel: r.TargetLabel,
		Hash: r.Hash, FileMode: r.Mode, Throttle: r.Throttle,
	}
	s.Score, s.LastVerdict = e.scores.of(r.Name, r.Hash)
	s.Mode, s.Why, s.Promotion = e.earned(r)
	s.History = slices.Clone(e.grants.of(r.Name).History)
	return s
}

// promoteTries is how often a promotion is tried when others promote the same rule.
const promoteTries = 10

// PromoteRule implements [handlers.Rules].
func (e *Engine) PromoteRule(ctx context.Context, by handlers.Actor, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	fail := func(err error) (handlers.RuleStatus, error) {
		return handlers.RuleStatus{}, fmt.Errorf("promote rule %s: %w", rule, err)
	}
	if err := e.allCounted(ctx); err != nil {
		return fail(err)
	}
	for range promoteTries {
		r, ok := e.cfg().Rules.Rule(rule)
		switch {
		case !ok:
			return fail(fmt.Errorf("the config has no such rule: %w", backout.ErrNotFound))
		case p.Hash != "" && p.Hash != r.Hash:
			return fail(fmt.Errorf("%w: what the rule says is %s now, not %s: look at it again", backout.ErrConflict, r.Hash, p.Hash))
		}
		known, err := e.readGrant(ctx, rule)
		if err != nil {
			return fail(err)
		}
		promoted, err := e.promotion(r, p)
		if err != nil {
			return fail(err)
		}
		if now := known.stands(); now != nil && now.Mode == promoted.Mode && now.Hash == promoted.Hash && now.Lowered == promoted.Lowered {
			return e.ruleStatus(r), nil
		}
		promoted.By, promoted.Reason, promoted.At = by.Name, strings.TrimSpace(p.Reason), time.Now().UTC()
		err = e.keepGrant(ctx, rule, known, promoted)
		switch {
		case err == nil:
			e.log.Info("rule promoted", "rule", rule, "mode", promoted.Mode, "lowered", promoted.Lowered, "by", promoted.By, "reason", promoted.Reason,
				"hash", promoted.Hash, "agreed", promoted.Score.Agreed, "disagreed", promoted.Score.Disagreed)
			return e.ruleStatus(r), nil
		case !errors.Is(err, backout.ErrConflict):
			return fail(err)
		}
	}
	return fail(fmt.Errorf("others keep promoting it: %w", backout.ErrUnavailable))
}

// promotion is what is written down of a promotion that the policy allows.
func (e *Engine) promotion(r rules.Rule, p handlers.Promotion) (handlers.Promoted, error) {
	policy := e.cfg().Promotion
	now, _, _ := e.earned(r)
	score, _ := e.scores.of(r.Name, r.Hash)
	standing := trigger.Standing{File: r.Mode, Now: now, Agreed: score.Agreed, Disagreed: score.Disagreed}
	if why := trigger.Refusal(p.Mode, standing, policy); why != "" {
		return handlers.Promoted{}, fmt.Errorf("%w: %s", backout.ErrRefused, why)
	}
	return handlers.Promoted{
		Mode: p.Mode, Hash: r.Hash, Score: score,
		// Where no promotion is required, any that is less than the file holds it down.
		Lowered: less(p.Mode, r.Mode) && (!policy.Required || p.Mode == backout.ModeShadow || less(p.Mode, now)),
	}, nil
}

func less(a, b backout.Mode) bool { return !trigger.Lowers(b, a) }

// keepGrant puts the promotion before those known, if no other has come.
func (e *Engine) keepGrant(ctx context.Context, rule string, known grant, p handlers.Promoted) error {
	d := ruleDocument{History: append([]handlers.Promoted{p}, known.History...)}
	d.History = d.History[:min(len(d.History), historyKept)]
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if _, err = e.store.Control.PutRule(ctx, rule, data, known.revision); err != nil {
		return err
	}
	_, err = e.readGrant(ctx, rule)
	return err
}

// JudgeRule implements [handlers.Rules].
func (e *Engine) JudgeRule(ctx context.Context, by handlers.Actor, changeID, rule string, j backout.Judgement) (backout.Change, error) {
	if !e.sole {
		e.changes.catchUp(ctx) // the verdict may be another server's
	}
	return e.knownChange(ctx, by, changeID, change.JudgeRule{Rule: rule, Agree: j.Agree, Reason: strings.TrimSpace(j.Reason)})
}
