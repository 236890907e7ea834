package change

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Tells returns the notices that follow from an event, one for each audience: c
// is the change before it. They have no ID: the caller makes it of the change,
// the record's sequence, the event's place and the audience.
//
// Told are the change's stakeholders, the audience of its frozen plan, and the
// further audiences given, such as that of a plan which is not frozen yet. No
// audience means no notice, never everyone. A gate that says the same no again
// is silent.
func Tells(c backout.Change, at time.Time, e backout.Event, further ...string) []backout.Notice {
	n, ok := notice(c, at, e)
	if !ok {
		return nil
	}
	var audiences []string
	hash := c.Certified
	if c.Frozen != nil {
		hash = c.Frozen.Hash
	}
	if opened, ok := e.(backout.WindowOpened); ok {
		hash, n.PlanText = opened.Frozen.Hash, opened.Frozen.Plan.InWords()
		audiences = append(audiences, opened.Frozen.Plan.Audience...)
	} else if c.Frozen != nil {
		audiences = append(audiences, c.Frozen.Plan.Audience...)
	}
	audiences = slices.Concat(audiences, c.Stakeholders, further)
	notices := make([]backout.Notice, 0, len(audiences))
	for i, audience := range audiences {
		if audience == "" || slices.Contains(audiences[:i], audience) {
			continue
		}
		n.Audience = audience
		n.Targets = slices.Clone(c.Targets)
		n.CVEs = slices.Clone(c.Patch.CVEs)
		n.Labels, n.PlanHash = c.Labels, hash
		notices = append(notices, n)
	}
	return notices
}

func notice(c backout.Change, at time.Time, e backout.Event) (backout.Notice, bool) {
	n := backout.Notice{ChangeID: c.ID, Title: c.Title, At: at}
	switch e := e.(type) {
	case backout.GateRefused:
		if slices.Equal(c.Violations, e.Violations) {
			return n, false
		}
		n = staysShut(n, e.Violations)
	case backout.BaselineFailed:
		if u := c.Capture; u == nil || u.Number != e.Number || !u.Opening || slices.Equal(c.Violations, e.Violations) {
			return n, false
		}
		n = staysShut(n, e.Violations)
	case backout.ReadinessChanged:
		n = ready(n, e.Violations)
	case backout.WindowOpened:
		n.Moment = backout.MomentWindowOpened
		n.Summary = fmt.Sprintf("The window of %s is open", c.ID)
		n.Deadline = c.Window.Closes
		if n.Deadline.IsZero() {
			n.Deadline = at.Add(DefaultWindow)
		}
		n.IfNobodyActs = fmt.Sprintf("the window closes by itself, and alerts count for %s longer", c.Window.Watch)
	case backout.ChangeEnded:
		if c.OpenedAt.IsZero() {
			return n, false
		}
		n.Moment, n.Outcome = backout.MomentWindowClosed, e.State
		n.Summary = fmt.Sprintf("%s is %s", c.ID, strings.ReplaceAll(string(e.State), "_", " "))
		n.Reason = e.Reason
		if e.Blind != "" {
			n.Reason = strings.TrimPrefix(n.Reason+"; ", "; ") + e.Blind
			n.IfNobodyActs = "nobody knows whether a target was red meanwhile: look at the targets"
		}
		if e.State == backout.ChangeBackoutFailed && c.Captures > 0 {
			n.IfNobodyActs = "what was made on the targets for the way back (snapshots, kept packages) stays there: remove it by hand once nobody needs it"
		}
	default:
		return n, false
	}
	return n, true
}

func staysShut(n backout.Notice, violations []backout.Violation) backout.Notice {
	n.Moment = backout.MomentGateRefused
	n.Summary = fmt.Sprintf("The window of %s stays shut: its way back is not proven", n.ChangeID)
	n.Reason = sentence(violations)
	return n
}

func ready(n backout.Notice, violations []backout.Violation) backout.Notice {
	if len(violations) == 0 {
		n.Moment = backout.MomentReadyAgain
		n.Summary = fmt.Sprintf("The way back of %s would work again", n.ChangeID)
		return n
	}
	n.Moment = backout.MomentNotReady
	n.Summary = fmt.Sprintf("The way back of %s would not work any more", n.ChangeID)
	n.Reason = sentence(violations)
	n.IfNobodyActs = "the window stays as it is, and a rollback may fail"
	return n
}
