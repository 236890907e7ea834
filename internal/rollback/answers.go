package rollback

import (
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// decided closes the open question and remembers what became of it.
func decided(r *backout.Rollback, at time.Time, done backout.Decided) {
	done.At = at
	if ask := r.Ask; ask != nil {
		done.Level, done.Refused, done.Groups, done.Members = ask.Level, ask.Refused, ask.Policy.Groups, ask.Members
		for _, v := range ask.Votes {
			if v.Members != "" && ask.Members == "" { // else one person's word let it begin
				done.Members = v.Members
			}
		}
	}
	r.Ask, r.Decided = nil, &done
}

func applyAnswer(r *backout.Rollback, at time.Time, e backout.Event) {
	switch e := e.(type) {
	case backout.VoteRefused:
		refusedOne(r, e.AskID)
	case backout.ApprovalVoided:
		done := backout.Decided{AskID: e.AskID, Level: e.Level, Outcome: "voided", Reason: e.Reason}
		if e.Entered {
			if r.Decided != nil && r.Decided.AskID == e.AskID {
				done.Refused = r.Decided.Refused
			}
			takeBack(r)
		}
		decided(r, at, done)
	case backout.GlassBroken:
		withAsk(r, e.AskID, func(ask *backout.Ask) { ask.Members = e.Members })
		r.Reviews = append(slices.Clone(r.Reviews), backout.Review{AskID: e.AskID, Level: e.Level, By: e.By, Reason: e.Reason, At: at})
	case backout.Reviewed:
		r.Reviews = slices.Clone(r.Reviews)
		for i := range r.Reviews {
			if v := &r.Reviews[i]; v.AskID == e.AskID && v.ReviewedBy == "" {
				v.ReviewedBy, v.ReviewedAt, v.Finding = e.By, at, e.Reason
			}
		}
	case backout.LastCall:
		withAsk(r, e.AskID, func(ask *backout.Ask) { ask.LastCallAt = at })
	case backout.ChannelsDown:
		withAsk(r, e.AskID, func(ask *backout.Ask) {
			ask.DownAt, ask.DownReason = at, e.Reason
			ask.Downs++
		})
	case backout.ChannelsUp:
		withAsk(r, e.AskID, func(ask *backout.Ask) {
			ask.DownAt, ask.DownReason, ask.Deadline = time.Time{}, "", e.Deadline
		})
	}
}

func withAsk(r *backout.Rollback, id string, change func(*backout.Ask)) {
	if r.Ask != nil && r.Ask.ID == id {
		ask := *r.Ask
		change(&ask)
		r.Ask = &ask
	}
}

func refusedOne(r *backout.Rollback, id string) {
	withAsk(r, id, func(ask *backout.Ask) { ask.Refused++ })
	if r.Decided != nil && r.Decided.AskID == id {
		done := *r.Decided
		done.Refused++
		r.Decided = &done
	}
}

// takeBack undoes the entering of a level of which nothing has started: the rollback
// stands where it stood when it asked.
func takeBack(r *backout.Rollback) {
	g := r.Given
	if g == nil {
		return
	}
	status := backout.RollbackAwaiting
	if g.Before < 0 {
		status = backout.RollbackPending
	}
	if r.Status == backout.RollbackHeld {
		r.HeldStatus = status
	} else {
		r.Status = status
	}
	r.Level, r.LevelEnteredAt, r.LevelStartedAt, r.LevelDeadline = g.Before, g.BeforeEnteredAt, g.BeforeStartedAt, time.Time{}
	r.Overdue, r.EscalateBy, r.Given = false, "", nil
	for i := range r.Targets {
		t := &r.Targets[i]
		if t.Phase == backout.TargetRecovered {
			continue
		}
		t.Phase, t.Step, t.Failure = backout.TargetWaiting, 0, ""
		if g.Before < 0 {
			t.Attempt = nil // nothing has ever been tried here
		}
	}
}
