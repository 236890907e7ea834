package rollback

import (
	"time"

	"github.com/backout-io/backout"
)

// Input is what reaches a rollback: a runner's word, a person's, an alert's, or
// the clock's.
//
//sumtype:decl
type Input interface{ input() }

type (
	// Open begins a rollback. PausedBy is set when the pause switch is on.
	Open struct {
		Opened       backout.Opened
		PausedBy     string
		PausedReason string
	}
	// Tick says that time has passed. Unsure says that it is not known whether people can
	// be told of the question: nothing starts by their silence then.
	Tick struct{ Unsure bool }
	// Resolved says that no alert speaks for the rollback any more.
	Resolved struct{}
	// AlertSeen is an alert on a target of the rollback.
	AlertSeen struct{ Alert backout.AlertRef }
	// Claim is a runner's wish to start a requested attempt. Via and Boot are as in
	// [backout.StepStarted].
	Claim struct {
		AttemptID string
		Runner    string
		Via       string
		Boot      string
	}
	// TakeOver is a server's wish to look after an attempt whose server is gone.
	// From is who it thinks has it.
	TakeOver struct {
		AttemptID string
		Runner    string
		From      string
	}
	// Finished is the end of an attempt; Failure is empty when it went well.
	Finished struct {
		AttemptID string
		Outcome   backout.Outcome
		Failure   string
	}
	// Doubt says that nobody can know how an attempt ended.
	Doubt struct {
		AttemptID string
		Reason    string
	}
	// Resolve is a person's word on an attempt in doubt: happened, did_not or
	// failed.
	Resolve struct {
		AttemptID string
		Verdict   string
		By        string
	}
	// Checked is what the checks of a target say now. Drift is what a comparison
	// with its baseline found, when one was made; see [DriftWanted].
	Checked struct {
		Target string
		Green  bool
		Reason string
		Drift  *backout.DriftFound
	}
	// Vote answers the open question.
	Vote struct {
		AskID string
		Vote  backout.Vote
	}
	// Refused records a vote that was refused before it came here: by the role, or
	// because nobody knows whose account it is. Cause is one of forbidden, unmapped and
	// inactive.
	Refused struct {
		AskID  string
		Vote   backout.Vote
		Cause  string
		Reason string
	}
	// About is what somebody wants who has that question before them: nothing, once
	// another one or none is open. Vote names them, and what they want, for the log.
	About struct {
		AskID string
		Vote  backout.Vote
		Do    Input
	}
	// BreakGlass starts the asked level without the votes it needs. The vote's choice
	// is not looked at.
	BreakGlass struct {
		AskID string
		Vote  backout.Vote
	}
	// Review is what somebody else says of that; without AskID of the oldest that is
	// open. It is the only input that a rollback takes after its end.
	Review struct{ AskID, By, Reason string }
	// Approvers says who is in the groups of the question now; see [Bound] and
	// [backout.Vote.Members].
	Approvers struct{ AskID, Members string }
	// Reached says whether anybody can be told of the question; see [Watched].
	Reached struct {
		AskID string
		OK    bool
		Why   string
	}
	// Hold stops the rollback until it is released.
	Hold struct{ By, Reason string }
	// Release ends a hold; with Since only the one that began then. Where no group may approve a level, an approver lets it begin:
	// they name the Level, and Approver says that they have the role here.
	Release struct {
		By, Reason, Level string
		Approver          bool
		Since             time.Time
	}
	// Pause freezes the rollback.
	Pause struct{ By, Reason string }
	// Resume ends a pause; with Since only the one that began then.
	Resume struct {
		By    string
		Since time.Time
	}
	// Escalate leaves the level now; with From, which is a level's name, only that one. It
	// ends a hold: with Since only the one that began then, with Unheld none.
	Escalate struct {
		By, Reason, From string
		Approver, Unheld bool
		Since            time.Time
	}
	// Abort ends the rollback.
	Abort struct{ By, Reason string }
)

func (Open) input()       {}
func (Tick) input()       {}
func (Resolved) input()   {}
func (AlertSeen) input()  {}
func (Claim) input()      {}
func (TakeOver) input()   {}
func (Finished) input()   {}
func (Doubt) input()      {}
func (Resolve) input()    {}
func (Checked) input()    {}
func (Vote) input()       {}
func (Refused) input()    {}
func (About) input()      {}
func (BreakGlass) input() {}
func (Review) input()     {}
func (Approvers) input()  {}
func (Reached) input()    {}
func (Hold) input()       {}
func (Release) input()    {}
func (Pause) input()      {}
func (Resume) input()     {}
func (Escalate) input()   {}
func (Abort) input()      {}

// NextDeadline returns the earliest time at which a [Tick] would move the
// rollback, and false when only somebody's word can.
func NextDeadline(r backout.Rollback) (time.Time, bool) {
	if r.Status.Final() || r.Status == backout.RollbackHeld || r.Status == backout.RollbackAborting || !r.PausedAt.IsZero() {
		return time.Time{}, false
	}
	var next time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if r.Ask != nil {
		if r.Ask.DownAt.IsZero() {
			consider(r.Ask.Deadline)
			consider(lastCall(r.Ask))
		}
		consider(renewal(&r))
		first, _ := lapse(r.Ask)
		consider(first)
	} else if r.Status == backout.RollbackPending {
		consider(r.StartAfter)
	}
	consider(r.LevelEnds())
	if r.Status == backout.RollbackRunning && !r.Overdue && r.Given != nil {
		consider(r.Given.Until)
	}
	return next, !next.IsZero()
}

// GreenUntil is until when a green target must stay so. A look at or after it
// that is green brings the target back.
func GreenUntil(r backout.Rollback, t backout.TargetState) time.Time {
	return t.GreenSince.Add(time.Duration(r.Frozen.Plan.Verify.HoldFor))
}

// DriftWanted tells whether a green look at the target counts only with a
// comparison with its baseline: what has one is not back before, and what was found
// not to be back is red until another comparison says otherwise.
func DriftWanted(r backout.Rollback, t backout.TargetState, at time.Time) bool {
	if t.Baseline == "" {
		return false
	}
	return notBack(t.Drift) || !t.GreenSince.IsZero() && !at.Before(GreenUntil(r, t))
}

// DriftTime is how long a comparison of a target with its baseline may take. A late
// step's one chance is longer by it, or by its level's time where that is shorter.
const DriftTime = 2 * time.Minute

// notBack tells whether a comparison was made and says no. A verdict that is not
// known is a no.
func notBack(d *backout.DriftFound) bool {
	return d != nil && d.Verdict != backout.DriftNone && d.Verdict != backout.DriftSome
}

// Judged tells whether the checks of the target are wanted now: a level has been
// tried on it, nothing runs on it, and it is not back yet.
func Judged(r backout.Rollback, target string) bool {
	t := r.Target(target)
	if t == nil || r.Status.Final() || !r.PausedAt.IsZero() {
		return false
	}
	switch r.Status {
	case backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting:
		return judged(t)
	case backout.RollbackPending, backout.RollbackHeld, backout.RollbackAborting, backout.RollbackRecovered,
		backout.RollbackExhausted, backout.RollbackAborted, backout.RollbackCancelled:
		return false
	}
	return false
}

func judged(t *backout.TargetState) bool {
	if t.Attempt == nil {
		return false
	}
	switch t.Phase {
	case backout.TargetDone, backout.TargetFailed:
		return true
	case backout.TargetWaiting:
		// Between two steps of a level nothing is judged; between two levels it is.
		return t.Step == 0
	case backout.TargetRunning, backout.TargetInDoubt, backout.TargetRecovered:
		return false
	}
	return false
}
