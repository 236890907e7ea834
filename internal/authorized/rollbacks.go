package authorized

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type rollbacks struct {
	*guard
	inner handlers.Rollbacks
}

// verbs say what each verb is. A verb that is not here is refused to everybody.
var verbs = map[handlers.Verb]access.Action{
	handlers.VerbHold:       access.ActionStop,
	handlers.VerbPause:      access.ActionStop,
	handlers.VerbRelease:    access.ActionGoOn,
	handlers.VerbResume:     access.ActionGoOn,
	handlers.VerbEscalate:   access.ActionGoOn,
	handlers.VerbAbort:      access.ActionGoOn,
	handlers.VerbResolve:    access.ActionGoOn,
	handlers.VerbBreakGlass: access.ActionBreakGlass,
	// Whoever could have approved looks at what was done without approval.
	handlers.VerbReview: access.ActionApprove,
}

// choices say what each vote is: a no only stops.
var choices = map[backout.Choice]access.Action{
	backout.ChoiceApprove: access.ActionApprove,
	backout.ChoiceDeny:    access.ActionStop,
}

// attemptOf is what [backout.AttemptID] adds to the rollback's id.
var attemptOf = regexp.MustCompile(`^\.L[0-9]+\.s[0-9]+\.t[0-9]+\.a[0-9]+$`)

// ListRollbacks implements [handlers.Rollbacks].
func (s *rollbacks) ListRollbacks(ctx context.Context, f handlers.RollbackFilter) ([]backout.Rollback, error) {
	if err := s.somewhere(ctx, reading(ctx, "ListRollbacks", "")); err != nil {
		return nil, err
	}
	list, err := s.inner.ListRollbacks(ctx, f)
	return slices.DeleteFunc(list, func(r backout.Rollback) bool { return !s.sees(ctx, names(r)) }), err
}

// Rollback implements [handlers.Rollbacks].
func (s *rollbacks) Rollback(ctx context.Context, id string) (backout.Rollback, error) {
	r, err := s.rollback(ctx, reading(ctx, "Rollback", id))
	if err != nil {
		return backout.Rollback{}, err
	}
	return r, nil
}

// RollbackLog implements [handlers.Rollbacks].
func (s *rollbacks) RollbackLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	if _, err := s.rollback(ctx, reading(ctx, "RollbackLog", id)); err != nil {
		return nil, err
	}
	return s.inner.RollbackLog(ctx, id)
}

// FollowRollback implements [handlers.Rollbacks].
func (s *rollbacks) FollowRollback(ctx context.Context, id string, from uint64, fn func(handlers.LogEntry) error) error {
	if _, err := s.rollback(ctx, reading(ctx, "FollowRollback", id)); err != nil {
		return err
	}
	return s.inner.FollowRollback(ctx, id, from, fn)
}

// StartRollback implements [handlers.Rollbacks].
func (s *rollbacks) StartRollback(ctx context.Context, by handlers.Actor, r handlers.StartRequest) (backout.Rollback, error) {
	w := want{by: by, action: access.ActionApprove, call: "StartRollback", on: r.ChangeID}
	if err := s.targets(ctx, w, r.Targets); err != nil {
		return backout.Rollback{}, err
	}
	return s.inner.StartRollback(ctx, by, r)
}

// Vote implements [handlers.Rollbacks].
func (s *rollbacks) Vote(ctx context.Context, by handlers.Actor, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error) {
	w := want{by: by, action: choices[choice], call: "Vote " + string(choice), on: id, askID: askID}
	if _, err := s.rollback(ctx, w); err != nil {
		return backout.Rollback{}, err
	}
	return s.inner.Vote(ctx, by, id, askID, choice, reason)
}

// Act implements [handlers.Rollbacks].
func (s *rollbacks) Act(ctx context.Context, by handlers.Actor, id string, a handlers.Action) (backout.Rollback, error) {
	w := want{by: by, action: verbs[a.Verb], call: "Act " + string(a.Verb), on: id, askID: a.AskID}
	r, err := s.rollback(ctx, w)
	if err != nil {
		return backout.Rollback{}, err
	}
	a.Approver = s.judge(want{by: by, action: access.ActionApprove}, names(r)) == nil
	return s.inner.Act(ctx, by, id, a)
}

// StepOutput implements [handlers.Rollbacks].
func (s *rollbacks) StepOutput(ctx context.Context, rollbackID, attemptID string) ([]byte, error) {
	if _, err := s.rollback(ctx, reading(ctx, "StepOutput", rollbackID)); err != nil {
		return nil, err
	}
	// Outputs are kept by attempt alone, and this one might be another rollback's.
	if rest, ok := strings.CutPrefix(attemptID, rollbackID); !ok || !attemptOf.MatchString(rest) {
		return nil, fmt.Errorf("attempt %q of rollback %s: %w", attemptID, rollbackID, backout.ErrNotFound)
	}
	return s.inner.StepOutput(ctx, rollbackID, attemptID)
}
