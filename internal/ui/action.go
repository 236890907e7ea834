package ui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Action is something that may be done to a rollback.
type Action struct {
	// Key names it on the page.
	Key string
	// Label is what the button says, Tone how it looks: safe, go or bad.
	Label, Tone string
	// Ask puts it behind a second press: Says is what follows from it, Warning what it
	// costs.
	Ask     bool
	Says    string
	Warning string
	// Must tells that it needs a reason.
	Must bool
	// FreshLogin tells that it needs a login anew first.
	FreshLogin bool
	// Typed is the reason that was typed for it and refused.
	Typed string
	// AskID and AttemptID are what it is about; Level the level that was seen.
	AskID, AttemptID string
	Level            string
	// Since is when the hold or pause that it ends began; "none" where it ends a hold only
	// if one stands, and none does.
	Since   string
	Choices []Choice
}

// Choice is one button of an action.
type Choice struct{ Answer, Label, Tone string }

// Offer is what the server says that somebody may do.
type Offer struct {
	Answer, AskID, AttemptID, Target string
	FreshLogin                       bool
}

// Offer puts offers into words, what only stops first: it is the nearest.
func (c *Card) Offer(offers []Offer) {
	for _, o := range offers {
		if a, ok := c.action(o); ok {
			a.AskID, a.AttemptID, a.FreshLogin = o.AskID, o.AttemptID, o.FreshLogin
			if o.AskID != "" && !strings.HasSuffix(a.Key, o.AskID) {
				// Another question is another form: an open page must not put it under what
				// somebody is typing for this one.
				a.Key += "-" + o.AskID
			}
			if i := c.Rollback.Leaves(); i >= 0 && i < len(c.Rollback.Frozen.Plan.Levels) && o.Answer == "escalate" {
				a.Level = c.Rollback.Frozen.Plan.Levels[i].Name // a second press must not leave the level after it too
				a.Key += "-" + a.Level
			}
			if since := c.stopped(o.Answer); o.Answer == "escalate" && since.IsZero() {
				a.Since = "none"
			} else if !since.IsZero() {
				a.Since = since.UTC().Format(time.RFC3339Nano) // nobody ends a later stop than the one they have read of
				a.Key += "-" + strconv.FormatInt(since.UnixNano(), 36)
			}
			if a.Choices == nil {
				a.Choices = []Choice{{o.Answer, a.Label, a.Tone}}
			}
			c.Actions = append(c.Actions, a)
		}
	}
}

// stopped is when the stop began that the answer ends; zero where none stands, and for any
// other answer.
func (c *Card) stopped(answer string) time.Time {
	switch answer {
	case "release", "escalate":
		return c.Rollback.HeldAt
	case "resume":
		return c.Rollback.PausedAt
	}
	return time.Time{}
}

func (c *Card) action(o Offer) (Action, bool) {
	r := &c.Rollback
	asked := "it"
	if l := c.Asked(); l != nil {
		asked = l.Name
	}
	lost := c.Lost(r.OpenedAt)
	if lost != "" {
		lost = "It destroys data: " + lost
	}
	switch o.Answer {
	case "hold":
		return Action{Key: "hold", Label: "Hold", Tone: "safe"}, true
	case "release":
		if next := r.NextUp(); r.HeldCause == backout.HoldNobody && next < len(r.Frozen.Plan.Levels) {
			return c.beginning(next), true
		}
		return Action{Key: "release", Label: "Let it go on", Tone: "go", Ask: true, Says: "The rollback goes on where it was, and its clocks run again."}, true
	case "resume":
		return Action{Key: "resume", Label: "Resume", Tone: "go", Ask: true, Says: "The rollback goes on where it was paused, and its clocks run again."}, true
	case "approve":
		return Action{Key: "approve", Label: "Approve " + asked, Tone: "go", Ask: true, Says: c.approving(), Warning: lost}, true
	case "deny":
		return Action{Key: "deny", Label: "Deny " + asked, Tone: "bad", Ask: true, Must: true, Says: asked + " does not start, and the rollback is held until somebody acts."}, true
	case "escalate":
		return c.escalating(), true
	case "pause":
		return Action{Key: "pause", Label: "Pause", Tone: "safe", Ask: true, Must: true, Says: "Nothing new starts and no clock runs until somebody resumes; steps that run may end."}, true
	case "abort":
		return Action{Key: "abort", Label: "Abort", Tone: "bad", Ask: true, Must: true, Says: "The rollback ends for good, wherever the targets stand: steps that run are stopped, and no further level starts."}, true
	case "break_glass":
		return Action{
			Key: "glass", Label: "Break glass", Tone: "bad", Ask: true, Must: true, Warning: lost,
			Says: asked + " starts now on your word alone. Everybody concerned is told, and somebody else must look at it afterwards.",
		}, true
	case "review":
		return Action{Key: "review-" + o.AskID, Label: "Review the broken glass", Tone: "go", Ask: true, Must: true, Says: "One person started a level alone. Say what you found when you looked at it."}, true
	case "resolve":
		return resolving(o), true
	}
	return Action{}, false
}

