package view

import (
	"fmt"
	"strings"

	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/replay"
)

// Replay shows what rules would have done, change by change, beside what people did.
func Replay(r *replay.Report, s Style) string {
	var b strings.Builder
	shown := map[string]bool{}
	for i := range r.Rows {
		id := r.Rows[i].ChangeID
		if shown[id] {
			continue
		}
		shown[id] = true
		b.WriteString(s.paint(toneBold, text(id)) + "\n")
		for j := i; j < len(r.Rows); j++ {
			if r.Rows[j].ChangeID == id {
				b.WriteString(s.replayRow(&r.Rows[j]))
			}
		}
	}
	if len(r.Missed) > 0 {
		b.WriteString(s.paint(toneBold, "really rolled back, and no rule would have") + "\n")
		for i := range r.Missed {
			b.WriteString("  " + text(r.Missed[i].ChangeID) + ": " + s.did(&r.Missed[i]) + "\n")
		}
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "failed: rule %s, %s: %s\n", text(f.Rule), count(f.Times, "time", "times"), text(f.Error))
	}
	b.WriteString(ReplaySummary(r, s))
	return b.String()
}

// ReplaySummary says in a line how much was looked at, and with how much of it people
// agreed.
func ReplaySummary(r *replay.Report, s Style) string {
	opened := r.Agreed + r.Disagreed + r.Undecided
	out := fmt.Sprintf("%s, %s, %s: %s would have been opened", count(r.Summary.Alerts, "alert", "alerts"), count(r.Summary.Changes, "change", "changes"),
		count(r.Summary.Verdicts, "verdict", "verdicts"), count(opened, "rollback", "rollbacks"))
	if opened > 0 {
		out += fmt.Sprintf(", people agreed with %d of %d", r.Agreed, r.Agreed+r.Disagreed)
		if r.Undecided > 0 {
			out += fmt.Sprintf(" (%d open)", r.Undecided)
		}
	}
	if !r.Summary.From.IsZero() {
		out += "; " + s.at(r.Summary.From) + " to " + s.at(r.Summary.Until)
	}
	return out + "\n"
}

func (s Style) replayRow(r *replay.Row) string {
	var b strings.Builder
	b.WriteString("  " + s.would(r) + "\n")
	more := func(words string) { b.WriteString("      " + words + "\n") }
	for _, w := range replayWaits(r, s) {
		more(w)
	}
	if r.RollbackID == "" {
		return b.String()
	}
	verdict := ""
	if r.Outcome == change.Agreed || r.Outcome == change.Disagreed {
		verdict = " (" + string(r.Outcome) + ")"
	}
	switch {
	case len(r.Did) > 0:
		for i := range r.Did {
			more("really: " + s.did(&r.Did[i]) + verdict)
		}
	case r.Ended != "":
		more("really: nothing: " + string(r.Ended) + verdict)
	default:
		more("really: nothing so far")
	}
	return b.String()
}

// would says what would have followed.
func (s Style) would(r *replay.Row) string {
	who := fmt.Sprintf("rule %s (%s), alert %s on %s", text(r.Rule), text(string(r.Mode)), text(r.Alert), text(r.Target))
	if r.RollbackID == "" {
		return s.at(r.At) + "  only recorded: " + names(r.Targets, 10) + ": " + who + ", " + count(r.Verdicts, "verdict", "verdicts")
	}
	return s.at(r.At) + "  would roll back " + names(r.Targets, 10) + " from " + orDash(text(r.Level)) + ": " + who
}

func replayWaits(r *replay.Row, s Style) []string {
	var list []string
	add := func(set bool, words string) {
		if set {
			list = append(list, words)
		}
	}
	add(r.AskFirst != "", "would ask first: "+text(r.AskFirst))
	add(!r.StartAfter.IsZero(), "would wait until "+s.at(r.StartAfter))
	add(!r.CancelledAt.IsZero(), "cancelled at "+s.at(r.CancelledAt)+": the alerts had resolved")
	switch {
	case r.Stopped != "":
		add(true, "stopped: "+text(r.Stopped))
	case r.RollbackID == "":
		add(true, "stopped: the rule may only record")
	}
	return list
}

// did says who rolled back what, and how it ended.
func (s Style) did(d *replay.Did) string {
	who := text(d.By)
	switch {
	case d.Rule != "":
		who = "rule " + text(d.Rule)
	case who == "":
		who = "somebody"
	}
	out := who + " rolled back " + names(d.Targets, 10) + " at " + s.at(d.At) + " (" + text(d.RollbackID) + ")"
	if len(d.Approved) > 0 {
		out += ", approved by " + names(d.Approved, 5)
	}
	if len(d.Denied) > 0 {
		out += ", denied by " + names(d.Denied, 5)
	}
	return out + ": " + text(string(d.Status))
}

// ReplayDifferences shows what two rule sets would have done otherwise.
func ReplayDifferences(list []replay.Difference, s Style) string {
	if len(list) == 0 {
		return "no difference: both would have rolled back the same, at the same times\n"
	}
	var b strings.Builder
	for i := range list {
		d := &list[i]
		fmt.Fprintf(&b, "%s %s: %s\n", s.paint(toneBold, text(d.ChangeID)), names(d.Targets, 10), text(string(d.Kind)))
		for _, side := range []struct {
			name string
			row  *replay.Row
		}{{"here ", d.Here}, {"there", d.There}} {
			if side.row == nil {
				continue
			}
			b.WriteString("  " + side.name + "  " + s.would(side.row) + "\n")
			for _, w := range replayWaits(side.row, s) {
				b.WriteString("         " + w + "\n")
			}
		}
	}
	return b.String()
}
