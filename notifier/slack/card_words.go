package slack

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// headline is the card's first line: where the rollback stands, and until when. It is
// plain text, so times are UTC; the lines below have them in the reader's zone.
func headline(r *backout.Rollback, now time.Time) string {
	what, mark := stands(r, now)
	if !r.PausedAt.IsZero() && !r.Status.Final() {
		mark, what = "⏸", "paused: "+what
	}
	return mark + " " + r.ChangeID + " " + what
}

func stands(r *backout.Rollback, now time.Time) (what, mark string) {
	_, level := shownLevel(r)
	name := "the rollback"
	if level != nil {
		name = level.Name
	}
	if r.Ask != nil && !r.Status.Final() {
		return asks(r.Ask, name, now), "🔴"
	}
	switch r.Status {
	case backout.RollbackPending:
		return "is red: " + name + " starts" + at(r.StartAfter, now) + " if it stays red", "🔴"
	case backout.RollbackRunning:
		return fmt.Sprintf("rolls back: %s runs on %s", name, hosts(len(r.Targets)-back(r))), "🟠"
	case backout.RollbackVerifying:
		return fmt.Sprintf("rolls back: %s has run, %d of %s back", name, back(r), hosts(len(r.Targets))), "🟠"
	case backout.RollbackAwaiting:
		return "waits for a decision about " + name, "🔴"
	case backout.RollbackHeld:
		return "is held: nothing happens until somebody acts", "✋"
	case backout.RollbackAborting:
		return "is being ended: the steps that run may end first", "🟠"
	case backout.RollbackRecovered:
		return "has recovered: all of " + hosts(len(r.Targets)) + " back", "✅"
	case backout.RollbackExhausted:
		return "is still red: the last level did not help, people must", "❌"
	case backout.RollbackAborted:
		return "was ended by a person", "⚪"
	case backout.RollbackCancelled:
		return "is well again: nothing was rolled back", "✅"
	}
	return string(r.Status), "⚪"
}

func asks(ask *backout.Ask, name string, now time.Time) string {
	if !ask.DownAt.IsZero() {
		return "is red: " + name + " waits, its clock stands still: nobody could be told"
	}
	if ask.Policy.Mode == backout.ApprovalVeto {
		return "is red: " + name + " starts" + at(ask.Deadline, now) + " unless held"
	}
	text := fmt.Sprintf("is red: %s waits for %d of %d votes", name, max(ask.Policy.Votes-ask.Approvals(), 0), ask.Policy.Votes)
	if !ask.Deadline.IsZero() {
		text += ", until" + at(ask.Deadline, now)
	}
	return text
}

// nearly are the times before a deadline at which the card says how near it is.
var nearly = []time.Duration{5 * time.Minute, 2 * time.Minute, time.Minute}

// at writes a time for the first line, and how near it is once it is near.
func at(t, now time.Time) string {
	if t.IsZero() {
		return " now"
	}
	text := " " + t.UTC().Format("15:04:05 UTC")
	left := ""
	for _, d := range nearly {
		if t.Sub(now) <= d && t.After(now) {
			left = " (in " + strconv.Itoa(int(d.Minutes())) + " min or less)"
		}
	}
	return text + left
}

