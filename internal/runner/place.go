package runner

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
)

// The parts of a plan beside its levels, as ids of errands name them.
const (
	// PartBaseline is the plan's baseline steps.
	PartBaseline = "B"
	// PartCleanup is its clean-up steps.
	PartCleanup = "C"
)

// BaselineID names an errand's attempt of the n-th capture of a change's baseline,
// CleanupID of its n-th clean-up, ReleaseID of its n-th release of holds. part is
// [LevelPart] or one of the Part constants; steps and targets count from 0. The ids
// are safe file names.
func BaselineID(changeID string, n int, part string, step, target int) string {
	id := errandID(changeID, "b", n, part, step, target)
	if part != PartBaseline {
		id += ".prepare"
	}
	return id
}

// CleanupID is as in [BaselineID].
func CleanupID(changeID string, n int, part string, step, target int) string {
	return errandID(changeID, "c", n, part, step, target)
}

// ReleaseID is as in [BaselineID].
func ReleaseID(changeID string, n int, part string, step, target int) string {
	return errandID(changeID, "h", n, part, step, target)
}

// LevelPart is the part of a level, which counts from 0.
func LevelPart(level int) string { return fmt.Sprintf("L%d", level+1) }

func errandID(changeID, kind string, n int, part string, step, target int) string {
	return fmt.Sprintf("%s-%s%d.%s.s%d.t%d", changeID, kind, n, part, step+1, target+1)
}

// errandForm is what follows the change in an errand's id.
var errandForm = regexp.MustCompile(`^-[bch]\d{1,9}\.(L[1-9]|B|C)\.s(\d{1,4})\.t\d{1,6}(\.[a-z]{1,16})?$`)

// PlaceOf says where in its plan the step of an errand stands, by the attempt's id;
// false when it is not an errand's of the task's change.
func PlaceOf(t backout.Task) (part string, ok bool) {
	rest, ok := strings.CutPrefix(t.AttemptID, t.ChangeID)
	m := errandForm.FindStringSubmatch(rest)
	if !ok || t.ChangeID == "" || m == nil {
		return "", false
	}
	return m[1], true
}

// ErrandSteps are the steps of the plan that an errand of this task can be about:
// those of its level, or for a task without a level the plan's baseline steps or its
// clean-up steps. Where the id does not say which of the two, a clean-up errand
// is about a clean-up step if there is one like it.
func ErrandSteps(p backout.Plan, errand Errand, t backout.Task) (steps []backout.Step, part string) {
	if t.Level != "" {
		for i, l := range p.Levels {
			if l.Name == t.Level {
				return l.Steps, LevelPart(i)
			}
		}
		return nil, ""
	}
	part, _ = PlaceOf(t)
	switch {
	case part == PartCleanup, part != PartBaseline && errand == ErrandCleanup && holds(p.Cleanup, t.Step):
		return p.Cleanup, PartCleanup
	}
	return p.Baseline.Steps, PartBaseline
}

// whole tells whether the errand is the whole step: it makes a baseline, or cleans
// up.
func whole(p backout.Plan, errand Errand, t backout.Task) bool {
	_, part := ErrandSteps(p, errand, t)
	return errand == ErrandPrepare && part == PartBaseline || errand == ErrandCleanup && part == PartCleanup
}

func holds(steps []backout.Step, s backout.Step) bool {
	want, err := json.Marshal(s)
	for _, other := range steps {
		if got, failed := json.Marshal(other); err == nil && failed == nil && string(got) == string(want) {
			return true
		}
	}
	return false
}
