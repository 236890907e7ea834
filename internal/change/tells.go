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
	if opened, ok := e.(backout.WindowOpened); ok {
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
		n.Moment = backout.MomentGateRefused
		n.Summary = fmt.Sprintf("The window of %s stays shut: its way back is not proven", c.ID)
		n.Reason = sentence(e.Violations)
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
		n.Moment = backout.MomentWindowClosed
		n.Summary = fmt.Sprintf("%s is %s", c.ID, strings.ReplaceAll(string(e.State), "_", " "))
		n.Reason = e.Reason
	default:
		return n, false
	}
	return n, true
}
