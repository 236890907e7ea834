package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// named tells why targets would not take an attempt of this id, which is a file's
// name there, with the store's mark before it.
func named(mark, id string) error {
	if mark != "" {
		id = mark + "." + id
	}
	return attempt.CheckID(id)
}

// bound tells why the work may not be carried out at this site: it is not bound to
// what the gate has seen.
func (w *work) bound(site string) error {
	t := w.Task
	if err := passed(w.Gate, w.Frozen, t.Target, site); err != nil {
		return err
	}
	level, step, err := place(w.Frozen.Plan, t)
	switch {
	case err != nil:
		return err
	case t.ChangeID != w.Gate.ChangeID:
		return fmt.Errorf("it is a task of change %s, its gate was passed by %s", t.ChangeID, w.Gate.ChangeID)
	case t.PlanHash != w.Gate.PlanHash:
		return errors.New("its task names another plan than its gate")
	case !strings.HasPrefix(t.RollbackID, t.ChangeID+"-"):
		return fmt.Errorf("rollback %s is not one of change %s", t.RollbackID, t.ChangeID)
	case !within(t, level, step):
		return fmt.Errorf("attempt %q is not one of this step of rollback %s", clip(t.AttemptID, 100), t.RollbackID)
	case t.Baseline != w.Gate.Baseline:
		return fmt.Errorf("its task is of baseline %s, its gate has seen %s", digest(t.Baseline), digest(w.Gate.Baseline))
	case t.Delta != nil && t.Delta.Target != t.Target.Name:
		return fmt.Errorf("its patch delta is of target %s", clip(t.Delta.Target, nameMost))
	case w.Holder == "":
		return errors.New("it does not say who follows it")
	}
	return errors.Join(named(w.Mark, t.AttemptID), facts(t))
}

func digest(d string) string {
	if d == "" {
		return "none"
	}
	return clip(d, 20)
}

// passed tells why the gate does not cover the plan and the target.
func passed(g gate, f backout.FrozenPlan, t backout.Target, site string) error {
	switch {
	case t.Site != site:
		return fmt.Errorf("target %s stands at site %q, this runner at %q", t.Name, t.Site, site)
	case !slices.Contains(g.Targets, t.Name):
		return fmt.Errorf("target %s is not among those that the gate of %s has seen", t.Name, g.ChangeID)
	case g.PlanHash == "":
		return errors.New("its gate has no plan hash")
	}
	return content(f, g.PlanHash)
}

// content tells whether the plan is what its hash says, and that hash the one
// wanted.
func content(f backout.FrozenPlan, want string) error {
	switch {
	case f.Hash != want:
		return fmt.Errorf("its plan %q has another hash than the one its gate has seen", f.Plan.Name)
	case !planhash.Matches(f):
		return fmt.Errorf("its plan %q is not what its hash says", f.Plan.Name)
	}
	return nil
}

// place finds the task's step in the plan, at its level. Where a level has two
// that are the same, the attempt's id says which.
func place(p backout.Plan, t backout.Task) (level, step int, err error) {
	for i, l := range p.Levels {
		if l.Name != t.Level {
			continue
		}
		found := -1
		for j, s := range l.Steps {
			if same(s, t.Step) && (found < 0 || within(t, i, j)) {
				found = j
			}
		}
		if found < 0 {
			return 0, 0, fmt.Errorf("its step %s is not one of level %s of plan %q", t.Step.Uses, l.Name, p.Name)
		}
		return i, found, nil
	}
	return 0, 0, fmt.Errorf("plan %q has no level %q", p.Name, clip(t.Level, 16))
}

// within tells whether the attempt's id is one of this step.
func within(t backout.Task, level, step int) bool {
	return strings.HasPrefix(t.AttemptID, fmt.Sprintf("%s.L%d.s%d.t", t.RollbackID, level+1, step+1))
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// facts refuses variables that are not ours: PATH or LD_PRELOAD would make another
// command of the step.
func facts(t backout.Task) error {
	for name := range t.Facts {
		if !strings.HasPrefix(name, "BACKOUT_") {
			return fmt.Errorf("fact %q is not one of backout's", clip(name, 40))
		}
	}
	return nil
}

// bound tells why the preflight may not be asked here. There is no gate yet: the
// plan is the one that is being judged.
func (p *preflight) bound(site string) error {
	if p.Task.Target.Site != site {
		return fmt.Errorf("target %s stands at site %q, this runner at %q", p.Task.Target.Name, p.Task.Target.Site, site)
	}
	if err := content(p.Frozen, p.Task.PlanHash); err != nil {
		return err
	}
	if err := judged(p.Frozen.Plan, p.Task); err != nil {
		return err
	}
	return facts(p.Task)
}

// judged tells why the task's step is none that the gate of the plan asks about.
func judged(p backout.Plan, t backout.Task) error {
	if t.Level == backout.LevelBaseline {
		if !slices.ContainsFunc(p.Baseline.Steps, func(s backout.Step) bool { return same(s, t.Step) }) {
			return fmt.Errorf("its step %s is not a baseline step of plan %q", clip(t.Step.Uses, 40), p.Name)
		}
		return nil
	}
	_, _, err := place(p, t)
	return err
}

// bound tells why the check may not be run here.
func (c *check) bound(site string) error {
	if err := passed(c.Gate, c.Frozen, c.Target, site); err != nil {
		return err
	}
	for _, known := range c.Frozen.Plan.Verify.Checks {
		if same(known, c.Check) {
			return nil
		}
	}
	return fmt.Errorf("its check %s is not one of plan %q", clip(c.Check.Uses, 40), c.Frozen.Plan.Name)
}

// bound tells why the attempts may not be forgotten here.
func (f *forget) bound(site string) error {
	if f.Target.Site != site {
		return fmt.Errorf("target %s stands at site %q, this runner at %q", f.Target.Name, f.Target.Site, site)
	}
	for _, id := range f.Attempts {
		if err := named(f.Mark, id); err != nil {
			return err
		}
	}
	return nil
}

// bound tells why the errand may not be run here. A capture looks, and changes
// nothing: a plan that is what its hash says is enough. What is done for a step is done
// only for one of the plan's, at its place, and under an id of the change's.
func (e *errand) bound(site string) error {
	target := e.Target
	if e.Task != nil {
		target = e.Task.Target
	}
	if target.Site != site {
		return fmt.Errorf("target %s stands at site %q, this runner at %q", target.Name, target.Site, site)
	}
	if e.Task == nil {
		return content(e.Plan, e.Plan.Hash)
	}
	if e.Task.RollbackID != "" {
		return fmt.Errorf("an errand is none of rollback %s", clip(e.Task.RollbackID, nameMost))
	}
	if err := content(e.Plan, e.Task.PlanHash); err != nil {
		return err
	}
	return errors.Join(runner.Bound(e.Plan.Plan, e.Errand, *e.Task), named(e.Mark, e.Task.AttemptID), facts(*e.Task))
}
