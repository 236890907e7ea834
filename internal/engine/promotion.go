package engine

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// ListRules implements [handlers.Rules].
func (e *Engine) ListRules(context.Context) ([]handlers.RuleStatus, error) {
	return nil, fmt.Errorf("list rules: %w", backout.ErrUnavailable)
}

// PromoteRule implements [handlers.Rules].
func (e *Engine) PromoteRule(context.Context, handlers.Actor, string, handlers.Promotion) (handlers.RuleStatus, error) {
	return handlers.RuleStatus{}, fmt.Errorf("promote rule: %w", backout.ErrUnavailable)
}

// JudgeRule implements [handlers.Rules].
func (e *Engine) JudgeRule(context.Context, handlers.Actor, string, string, backout.Judgement) (backout.Change, error) {
	return backout.Change{}, fmt.Errorf("judge rule: %w", backout.ErrUnavailable)
}