func (c *Card) approving() string {
	ask, level := c.Rollback.Ask, c.Asked()
	if ask == nil || level == nil {
		return ""
	}
	says := called(level) + " starts on " + plural(len(c.Rollback.Targets)-c.Back(), "target") + "."
	if left := ask.Policy.Votes - ask.Approvals(); left > 1 {
		says = "Your vote for " + called(level) + " on " + plural(len(c.Rollback.Targets)-c.Back(), "target") + "; " + plural(left-1, "more vote") + " needed."
	}
	return says
}

// beginning is the yes of an approver to a level that no group may approve. It is another
// form than that of a hold which merely ends.
func (c *Card) beginning(i int) Action {
	l := &c.Rollback.Frozen.Plan.Levels[i]
	a := Action{
		Key: "begin-" + l.Name, Label: "Let " + l.Name + " begin", Tone: "go", Ask: true, Level: l.Name,
		Says: called(l) + " starts on your word: it was to be asked for, and the plan names no group that may approve it.",
	}
	if l.Approval.Mode == backout.ApprovalVeto {
		a.Says = "The veto window of " + called(l) + " opens on your word: it was to be asked for, and the plan names no group that may approve it."
	}
	if lost := c.Rollback.Lost(i, c.Rollback.OpenedAt); lost != "" {
		a.Warning = l.Name + " destroys data: " + lost
	}
	return a
}

func (c *Card) escalating() Action {
	r, from := &c.Rollback, c.Rollback.Leaves()
	a := Action{Key: "escalate", Label: "Escalate", Tone: "bad", Ask: true, Must: true}
	if from+1 >= len(r.Frozen.Plan.Levels) {
		a.Label, a.Says = "Give up this level", "No level is left: the rollback ends exhausted, and people must go on."
		return a
	}
	next := &r.Frozen.Plan.Levels[from+1]
	a.Label = "Escalate to " + next.Name
	a.Says = "This level is given up now, and " + called(next) + " follows."
	if next.Approval.Mode == backout.ApprovalRequired {
		a.Says = "This level is given up now, and " + called(next) + " is asked for."
	}
	if lost := r.Lost(from+1, r.OpenedAt); lost != "" {
		a.Warning = next.Name + " destroys data: " + lost
	}
	return a
}

func resolving(o Offer) Action {
	return Action{
		Key: "resolve-" + o.AttemptID, Label: "What happened on " + o.Target + "?", Tone: "go", Ask: true,
		Says: "Nobody knows how the attempt " + o.AttemptID + " ended. Look at the target, then say it.",
		Choices: []Choice{
			{"happened", "It happened: go on behind it", "go"},
			{"did_not", "It did not: run it again", "go"},
			{"failed", "Give this level up on " + o.Target, "bad"},
		},
	}
}

// PutBack puts a reason that was refused back into the form that it was typed for, and
// opens that. It tells whether the form is there: one for another question is another.
func (c *Card) PutBack(answer, askID, attemptID, reason string) bool {
	for i := range c.Actions {
		a := &c.Actions[i]
		if a.AskID != askID || a.AttemptID != attemptID || !a.Ask || a.FreshLogin {
			continue
		}
		if slices.ContainsFunc(a.Choices, func(b Choice) bool { return b.Answer == answer }) {
			a.Typed = reason
			return true
		}
	}
	return false
}
