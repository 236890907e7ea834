package view

import (
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// fewLooks is how many answers of a gate are shown one by one unasked.
	fewLooks = 30
	// fewReasons is how many different reasons are shown unasked.
	fewReasons = 50
)

// Violations lists reasons for a no, one a line; targets with the same reason share
// one. What is more than a screen can tell is counted.
func Violations(vs []backout.Violation, s Style) string { return s.violations(vs, false) }

func (s Style) violations(vs []backout.Violation, all bool) string {
	type reason struct{ check, level, reason, fix string }
	targets := map[reason][]string{}
	var order []reason
	for _, v := range vs {
		r := reason{v.Check, v.Level, v.Reason, v.Fix}
		if _, ok := targets[r]; !ok {
			order = append(order, r)
			targets[r] = nil
		}
		if v.Target != "" {
			targets[r] = append(targets[r], v.Target)
		}
	}
	left := 0
	if !all && len(order) > fewReasons {
		order, left = order[:fewReasons], len(order)-fewReasons
	}
	rows := make([][]cell, len(order))
	for i, r := range order {
		rows[i] = []cell{data(r.check), {text: orDash(where(targets[r], r.level, all))}, data(r.reason), data(r.fix)}
	}
	out := s.table([]string{"CHECK", "WHERE", "REASON", "WHAT TO DO"}, rows)
	if left > 0 {
		out += "and " + count(left, "more reason", "more reasons") + "\n"
	}
	return out
}

// where names targets and level: "web-01 L2", "12 targets L2: web-01, web-02 and 10 more".
func where(targets []string, level string, all bool) string {
	level = text(level)
	if len(targets) < 2 {
		return strings.TrimSpace(names(targets, 0) + " " + level)
	}
	most := 3
	if all {
		most = 0
	}
	return strings.TrimSpace(count(len(targets), "target", "targets")+" "+level) + ": " + names(targets, most)
}

// Gate shows the gate's answer: what was looked at, the reasons for a no, what would
// be lost, and how long a yes holds. With all it shows every answer by itself.
func Gate(g handlers.GateResult, s Style, now time.Time, all bool) string {
	var b strings.Builder
	if g.Passed {
		b.WriteString(s.show(sign{"✓", "+", "gate passed", toneGood}) + " for " + text(g.ChangeID) + ", plan " + shortHash(g.PlanHash) + validUntil(g.ValidUntil, s, now) + "\n")
	} else {
		b.WriteString(s.show(sign{"✗", "x", "gate refused", toneBad}) + " for " + text(g.ChangeID) + "\n")
	}
	switch {
	case len(g.Looks) == 0:
	case all || len(g.Looks) <= fewLooks:
		b.WriteString(s.looks(g.Looks))
	default:
		b.WriteString(s.lookCounts(g.Looks))
	}
	if len(g.Violations) > 0 {
		b.WriteString("reasons:\n" + s.violations(g.Violations, all))
	}
	if len(g.Warnings) > 0 {
		b.WriteString("warnings:\n" + s.violations(g.Warnings, all))
	}
	return b.String()
}

func validUntil(t time.Time, s Style, now time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.After(now):
		return ", valid until " + s.when(t, now)
	}
	return ", stale since " + s.when(t, now)
}

func (s Style) answer(ok bool) cell {
	if ok {
		return s.signed(sign{"✓", "+", "yes", toneGood})
	}
	return s.signed(sign{"✗", "x", "no", toneBad})
}

// looks shows every answer.
func (s Style) looks(looks []handlers.GateLook) string {
	header, loses := []string{"TARGET", "LEVEL", "CHECK", "ANSWER"}, false
	for _, l := range looks {
		loses = loses || l.Loses != ""
	}
	if loses {
		header = append(header, "WOULD LOSE")
	}
	rows := make([][]cell, len(looks))
	for i, l := range looks {
		rows[i] = []cell{data(l.Target), data(l.Level), data(l.Check), s.answer(l.OK)}
		if loses {
			rows[i] = append(rows[i], data(l.Loses))
		}
	}
	return s.table(header, rows)
}

// lookCounts counts the answers by level and check, in the order in which they came.
func (s Style) lookCounts(looks []handlers.GateLook) string {
	type place struct{ level, check string }
	type tally struct{ yes, no int }
	counts := map[place]*tally{}
	var order []place
	targets := map[string]bool{}
	for _, l := range looks {
		targets[l.Target] = true
		at := place{l.Level, l.Check}
		if counts[at] == nil {
			counts[at] = &tally{}
			order = append(order, at)
		}
		if l.OK {
			counts[at].yes++
		} else {
			counts[at].no++
		}
	}
	rows := make([][]cell, len(order))
	for i, at := range order {
		no := cell{text: strconv.Itoa(counts[at].no)}
		if counts[at].no > 0 {
			no.tone = toneBad
		}
		rows[i] = []cell{data(at.level), data(at.check), data(strconv.Itoa(counts[at].yes)), no}
	}
	return s.table([]string{"LEVEL", "CHECK", "YES", "NO"}, rows) +
		count(len(looks), "answer", "answers") + " of " + count(len(targets), "target", "targets") + ", each of them with --all\n" + s.losses(looks)
}

// losses says what levels would lose, once for all targets of which the same is true.
func (s Style) losses(looks []handlers.GateLook) string {
	type loss struct{ level, loses string }
	targets := map[loss][]string{}
	var order []loss
	for _, l := range looks {
		if l.Loses == "" {
			continue
		}
		at := loss{l.Level, l.Loses}
		if targets[at] == nil {
			order = append(order, at)
		}
		targets[at] = append(targets[at], l.Target)
	}
	var b strings.Builder
	for i, at := range order {
		if i == fewReasons {
			b.WriteString("and " + count(len(order)-i, "more loss", "more losses") + "\n")
			break
		}
		b.WriteString(s.paint(toneWarn, where(targets[at], at.level, false)+" would lose "+text(at.loses)) + "\n")
	}
	return b.String()
}
