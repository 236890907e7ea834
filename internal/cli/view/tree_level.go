package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// drawing is one picture being drawn, in full or short of space.
type drawing struct {
	p Picture
	s Style
	// steps draws a line a step; most is how many targets a level may show, 0
	// for all.
	steps bool
	most  int
}

// level draws one level, and its targets unless it has not begun.
func (d drawing) level(i int) []line {
	r := &d.p.Rollback
	level := &r.Frozen.Plan.Levels[i]
	title := LevelName(i)
	if level.Summary != "" {
		title += " " + text(level.Summary)
	}
	g, detail := d.levelState(i)
	icon := d.s.plainIcon(g.icon, g.ascii)
	lines := []line{{
		cell{icon + " " + title, g.tone}, say("  %s", g.word).in(g.tone), say("%s", detail),
	}}
	return append(lines, d.targets(i)...)
}

func (d drawing) levelState(i int) (sign, string) {
	r := &d.p.Rollback
	level := &r.Frozen.Plan.Levels[i]
	switch {
	case i > r.Level && r.Status.Final():
		return sign{"-", "-", "not needed", toneDim}, ""
	case r.Ask != nil && i == r.Ask.Level:
		return sign{"✋", "!", "asked for", toneWarn}, d.ahead(level)
	case r.Ask != nil && i == r.Level && i < r.Ask.Level:
		return sign{"✗", "x", "did not bring everything back", toneBad}, d.cause(i)
	case i < r.StartAt:
		return sign{"-", "-", "left out", toneDim}, ", the rollback began at " + LevelName(r.StartAt)
	case i > r.Level:
		return sign{"○", "o", "waits", toneDim}, d.ahead(level)
	case i < r.Level || r.Status == backout.RollbackExhausted:
		return sign{"✗", "x", "did not bring everything back", toneBad}, d.cause(i)
	case r.Status == backout.RollbackRecovered:
		return sign{"✓", "+", "brought everything back", toneGood}, ""
	}
	return rollbackSign(r.Status), d.escalation(level)
}

// cause says how a level that is over ended.
func (d drawing) cause(i int) string {
	past := d.p.History.levels[i]
	if past == nil || past.cause == "" {
		return ""
	}
	words := map[string]string{"time": "its time was up", "failure": "its steps failed", "manual": "a person moved on"}[past.cause]
	if words == "" {
		words = text(past.cause)
	}
	if !past.entered.IsZero() && !past.ended.IsZero() {
		words += " after " + clock(past.ended.Sub(past.entered))
	}
	return ": " + words
}

func (d drawing) ahead(level *backout.Level) string {
	out := ""
	if level.Approval.Mode != backout.ApprovalNone && level.Approval.Mode != "" {
		out += ", " + Wanted(level.Approval)
	}
	if level.Loses != "" {
		out += ", loses " + text(level.Loses)
	}
	return out
}

// escalation counts down to what happens when the level's time is up.
func (d drawing) escalation(level *backout.Level) string {
	r := &d.p.Rollback
	if r.Status == backout.RollbackAborting {
		return ": it ends with the steps that run"
	}
	if r.LevelDeadline.IsZero() {
		return ", " + level.EscalateAfter.String() + " from its first step"
	}
	next := "exhausted"
	if following := r.NextLevel(); following != nil {
		next = LevelName(r.Level + 1)
	}
	if r.Overdue {
		return ": its time is up, " + next + " follows when its steps have ended"
	}
	out := ": " + next + " " + left(r.LevelDeadline, standing(r, d.p.Now))
	if stands(r) {
		out += " (standing still)"
	}
	return out
}

// targets draws the targets that belong under the level: those it brought back,
// and for the level entered last everything that is not back yet.
func (d drawing) targets(i int) []line {
	r := &d.p.Rollback
	var mine []backout.TargetState
	for _, t := range r.Targets {
		back := t.Phase == backout.TargetRecovered
		first := max(r.StartAt, 0)
		under := back && (t.RecoveredLevel == i || t.RecoveredLevel < first && i == first)
		if under || !back && (i == r.Level || r.Level < 0 && i == first) {
			mine = append(mine, t)
		}
	}
	left := 0
	if d.most > 0 && len(mine) > d.most {
		slices.SortStableFunc(mine, func(a, b backout.TargetState) int { return cmp.Compare(urgency(a.Phase), urgency(b.Phase)) })
		left = len(mine) - d.most
		mine = mine[:d.most]
	}
	widest := 0
	for _, t := range mine {
		widest = max(widest, Columns(text(t.Name)))
	}
	var lines []line
	for n := range mine {
		lines = append(lines, d.target(i, &mine[n], widest, n == len(mine)-1 && left == 0)...)
	}
	if left > 0 {
		lines = append(lines, line{say("%s%s", d.branch(true), "and "+count(left, "more target", "more targets")).in(toneDim)})
	}
	return lines
}

// urgency orders the phases by how much they need a look.
func urgency(p backout.TargetPhase) int {
	return slices.Index([]backout.TargetPhase{
		backout.TargetInDoubt, backout.TargetFailed, backout.TargetRunning, backout.TargetDone, backout.TargetWaiting, backout.TargetRecovered,
	}, p)
}

func (d drawing) branch(last bool) string {
	switch {
	case d.s.Unicode && last:
		return "└─ "
	case d.s.Unicode:
		return "├─ "
	case last:
		return "`- "
	default:
		return "|- "
	}
}

func (d drawing) trunk(last bool) string {
	switch {
	case last:
		return "   "
	case d.s.Unicode:
		return "│  "
	default:
		return "|  "
	}
}

func (d drawing) footer() []line {
	if d.p.Broken == "" {
		return nil
	}
	silent := max(d.p.Now.Sub(d.p.Since), 0)
	return []line{{say("%s stale for %s: %s, trying again", d.s.plainIcon("⚠", "!"), clock(silent.Truncate(time.Second)), text(d.p.Broken)).in(toneWarn)}}
}
