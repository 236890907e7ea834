package gate

import (
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// deltaGrace is how long after the patch nobody is told that it is not known yet what
// it changed: to look takes its time.
const deltaGrace = 5 * time.Minute

// Still answers, while the window is open or watched, why the way back would not
// work any more. Facts.Plan is the frozen plan, Facts.PlanHash that of the plan file
// as it is now; Facts.Answers are those of the levels' executors. The change keeps
// its frozen plan whatever becomes of the file: that it differs is told all the
// same, since people read the file.
func Still(f Facts) []backout.Violation {
	var v verdict
	f.Live = true
	for _, name := range f.Change.Targets {
		if _, ok := f.Targets[name]; !ok {
			v.noTarget(CheckTargets, name, "it is not in the inventory any more", "put it back, or nothing can be done on it")
		}
	}
	v.checkFrozen(f)
	v.checkApprovers(f)
	v.checkAnswers(f)
	v.checkDeltas(f)
	return v.violations
}

// checkDeltas misses what the patch changed where that should be known: steps that undo
// it would not begin. A target that is in other trouble is left out, which is the cause.
func (v *verdict) checkDeltas(f Facts) {
	c := f.Change
	for _, name := range c.Targets {
		over := c.PatchedOn(name)
		if over.IsZero() && !c.WatchUntil.IsZero() {
			over = c.WatchUntil.Add(-time.Duration(c.Window.Watch))
		}
		if over.IsZero() || f.Now.Before(over.Add(deltaGrace)) {
			continue
		}
		if c.Baselines[name] == "" || c.Deltas[name] != "" || slices.ContainsFunc(v.violations, func(o backout.Violation) bool { return o.Target == name }) {
			continue
		}
		v.noTarget(CheckDelta, name, "it is not known what the patch has changed on it: its state could not be captured since",
			"mend what keeps it from being captured: backout baseline diff "+c.ID+" "+name+" --now says what")
	}
}

func (v *verdict) checkFrozen(f Facts) {
	switch {
	case f.Change.Frozen == nil || f.Change.Frozen.Hash == f.PlanHash:
	case f.PlanHash == "":
		v.no(CheckPlan, "its plan is in no plan file any more; the change keeps the one that was frozen when its window opened", "put it back, or close the change and plan a new one")
	default:
		v.no(CheckPlan, "its plan file has changed since the window opened; the change keeps the plan that was frozen then", "read the frozen one: backout change show; or close the change and plan a new one")
	}
}
