package authorized

import (
	"context"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type insight struct {
	*guard
	inner handlers.Insight
}

// GateAnswer implements [handlers.Insight].
func (s *insight) GateAnswer(ctx context.Context, changeID string) (handlers.GateResult, error) {
	if _, err := s.change(ctx, reading(ctx, "GateAnswer", changeID)); err != nil {
		return handlers.GateResult{}, err
	}
	return s.inner.GateAnswer(ctx, changeID)
}

// RedHistory implements [handlers.Insight].
func (s *insight) RedHistory(ctx context.Context, changeID string) (handlers.RedHistory, error) {
	if _, err := s.change(ctx, reading(ctx, "RedHistory", changeID)); err != nil {
		return handlers.RedHistory{}, err
	}
	return s.inner.RedHistory(ctx, changeID)
}

// RollbackNotices implements [handlers.Insight].
func (s *insight) RollbackNotices(ctx context.Context, rollbackID string) ([]handlers.NoticeStatus, error) {
	if _, err := s.rollback(ctx, reading(ctx, "RollbackNotices", rollbackID)); err != nil {
		return nil, err
	}
	return s.inner.RollbackNotices(ctx, rollbackID)
}

// Offered implements [handlers.Insight]: what the core would take, and the actor's roles
// allow. It refuses nothing, so nobody is told.
func (s *insight) Offered(ctx context.Context, by handlers.Actor, r backout.Rollback) []handlers.Offer {
	targets := names(r)
	return slices.DeleteFunc(s.inner.Offered(ctx, by, r), func(o handlers.Offer) bool {
		action, vote := choices[backout.Choice(o.Answer)]
		if !vote {
			action = verbs[handlers.Verb(o.Answer)]
		}
		if r.HeldCause == backout.HoldNobody && (o.Answer == string(handlers.VerbRelease) || o.Answer == string(handlers.VerbEscalate)) {
			action = access.ActionApprove // whoever lets a level begin says yes in place of a group
		}
		return s.judge(want{by: by, action: action}, targets) != nil
	})
}

// Examine implements [handlers.Insight]. It is about the server as a whole, and has it
// reach other systems.
func (s *insight) Examine(ctx context.Context, by handlers.Actor) ([]handlers.Health, error) {
	if err := s.everywhere(ctx, want{by: by, action: access.ActionLook, call: "Examine"}); err != nil {
		return nil, err
	}
	return s.inner.Examine(ctx, by)
}

// Watch implements [handlers.Insight]. It tells that something has changed, and not
// what.
func (s *insight) Watch(fn func()) (stop func()) { return s.inner.Watch(fn) }