// NextChange is when the card looks different although nothing has happened; zero when
// it does not.
func NextChange(r *backout.Rollback, now time.Time) time.Time {
	deadline := r.StartAfter
	switch {
	case r.Status.Final() || !r.PausedAt.IsZero():
		return time.Time{}
	case r.Ask != nil && !r.Ask.DownAt.IsZero():
		return time.Time{}
	case r.Ask != nil:
		deadline = r.Ask.Deadline
	case r.Status != backout.RollbackPending:
		return time.Time{}
	}
	if deadline.IsZero() {
		return deadline
	}
	for _, d := range nearly {
		if at := deadline.Add(-d); at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// whatNext says what happens when nobody acts, in the reader's own time zone.
func whatNext(r *backout.Rollback) string {
	_, level := shownLevel(r)
	name := "the rollback"
	if level != nil {
		name = escapedClip(level.Name, 20)
	}
	var text string
	switch {
	case r.Status.Final():
		text = "Ended " + date(r.EndedAt) + "."
	case !r.PausedAt.IsZero():
		text = "Paused by " + escapedClip(r.PausedBy, 80) + " " + date(r.PausedAt) + ": no clock runs."
	case r.Ask != nil:
		text = ifNobodyActs(r.Ask, name)
	case r.Status == backout.RollbackPending && !r.StartAfter.IsZero():
		text = "If nobody acts and it stays red, " + name + " starts " + date(r.StartAfter) + "."
	case !r.LevelEnds().IsZero():
		text = name + " has time until " + date(r.LevelEnds()) + "."
	case r.Status == backout.RollbackRunning && r.Overdue:
		text = "The time of " + name + " is up: the next level follows when its steps have ended."
	}
	why := r.Reason
	if r.Status == backout.RollbackHeld {
		why = r.HeldReason
	}
	if why != "" {
		text = strings.TrimSpace(text + " " + escapedClip(why, 500))
	}
	return text
}

func ifNobodyActs(ask *backout.Ask, name string) string {
	if ask.Deadline.IsZero() {
		return "Nothing happens until somebody decides."
	}
	if !ask.DownAt.IsZero() {
		return "The clock of " + name + " stands still since " + date(ask.DownAt) + ", until somebody can be told: " + escapedClip(ask.DownReason, 300) + "."
	}
	what := "the rollback is held"
	switch {
	case ask.Policy.Mode == backout.ApprovalVeto, ask.Policy.OnExpiry == backout.ExpiryGo:
		what = name + " starts"
	case ask.Policy.OnExpiry == backout.ExpiryEscalate:
		what = "the next level is asked for"
	}
	return "If nobody acts, " + what + " " + date(ask.Deadline) + "."
}

// redSince is when the first alert that speaks for the rollback began.
func redSince(r *backout.Rollback) time.Time {
	since := r.OpenedAt
	for _, a := range r.Evidence {
		if !a.StartsAt.IsZero() && a.StartsAt.Before(since) {
			since = a.StartsAt
		}
	}
	return since
}

// facts are the short ones, side by side.
func facts(r *backout.Rollback, now time.Time) [][2]string {
	red := date(redSince(r))
	if v := r.Trigger.Verdict; v != nil {
		red += " " + escapedClip(v.AlertName, 100)
	} else if r.Trigger.By != "" {
		red += ", started by " + escapedClip(r.Trigger.By, 80)
	}
	patch := r.ChangeTitle
	if patch == "" {
		patch = strings.Join(r.Patch.IDs, ", ")
	}
	var targets []string
	for _, t := range r.Targets {
		targets = append(targets, t.Name)
	}
	out := [][2]string{
		{"Red since", red},
		{"Patch", orNone(escapedClip(patch, 300))},
		{"Targets", fmt.Sprintf("%d of %d back: %s", back(r), len(r.Targets), names(targets, 8))},
	}
	if r.Status.Final() {
		return out
	}
	return append(out,
		[2]string{"Data loss", orNone(escapedClip(loss(r, now), 500))},
		[2]string{"CVEs that reopen", reopens(r)},
	)
}

// loss is what the level that the card is about loses; empty when nothing is.
func loss(r *backout.Rollback, now time.Time) string {
	i, level := shownLevel(r)
	lost := r.Lost(i, now)
	if lost == "" && level != nil && level.Destructive {
		return "yes; the plan does not say what"
	}
	return lost
}

// reopens names the CVEs, and those that are known to be exploited once more.
func reopens(r *backout.Rollback) string {
	text := orNone(names(r.Patch.CVEs, 10))
	if len(r.Exploited) > 0 {
		text += "\n*Known to be exploited:* " + names(r.Exploited, 10)
	}
	return text
}

func back(r *backout.Rollback) (n int) {
	for _, t := range r.Targets {
		if t.Phase == backout.TargetRecovered {
			n++
		}
	}
	return n
}

func hosts(n int) string {
	if n == 1 {
		return "1 target"
	}
	return strconv.Itoa(n) + " targets"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
