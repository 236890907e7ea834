package app

import (
	"context"
	"errors"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/authorized"
)

// forbidden records a vote that its voter's roles do not allow in the rollback's log:
// what was refused is evidence too.
func (a *App) forbidden(ctx context.Context, r authorized.Refusal) {
	if r.AskID == "" {
		return
	}
	choice := backout.ChoiceApprove
	if r.Action == access.ActionStop {
		choice = backout.ChoiceDeny
	}
	a.recordRefused(ctx, r.By, r.On, r.AskID, choice, backout.RefusalForbidden, r.Err.Error())
}

// recordRefused does not fail the answer: the refusal stands whether it is recorded or
// not, and the log of the server has it anyway.
func (a *App) recordRefused(ctx context.Context, by handlers.Actor, id, askID string, choice backout.Choice, cause, why string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := a.engine.VoteRefused(ctx, by, id, askID, choice, cause, why)
	if err != nil && !errors.Is(err, backout.ErrNotFound) && !errors.Is(err, backout.ErrStale) && !errors.Is(err, backout.ErrFinal) {
		a.o.Log.WarnContext(ctx, "refused vote not recorded", "rollback_id", id, "ask_id", askID, "by", by.Name, "error", err)
	}
}
