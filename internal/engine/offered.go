package engine

import (
	"context"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
)

// Offered implements [handlers.Insight]. It asks the core itself, so that what is offered
// and what is taken cannot differ.
func (e *Engine) Offered(ctx context.Context, by handlers.Actor, r backout.Rollback) []handlers.Offer {
	o := offering{e: e, by: by, r: r, at: time.Now().UTC()}
	const reason = "a reason"
	hold := rollback.Input(rollback.Hold{By: by.Name, Reason: reason})
	ask := ""
	if r.Ask != nil {
		ask = r.Ask.ID
		hold = rollback.About{AskID: ask, Vote: o.vote("hold"), Do: hold}
	}
	o.try(handlers.Offer{Answer: string(handlers.VerbHold), AskID: ask}, hold)
	// Whose roles it takes to say yes in place of a group is asked outside.
	release := rollback.Release{By: by.Name, Reason: reason, Approver: true}
	if next := r.NextUp(); r.HeldCause == backout.HoldNobody && next < len(r.Frozen.Plan.Levels) {
		release.Level = r.Frozen.Plan.Levels[next].Name
	}
	o.try(handlers.Offer{Answer: string(handlers.VerbRelease)}, release)
	if !r.PausedAt.IsZero() && e.resumable(ctx) == nil {
		o.try(handlers.Offer{Answer: string(handlers.VerbResume)}, rollback.Resume{By: by.Name})
	}
	if ask != "" {
		o.votes(ask)
	}
	o.doubts()
	o.try(handlers.Offer{Answer: string(handlers.VerbEscalate), AskID: ask}, rollback.Escalate{By: by.Name, Reason: reason, Approver: true})
	o.try(handlers.Offer{Answer: string(handlers.VerbPause)}, rollback.Pause{By: by.Name, Reason: reason})
	o.try(handlers.Offer{Answer: string(handlers.VerbAbort)}, rollback.Abort{By: by.Name, Reason: reason})
	if ask != "" {
		o.try(handlers.Offer{Answer: string(handlers.VerbBreakGlass), AskID: ask}, rollback.BreakGlass{AskID: ask, Vote: o.vote("")})
	}
	for _, v := range r.Reviews {
		o.try(handlers.Offer{Answer: string(handlers.VerbReview), AskID: v.AskID}, rollback.Review{AskID: v.AskID, By: by.Name, Reason: reason})
	}
	return o.out
}

// offering finds out what the core would take.
type offering struct {
	e   *Engine
	by  handlers.Actor
	r   backout.Rollback
	at  time.Time
	out []handlers.Offer
}

func (o *offering) vote(choice backout.Choice) backout.Vote {
	return o.e.voteOf(o.by, &o.r, choice, "a reason")
}

// votes offers the answers to the question. One that only wants a fresher login is
// offered too, and says so.
func (o *offering) votes(ask string) {
	approve := handlers.Offer{Answer: string(backout.ChoiceApprove), AskID: ask}
	v := o.vote(backout.ChoiceApprove)
	if !o.try(approve, rollback.Vote{AskID: ask, Vote: v}) {
		v.LoginAt = o.at
		approve.FreshLogin = true
		o.try(approve, rollback.Vote{AskID: ask, Vote: v})
	}
	o.try(handlers.Offer{Answer: string(backout.ChoiceDeny), AskID: ask}, rollback.Vote{AskID: ask, Vote: o.vote(backout.ChoiceDeny)})
}

// doubts offers to resolve each attempt in doubt.
func (o *offering) doubts() {
	for _, t := range o.r.Targets {
		if t.Phase != backout.TargetInDoubt || t.Attempt == nil {
			continue
		}
		o.try(handlers.Offer{Answer: string(handlers.VerbResolve), AttemptID: t.Attempt.ID, Target: t.Name},
			rollback.Resolve{AttemptID: t.Attempt.ID, Verdict: rollback.DoubtFailed, By: o.by.Name})
	}
}

// try offers it when the core would take it.
func (o *offering) try(offer handlers.Offer, in rollback.Input) bool {
	events, err := rollback.Decide(o.r, o.at, in)
	if err != nil || rollback.Refusal(events) != nil {
		return false
	}
	o.out = append(o.out, offer)
	return true
}
