package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/told"
)

// Change is one change: what it is, where it stands, what happens next, and everything
// that has happened to it.
type Change struct {
	Change backout.Change
	// Next is what happens next.
	Next Upcoming
	// Local is the window in its own time zone; empty where it names none, or UTC.
	Local string
	// Alerts is when its targets were red, nil before its window opened; AlertsUnknown
	// says why that is not known, and AlertsCut what is missing.
	Alerts        Picture
	AlertsUnknown string
	AlertsCut     string
	// MoreAlerts is how many targets have no row, MoreRed how many of them were red.
	MoreAlerts, MoreRed int
	// Rollbacks are the newest of it that may be seen; MoreRollbacks is how many more
	// there are.
	Rollbacks     []Card
	MoreRollbacks int
	// Targets are the first of it; MoreTargets is how many more there are.
	Targets     []ChangeTarget
	MoreTargets int
	// Verdicts are the newest of what rules said of it; MoreVerdicts is how many more
	// there are.
	Verdicts     []backout.Verdict
	MoreVerdicts int
	// Timeline are the newest records of its log and of its rollbacks' logs; Older is how
	// many more there are, and AllOf how many can be asked for. TimelineUnknown says what
	// is missing.
	Timeline        []Happened
	Older           int
	AllOf           int
	TimelineUnknown string
}

// ChangeTarget is what is known of one target of a change.
type ChangeTarget struct {
	Name string
	// Baseline and Delta are digests; empty while there is none.
	Baseline, Delta string
	// Says says in a few words what the patch changed.
	Says string
	// Patched is when patching of it was over.
	Patched time.Time
	// Hidden tells that whoever looks may not see it.
	Hidden bool
}

// Found is how many rollbacks of it may be seen: its own list has the others too.
func (c Change) Found() int { return len(c.Rollbacks) + c.MoreRollbacks }

// Page implements [Content].
func (Change) Page() string { return "change" }

// Title implements [Content].
func (c Change) Title() string { return c.Change.ID + ": " + Word(c.Change.State) }

// Tone is how bad things are, for the browser's tab.
func (c Change) Tone() string {
	if len(c.Change.NotReady) > 0 {
		return bad
	}
	return ToneOf(c.Change.State)
}

// Standing is what the gate's last word is worth.
func (c Change) Standing() Standing { return StandingOf(&c.Change) }

// changeReasons is how many different reasons of the gate stand on the page of a change.
const changeReasons = 8

// Broken are the reasons why the way back would not work any more.
func (c Change) Broken() Reasons { return Together(c.Change.NotReady, changeReasons) }

// Refused are the gate's last reasons for a no, while they count.
func (c Change) Refused() Reasons {
	if c.Change.State != backout.ChangePlanned {
		return Reasons{}
	}
	return Together(c.Change.Violations, changeReasons)
}

// Answered is when the gate answered last; zero when it never did.
func (c Change) Answered() time.Time {
	if c.Change.AnsweredAt.IsZero() {
		return c.Change.GateAt // a log of an old release
	}
	return c.Change.AnsweredAt
}

// Begins and Ends bound the time in which alerts count.
func (c Change) Begins() time.Time { return BeginOf(&c.Change) }

// Ends is when alerts stop counting.
func (c Change) Ends() time.Time { return EndOf(&c.Change) }

// Record is its record in the ITSM system, where a label names one.
func (c Change) Record() string { return c.Change.Labels[backout.LabelRecord] }

// Labels are its other labels, sorted.
func (c Change) Labels() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Change.Labels)) {
		if name != backout.LabelRecord {
			out = append(out, name+"="+c.Change.Labels[name])
		}
	}
	return out
}

// Levels are those of its frozen plan, in words.
func (c Change) Levels() []LevelSaid {
	if c.Change.Frozen == nil {
		return nil
	}
	levels := c.Change.Frozen.Plan.Levels
	out := make([]LevelSaid, len(levels))
	for i := range levels {
		out[i] = sayLevel(levels, i)
	}
	return out
}

// LevelSaid is a level of a plan in words.
type LevelSaid struct {
	Name, Summary string
	// Does are its steps, Starts what it takes to start it, Then what follows when its
	// time is up.
	Does, Starts, Then string
	// Loses is what it destroys; empty when it destroys nothing.
	Loses string
}

func sayLevel(levels []backout.Level, i int) LevelSaid {
	l := &levels[i]
	out := LevelSaid{Name: l.Name, Summary: l.Summary, Does: strings.Join(l.InWords(), ", then "), Loses: l.Loses}
	if l.Destructive && out.Loses == "" {
		out.Loses = "data written since the baseline"
	}
	switch l.Approval.Mode {
	case backout.ApprovalNone:
		out.Starts = "It starts by itself."
	case backout.ApprovalVeto:
		out.Starts = "It starts by itself, unless somebody holds it within " + l.Approval.Veto.String() + "."
	case backout.ApprovalRequired:
		out.Starts = "It needs " + told.Wanted(l.Approval) + "."
		if l.Approval.Expires > 0 {
			out.Starts = "It needs " + told.Wanted(l.Approval) + "; " + onSilence(l.Approval) + "."
		}
	}
	next := "the rollback is exhausted, and people must go on"
	if i+1 < len(levels) {
		next = levels[i+1].Name + " follows"
	}
	out.Then = fmt.Sprintf("It has %s; then %s.", l.EscalateAfter, next)
	return out
}

func onSilence(p backout.Approval) string {
	after := "if nobody answers within " + p.Expires.String() + ", "
	switch p.OnExpiry {
	case backout.ExpiryGo:
		return after + "it starts"
	case backout.ExpiryEscalate:
		return after + "the next level is asked for"
	case backout.ExpiryDeny:
	}
	return after + "the rollback is held"
}
