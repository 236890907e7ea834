package gate

import (
	"fmt"

	"github.com/backout-io/backout"
)

// Answer is what one look at a target has said.
type Answer struct {
	Target string
	// Level is empty for what concerns no level; Step counts from 0 within it.
	Level string
	Step  int
	// Check names the look: the executor of the step, or one of the constants.
	Check string
	// Violations are its no; none is a yes.
	Violations []backout.Violation
	// Loses says what the step would lose on the target now.
	Loses string
}

// Look is one cell of the gate's table: one check of one target, at one level or,
// when that is empty, at none.
type Look struct {
	Target, Level, Check string
	OK                   bool
	Loses                string
}

// asked are the steps that somebody has to answer for, by the level they stand
// under.
func asked(p backout.Plan) map[string][]backout.Step {
	steps := map[string][]backout.Step{}
	if len(p.Baseline.Steps) > 0 {
		steps[backout.LevelBaseline] = p.Baseline.Steps
	}
	for _, l := range p.Levels {
		steps[l.Name] = l.Steps
	}
	return steps
}

// place is where an answer belongs.
type place struct {
	target, level string
	step          int
}

// checkAnswers takes what was said and misses what was not: a step that nobody was
// asked about, a target whose state was not captured.
func (v *verdict) checkAnswers(f Facts) {
	answered, lost := map[place]bool{}, map[string]bool{}
	for _, a := range f.Answers {
		answered[place{a.Target, a.Level, a.Step}] = true
		lost[a.Target] = lost[a.Target] || len(a.Violations) > 0
		v.violations = append(v.violations, a.Violations...)
	}
	levels := levelNames(*f.Plan)
	for _, target := range f.Change.Targets {
		if _, known := f.Targets[target]; !known || lost[target] {
			continue // there is a no about the target already
		}
		if f.Baselines[target] == "" && !f.Live {
			v.noTarget(CheckCapture, target, "its state was not captured", "check the gate again")
		}
		for _, level := range levels {
			for step, s := range asked(*f.Plan)[level] {
				if !answered[place{target, level, step}] && (!f.Live || level != backout.LevelBaseline) {
					v.violations = append(v.violations, backout.Violation{
						Check: CheckPreflight, Target: target, Level: level,
						Reason: fmt.Sprintf("nobody said whether step %d (%s) would succeed", step+1, s.Uses), Fix: "check the gate again",
					})
				}
			}
		}
	}
}

// levelNames are the names under which steps stand, in the order of their lives.
func levelNames(p backout.Plan) []string {
	names := []string{backout.LevelBaseline}
	for _, l := range p.Levels {
		names = append(names, l.Name)
	}
	return names
}

// Looks are the cells of the table, in the order of the answers. A check that says
// no more than once in one place is one cell.
func Looks(answers []Answer) []Look {
	var out []Look
	known := map[Look]bool{}
	for _, a := range answers {
		if len(a.Violations) == 0 {
			out = append(out, Look{Target: a.Target, Level: a.Level, Check: a.Check, OK: true, Loses: a.Loses})
			continue
		}
		for _, no := range a.Violations {
			look := Look{Target: a.Target, Level: a.Level, Check: no.Check}
			if !known[look] {
				known[look] = true
				out = append(out, look)
			}
		}
	}
	return out
}
