package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// BaselineID names an errand's attempt of the n-th capture of a change's baseline,
// CleanupID of its n-th clean-up, ReleaseID of its n-th release of holds. part says
// where the step stands; see [LevelPart], [PartBaseline] and [PartCleanup]. Steps and
// targets count from 0. The ids are safe file names.
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

// The parts of a plan beside its levels, as ids of errands name them.
const (
	PartBaseline = "B"
	PartCleanup  = "C"
)

// LevelPart is the part of a level, which counts from 0.
func LevelPart(level int) string { return fmt.Sprintf("L%d", level+1) }

func errandID(changeID, kind string, n int, part string, step, target int) string {
	return fmt.Sprintf("%s-%s%d.%s.s%d.t%d", changeID, kind, n, part, step+1, target+1)
}

// errandForm is what follows the change in an errand's id.
var errandForm = regexp.MustCompile(`^-([bch])[0-9]{1,9}\.(L[1-9]|B|C)\.s([0-9]{1,4})\.t[0-9]{1,6}(\.[a-z]{1,16})?$`)

// kindsOf are the letters of the ids under which an errand may run. What a baseline
// that failed has made is cleaned up under its number.
var kindsOf = map[Errand]string{ErrandPrepare: "b", ErrandCleanup: "bc", ErrandRelease: "h"}

// Bound tells why the errand is none of the plan: what it is about does not stand
// there, or its attempt's id is another's. The step is one of the task's level, or for
// [backout.LevelBaseline] and [backout.LevelCleanup] one of those.
func Bound(p backout.Plan, errand Errand, t backout.Task) error {
	steps, part, err := stepsOf(p, errand, t.Level)
	if err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(t.AttemptID, t.ChangeID)
	m := errandForm.FindStringSubmatch(rest)
	if !ok || t.ChangeID == "" || m == nil || !strings.Contains(kindsOf[errand], m[1]) || m[2] != part {
		return fmt.Errorf("attempt %q is none of a %s at %s of change %s", t.AttemptID, errand, t.Level, t.ChangeID)
	}
	n, err := strconv.Atoi(m[3])
	if err != nil || n < 1 || n > len(steps) || !same(steps[n-1], t.Step) {
		return fmt.Errorf("its step %s is not step %s at %s of plan %q", t.Step.Uses, m[3], t.Level, p.Name)
	}
	return nil
}

func stepsOf(p backout.Plan, errand Errand, level string) (steps []backout.Step, part string, err error) {
	switch level {
	case backout.LevelBaseline:
		return p.Baseline.Steps, PartBaseline, nil
	case backout.LevelCleanup:
		if errand != ErrandCleanup {
			return nil, "", fmt.Errorf("there is no %s of a clean-up step", errand)
		}
		return p.Cleanup, PartCleanup, nil
	}
	for i, l := range p.Levels {
		if l.Name == level {
			return l.Steps, LevelPart(i), nil
		}
	}
	return nil, "", fmt.Errorf("plan %q has no level %q", p.Name, level)
}

// whole tells whether the errand is the whole step: it makes a baseline, or cleans
// up.
func whole(errand Errand, t backout.Task) bool {
	return errand == ErrandPrepare && t.Level == backout.LevelBaseline || errand == ErrandCleanup && t.Level == backout.LevelCleanup
}

func same(a, b backout.Step) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
