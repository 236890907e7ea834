package slack

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/backout-io/backout"
)

// buttons are what may be done to the rollback as it stands. What nobody can do now
// has no button; whether somebody may is decided when they press one.
func buttons(v View) []slackgo.BlockElement {
	r := &v.Rollback
	value := Subject{RollbackID: r.ID}
	if r.Ask != nil {
		value.AskID = r.Ask.ID
	}
	var out []slackgo.BlockElement
	button := func(action, label string) *slackgo.ButtonBlockElement {
		b := slackgo.NewButtonBlockElement(action, value.String(), plainText(label, 75))
		out = append(out, b)
		return b
	}
	moves := !r.Status.Final() && r.Status != backout.RollbackHeld && r.Status != backout.RollbackAborting && r.PausedAt.IsZero()
	if moves && r.Ask != nil && len(r.Ask.Policy.Groups) > 0 {
		button(ActionApprove, "Roll back now").WithStyle(slackgo.StylePrimary).WithConfirm(confirm(r, v.Now))
	}
	// A hold for a doubt ends with the doubt; a person's stands.
	doubted := r.Status == backout.RollbackHeld && r.HeldCause == backout.HoldDoubt && r.PausedAt.IsZero()
	if moves || doubted {
		button(ActionHold, "Hold")
	}
	if moves && r.Ask != nil {
		button(ActionDeny, "Deny…")
	}
	if next := afterShown(r); moves && next != "" {
		leaves := value
		leaves.Level = r.Leaves() + 1 // a second press must not leave the level after it too
		button(ActionEscalate, "Escalate to "+next+"…").Value = leaves.String()
	}
	if u, err := url.Parse(v.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && len(v.URL) < 3000 {
		button(actionOpen, "Open").WithURL(v.URL)
	}
	return out
}

// afterShown names the level that escalating leads to; empty when there is none, or
// nothing to escalate from.
func afterShown(r *backout.Rollback) string {
	switch r.Status {
	case backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting:
	case backout.RollbackPending, backout.RollbackHeld, backout.RollbackAborting, backout.RollbackRecovered, backout.RollbackExhausted,
		backout.RollbackAborted, backout.RollbackCancelled:
		return ""
	}
	i, _ := shownLevel(r)
	if i+1 >= len(r.Frozen.Plan.Levels) {
		return ""
	}
	return r.Frozen.Plan.Levels[i+1].Name
}

// maxLoss is how much of the dialog the data loss may take, so that the rest of it is
// never cut off.
const maxLoss = 150

// confirm is the dialog that names what is about to begin; what cannot be had back stands
// first.
func confirm(r *backout.Rollback, now time.Time) *slackgo.ConfirmationBlockObject {
	_, level := shownLevel(r)
	name := "the rollback"
	if level != nil {
		name = level.Name
	}
	text := fmt.Sprintf("%s of %s begins on %s, plan %s.", name, r.ChangeID, hosts(len(r.Targets)-back(r)), shortHash(r.Frozen.Hash))
	if left := r.Ask.Policy.Votes - r.Ask.Approvals(); left > 1 {
		text = fmt.Sprintf("Your vote for %s of %s on %s, plan %s; %d more are needed.", name, r.ChangeID, hosts(len(r.Targets)-back(r)), shortHash(r.Frozen.Hash), left-1)
	}
	if lost := loss(r, now); lost != "" {
		text = "Data loss: " + strings.TrimSuffix(clip(lost, maxLoss), ".") + ". " + text
	}
	return slackgo.NewConfirmationBlockObject(plainText("Roll back "+r.ChangeID+"?", 100), plainText(text, 300), plainText("Roll back", 30), plainText("Not now", 30))
}

// Subject is what a button or a form is about. Everything else is looked up when it
// is used.
type Subject struct {
	RollbackID, AskID string
	// Level counts from 1 and is the level that an escalation leaves; 0 is any.
	Level int
}

// String writes it as a button's value, whose length Slack bounds.
func (s Subject) String() string {
	value := s.RollbackID + "\n" + s.AskID
	if s.Level > 0 {
		value += "\n" + strconv.Itoa(s.Level)
	}
	return value
}

// ParseSubject reads a button's value.
func ParseSubject(value string) Subject {
	id, rest, _ := strings.Cut(value, "\n")
	ask, at, _ := strings.Cut(rest, "\n")
	level, _ := strconv.Atoi(at)
	return Subject{RollbackID: id, AskID: ask, Level: level}
}
