package told

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// Event says what happened. plan is the plan that is followed, so that its steps have
// names; nil when it is not known.
func Event(e backout.Event, plan *backout.Plan) Sentence {
	for _, of := range []func(backout.Event) Sentence{level, target, people, change, ready} {
		if words := of(e); words != nil {
			return words
		}
	}
	if words := step(e, plan); words != nil {
		return words
	}
	return say("%s", e.Kind())
}

// causes are why a level did not help, and left why the next one is entered then.
var (
	causes = map[string]string{"time": "its time was up", "failure": "a step failed", "manual": "it was given up"}
	left   = map[string]string{"time": "the time of the level before was up", "failure": "the level before failed", "manual": "the level before was given up"}
)

// LevelName is what people call the level of an index.
func LevelName(level int) string {
	if level < 0 {
		return "before L1"
	}
	return fmt.Sprintf("L%d", level+1)
}

// stepNamed is a step of a level, with what it does where that is known.
func stepNamed(plan *backout.Plan, level, step int) string {
	out := fmt.Sprintf("%s step %d", LevelName(level), step+1)
	if plan == nil || level < 0 || level >= len(plan.Levels) || step < 0 || step >= len(plan.Levels[level].Steps) {
		return out
	}
	s := plan.Levels[level].Steps[step]
	if s.Name != "" {
		return out + " (" + value(s.Name) + ")"
	}
	return out + " (" + value(s.Uses) + ")"
}

// tryOf says which try of which step the attempt is; empty where that is not known.
func tryOf(plan *backout.Plan, attempt string) string {
	parts := strings.Split(attempt, ".")
	if plan == nil || len(parts) < 5 {
		return ""
	}
	level, noLevel := number(parts[len(parts)-4], "L")
	step, noStep := number(parts[len(parts)-3], "s")
	try, noTry := number(parts[len(parts)-1], "a")
	if noLevel != nil || noStep != nil || noTry != nil {
		return ""
	}
	out := stepNamed(plan, level-1, step-1)
	if try > 1 {
		out += fmt.Sprintf(", try %d,", try)
	}
	return out
}

func number(part, letter string) (int, error) {
	digits, ok := strings.CutPrefix(part, letter)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(digits)
}

func level(e backout.Event) Sentence {
	switch e := e.(type) {
	case backout.Opened:
		return say("opened for %s on %s", value(e.ChangeID), names(e.Targets, named)).because(trigger(e.Trigger))
	case backout.LevelEntered:
		return say("%s entered on %s", LevelName(e.Level), names(e.Targets, named)).because(cmp.Or(left[e.Reason], e.Reason))
	case backout.ClockStarted:
		return say("%s has until ", LevelName(e.Level)).at("", e.Deadline)
	case backout.LevelOverdue:
		return say("%s is over its time while steps still run", LevelName(e.Level)).by(e.By)
	case backout.VerifyStarted:
		return say("%s has run, checks decide", LevelName(e.Level)).until(e.Deadline)
	case backout.LevelFailed:
		return say("%s did not bring back %s", LevelName(e.Level), names(e.Targets, named)).because(cmp.Or(causes[e.Cause], e.Cause)).by(e.By)
	case backout.Ended:
		return say("ended %s", spaced(e.Status)).because(e.Reason)
	}
	return nil
}

func step(e backout.Event, plan *backout.Plan) Sentence {
	on := func(target, attempt, what string) Sentence {
		if try := tryOf(plan, attempt); try != "" {
			return say("%s, %s %s", value(target), try, what)
		}
		return say("%s %s (attempt %s)", value(target), what, value(attempt))
	}
	switch e := e.(type) {
	case backout.StepRequested:
		if plan != nil {
			return on(e.Target, e.AttemptID, "asked for")
		}
		return say("%s on %s asked for (attempt %s)", stepNamed(plan, e.Level, e.Step), value(e.Target), value(e.AttemptID))
	case backout.StepStarted:
		return on(e.Target, e.AttemptID, "started by "+value(carrier(e))).until(e.Deadline)
	case backout.StepTakenOver:
		return on(e.Target, e.AttemptID, "taken over by "+value(e.Runner)+" from "+value(e.From))
	case backout.StepDone:
		words := on(e.Target, e.AttemptID, "done").because(e.Outcome.Summary)
		if len(e.Outcome.Held) > 0 {
			words = words.and(", holds " + names(e.Outcome.Held, named))
		}
		return words
	case backout.StepFailed:
		return on(e.Target, e.AttemptID, fmt.Sprintf("failed with exit code %d", e.Outcome.ExitCode)).because(e.Reason)
	case backout.StepInDoubt:
		return on(e.Target, e.AttemptID, "in doubt").because(e.Reason)
	case backout.DoubtResolved:
		return on(e.Target, e.AttemptID, "resolved as "+value(e.Verdict)).by(e.By)
	case backout.StopRequested:
		return on(e.Target, e.AttemptID, "asked to stop").because(e.Reason)
	}
	return nil
}

// carrier is who runs the step: the runner near the target, or the server itself.
func carrier(e backout.StepStarted) string {
	if e.Via != "" {
		return e.Via
	}
	return e.Runner
}

func target(e backout.Event) Sentence {
	switch e := e.(type) {
	case backout.TargetGreen:
		return say("%s green since ", value(e.Target)).at("", e.Since)
	case backout.TargetRed:
		return say("%s red", value(e.Target)).because(e.Reason)
	case backout.TargetBack:
		words := say("%s recovered", value(e.Target))
		if e.Drift != nil {
			words = words.and(", " + spaced(e.Drift.Verdict)).because(e.Drift.Summary)
		}
		return words
	case backout.EvidenceAdded:
		return say("%s on %s added as evidence", value(e.Alert.Name), value(e.Alert.Target)).because(e.Alert.Summary)
	}
	return nil
}
