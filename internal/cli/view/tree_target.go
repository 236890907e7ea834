package view

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// target draws one target, and its steps while they matter.
func (d drawing) target(level int, t *backout.TargetState, widest int, last bool) []line {
	g := phaseSign(t.Phase)
	name := text(t.Name)
	head := line{
		say("%s", d.branch(last)).in(toneDim), d.s.signed(sign{g.icon, g.ascii, name, g.tone}),
		say("%*s", widest-Columns(name)+2, ""), say("%s", g.word).in(g.tone), say("%s", d.targetDetail(level, t)),
	}
	lines := []line{head}
	if d.steps && t.Phase != backout.TargetRecovered && t.Phase != backout.TargetWaiting {
		lines = append(lines, d.stepLines(level, t, d.trunk(last))...)
	}
	return lines
}

func (d drawing) targetDetail(level int, t *backout.TargetState) string {
	r := &d.p.Rollback
	switch t.Phase {
	case backout.TargetRunning:
		return d.runningDetail(level, t)
	case backout.TargetDone:
		if t.GreenSince.IsZero() {
			return ", red" + because(t.Red)
		}
		held := standing(r, d.p.Now).Sub(t.GreenSince)
		return fmt.Sprintf(", green for %s of %s", clock(held), clock(time.Duration(r.Frozen.Plan.Verify.HoldFor)))
	case backout.TargetFailed:
		return because(t.Failure)
	case backout.TargetInDoubt:
		if t.Attempt != nil {
			return ", say what happened: backout rollback resolve " + text(r.ID) + " " + text(t.Attempt.ID)
		}
	case backout.TargetRecovered:
		if !t.RecoveredAt.IsZero() {
			return " after " + clock(t.RecoveredAt.Sub(r.OpenedAt)) + aftermath(t)
		}
		return aftermath(t)
	}
	return ""
}

// aftermath says how a recovered target compares with its baseline, and what keeps
// the patch away from it.
func aftermath(t *backout.TargetState) string {
	out := ""
	if words := driftWords(t.Drift); words != "" {
		out = ", " + words
	}
	return out + holds(t.Held)
}

func (d drawing) runningDetail(level int, t *backout.TargetState) string {
	steps := d.p.Rollback.Frozen.Plan.Levels[level].Steps
	out := fmt.Sprintf(", step %d of %d", t.Step+1, len(steps))
	a := t.Attempt
	if a == nil {
		return out
	}
	if a.StartedAt.IsZero() {
		return out + ", waits for a runner"
	}
	out += ", " + clock(d.p.Now.Sub(a.StartedAt))
	if a.Stopping {
		out += ", stopping"
	}
	return out
}

func (d drawing) stepLines(level int, t *backout.TargetState, trunk string) []line {
	var lines []line
	steps := d.p.Rollback.Frozen.Plan.Levels[level].Steps
	for i, step := range steps {
		g, took := d.stepState(level, t, i)
		name := step.Name
		if name == "" {
			name = step.Uses
		}
		lines = append(lines, line{
			say("%s%s", trunk, d.branch(i == len(steps)-1)).in(toneDim), d.s.signed(sign{g.icon, g.ascii, text(name), g.tone}), say("%s", took),
		})
	}
	return lines
}

// stepState says how one step stands on a target: by the state for the current
// step, by the log for those before.
func (d drawing) stepState(level int, t *backout.TargetState, i int) (sign, string) {
	run := d.p.History.last(level, t.Name, i)
	took := ""
	if run != nil && !run.started.IsZero() {
		end := run.ended
		if end.IsZero() {
			end = d.p.Now
		}
		took = "  " + clock(end.Sub(run.started))
	}
	switch {
	case i < t.Step || t.Phase == backout.TargetDone:
		return sign{"✓", "+", "", toneGood}, took
	case i > t.Step:
		return phaseSign(backout.TargetWaiting), ""
	}
	return phaseSign(t.Phase), took
}
