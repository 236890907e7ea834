package ruletest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// maxReasons bounds how much is told of one expectation.
const maxReasons = 5

// fresh drops reasons that were given already for the same expectation.
func (r *testRun) fresh(at strictyaml.Pos, list []Reason) []Reason {
	var out []Reason
	for _, reason := range list {
		same := func(o Reason) bool { return o.About == reason.About && slices.Equal(o.Lines, reason.Lines) }
		told := slices.ContainsFunc(r.failures, func(f Failure) bool {
			return f.Line == at.Line && f.Column == at.Column && slices.ContainsFunc(f.Why, same)
		})
		if !told && !slices.ContainsFunc(out, same) {
			out = append(out, reason)
		}
	}
	return out[:min(len(out), maxReasons)]
}

// noVerdict says why a verdict is missing. One that is there and differs, by its
// mode, is in the comparison already.
func (m moment) noVerdict(want entry) []Reason {
	if slices.ContainsFunc(m.seen.verdicts, want.about) {
		return nil
	}
	return m.nearest(want)
}

// nothing says why no rollback was opened, or none was stopped: what followed from
// the verdicts there were, else why there were none.
func (m moment) nothing(want entry) []Reason {
	r := Reason{About: "what followed from the verdicts by then"}
	for _, e := range m.events {
		if e.Error == "" && want.about(e.Event) {
			r.Lines = append(r.Lines, e.Followed())
		}
	}
	if r.Lines == nil {
		return m.nearest(want)
	}
	return []Reason{r}
}

// about tells whether an event speaks of what the entry names.
func (want entry) about(e replay.Event) bool {
	targets := append([]string{e.Verdict.Target}, e.Targets...)
	return fits(want.rule, e.Verdict.Rule) && fits(want.change, e.Verdict.ChangeID) &&
		(want.targets == nil || slices.ContainsFunc(want.targets, func(t string) bool { return slices.Contains(targets, t) }))
}

// Followed says in words what the verdict was and what followed from it.
func (e Event) Followed() string {
	v := e.Verdict
	head := fmt.Sprintf("%s %s on %s of %s", e.After, v.Rule, v.Target, v.ChangeID)
	switch {
	case e.Error != "":
		return fmt.Sprintf("%s %s failed on %s: %s", e.After, v.Rule, v.ChangeID, e.Error)
	case e.Cancelled:
		return fmt.Sprintf("%s rollback %s was cancelled: its alerts resolved", e.After, e.RollbackID)
	case e.Do == trigger.Open:
		text := fmt.Sprintf("%s: rollback %s at %s of %s", head, e.RollbackID, level(e.Event), list(e.Targets))
		if !e.StartAfter.IsZero() {
			text += fmt.Sprintf(", which starts at %s", e.After+backout.Duration(e.StartAfter.Sub(e.At)))
		}
		if e.AskFirst != "" {
			text += ", which waits for an approval: " + e.AskFirst
		}
		return text
	case e.Do == trigger.Evidence:
		return head + ": evidence for rollback " + e.RollbackID
	case v.Stopped != "":
		return head + ": stopped: " + v.Stopped
	}
	return fmt.Sprintf("%s: recorded only (mode %s)", head, v.Mode)
}

// because gives the reasons of a verdict that was not expected.
func (m moment) because(e replay.Event) Reason {
	r := Reason{About: fmt.Sprintf("%s matched %s at %s", e.Verdict.Rule, quoted(e.Verdict.AlertName), m.file.after(e.At)), Lines: slices.Clone(e.Verdict.Reasons)}
	if e.Do == trigger.Record && e.Verdict.Stopped != "" {
		r.Lines = append(r.Lines, "stopped: "+e.Verdict.Stopped)
	}
	return r
}

// nearest finds, among the alerts as they are at the moment, what came nearest to
// what is expected.
func (m moment) nearest(want entry) []Reason {
	var best *rules.Explanation
	var of backout.Alert
	fired := false
	for _, a := range m.alerts() {
		fired = true
		for _, x := range m.file.set.Explain(&a, m.world, m.at, some(want.rule)...) {
			if !want.mayExplain(x) || best != nil && distance(x) >= distance(*best) {
				continue
			}
			best, of = &x, a
		}
	}
	switch {
	case !fired:
		return []Reason{{About: "no alert has fired by then", Lines: []string{}}}
	case best == nil:
		return []Reason{{About: "no alert by then is on " + cmp.Or(strings.Join(want.targets, ", "), "a target of "+want.change), Lines: []string{}}}
	}
	about := fmt.Sprintf("the nearest miss of %s at %s: %s on %s", best.Rule, m.file.after(m.at), quoted(of.Name()), best.Target)
	if best.ChangeID != "" {
		about += " of " + best.ChangeID
	}
	return []Reason{{About: about, Lines: conditions(*best)}}
}

// mayExplain tells whether an explanation is of what is expected.
func (want entry) mayExplain(x rules.Explanation) bool {
	return fits(want.rule, x.Rule) && (x.ChangeID == "" || fits(want.change, x.ChangeID)) &&
		(want.targets == nil || slices.Contains(want.targets, x.Target))
}

// distance orders misses. Without a change nothing but the matchers was looked at.
func distance(x rules.Explanation) int {
	n := 2 * x.Misses()
	if x.ChangeID == "" {
		n += 100
	}
	return n
}

// alerts are the alerts as they came in last.
func (m moment) alerts() []backout.Alert {
	last := map[int]event{}
	for _, e := range m.test.events() {
		if e.at <= time.Duration(m.file.after(m.at)) {
			last[e.series] = e
		}
	}
	var list []backout.Alert
	for i := range m.test.alerts {
		if e, ok := last[i]; ok {
			list = append(list, m.file.alertOf(m.test, e))
		}
	}
	return list
}

// conditions lists what held and what did not.
func conditions(x rules.Explanation) []string {
	var lines []string
	if x.Guard != "" {
		lines = append(lines, "no   "+x.Guard)
	}
	lines = parts(lines, x.Parts, "")
	if x.Matched {
		lines = append(lines, "all of it holds now, and nothing new follows")
	}
	return lines
}

// parts appends conditions, and below each what it is made of.
func parts(lines []string, list []rules.Part, indent string) []string {
	for _, p := range list {
		mark := "no   "
		switch {
		case p.Held:
			mark = "yes  "
		case p.Unknown != "":
			mark = "?    "
		}
		line := mark + indent + p.Text
		for _, why := range []string{p.Unknown, p.Error} {
			if why != "" {
				line += ": " + why
			}
		}
		lines = parts(append(lines, line), p.Parts, indent+"  ")
	}
	return lines
}

// quoted shows an outside text as data.
func quoted(s string) string { return fmt.Sprintf("%q", short(s)) }
