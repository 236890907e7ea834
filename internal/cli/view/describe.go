package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Line is one event in one line, for pipes and logs: time, whose, what, and the
// words. It never holds a line break.
func Line(entry handlers.LogEntry, i int) string {
	e := entry.Record.Events[i]
	return fmt.Sprintf("%s  %s  %-17s %s\n", entry.Record.At.UTC().Format(time.RFC3339), text(entry.ID), e.Kind(), Describe(e))
}

// Lines are the lines of every event of the entries.
func Lines(entries []handlers.LogEntry) string {
	var b strings.Builder
	for _, entry := range entries {
		for i := range entry.Record.Events {
			b.WriteString(Line(entry, i))
		}
	}
	return b.String()
}

// Describe says in one line what happened.
func Describe(e backout.Event) string {
	for _, describe := range []func(backout.Event) string{describeLevel, describeStep, describeTarget, describePeople, describeChange, describeReady} {
		if words := describe(e); words != "" {
			return words
		}
	}
	return e.Kind()
}

// LevelName is what people call the level of an index.
func LevelName(level int) string {
	if level < 0 {
		return "before L1"
	}
	return fmt.Sprintf("L%d", level+1)
}

func describeLevel(e backout.Event) string {
	switch e := e.(type) {
	case backout.Opened:
		return "opened for " + text(e.ChangeID) + " on " + names(e.Targets, 8) + because(trigger(e.Trigger))
	case backout.LevelEntered:
		return LevelName(e.Level) + " entered on " + names(e.Targets, 8) + because(e.Reason)
	case backout.ClockStarted:
		return LevelName(e.Level) + " has until " + stamp(e.Deadline)
	case backout.LevelOverdue:
		return LevelName(e.Level) + " is over its time while steps still run" + by(e.By)
	case backout.VerifyStarted:
		return LevelName(e.Level) + " has run, checks decide" + until(e.Deadline)
	case backout.LevelFailed:
		return LevelName(e.Level) + " did not bring back " + names(e.Targets, 8) + because(e.Cause) + by(e.By)
	case backout.Ended:
		return "ended " + rollbackSign(e.Status).word + because(e.Reason)
	}
	return ""
}

func describeStep(e backout.Event) string {
	switch e := e.(type) {
	case backout.StepRequested:
		return fmt.Sprintf("%s step %d on %s asked for (attempt %s)", LevelName(e.Level), e.Step+1, text(e.Target), text(e.AttemptID))
	case backout.StepStarted:
		return fmt.Sprintf("%s started by %s (attempt %s)", text(e.Target), text(carrier(e)), text(e.AttemptID)) + until(e.Deadline)
	case backout.StepTakenOver:
		return fmt.Sprintf("%s taken over by %s from %s (attempt %s)", text(e.Target), text(e.Runner), text(e.From), text(e.AttemptID))
	case backout.StepDone:
		return fmt.Sprintf("%s done (attempt %s)", text(e.Target), text(e.AttemptID)) + because(e.Outcome.Summary) + holds(e.Outcome.Held)
	case backout.StepFailed:
		return fmt.Sprintf("%s failed with exit code %d (attempt %s)", text(e.Target), e.Outcome.ExitCode, text(e.AttemptID)) + because(e.Reason)
	case backout.StepInDoubt:
		return fmt.Sprintf("%s in doubt (attempt %s)", text(e.Target), text(e.AttemptID)) + because(e.Reason)
	case backout.DoubtResolved:
		return fmt.Sprintf("%s resolved as %s (attempt %s)", text(e.Target), text(e.Verdict), text(e.AttemptID)) + by(e.By)
	case backout.StopRequested:
		return fmt.Sprintf("%s asked to stop (attempt %s)", text(e.Target), text(e.AttemptID)) + because(e.Reason)
	}
	return ""
}

// carrier is who runs the step: the runner near the target, or the server itself.
func carrier(e backout.StepStarted) string {
	if e.Via != "" {
		return e.Via
	}
	return e.Runner
}

func describeTarget(e backout.Event) string {
	switch e := e.(type) {
	case backout.TargetGreen:
		return text(e.Target) + " green since " + stamp(e.Since)
	case backout.TargetRed:
		return text(e.Target) + " red" + because(e.Reason)
	case backout.TargetBack:
		if e.Drift != nil {
			return text(e.Target) + " recovered, " + driftWords(e.Drift)
		}
		return text(e.Target) + " recovered"
	case backout.EvidenceAdded:
		return text(e.Alert.Name) + " on " + text(e.Alert.Target) + " added as evidence" + because(e.Alert.Summary)
	}
	return ""
}

func describePeople(e backout.Event) string {
	switch e := e.(type) {
	case backout.Asked:
		return "may " + LevelName(e.Ask.Level) + " start? " + Wanted(e.Ask.Policy) + until(e.Ask.Deadline) + because(e.Ask.Why)
	case backout.Voted:
		return text(e.Vote.User) + " voted " + text(string(e.Vote.Choice)) + via(e.Vote.Via) + because(e.Vote.Reason)
	case backout.Answered:
		return "answered: " + text(e.Outcome) + by(e.By)
	case backout.HeldBack:
		return "held" + by(e.By) + because(e.Reason) + ": needs a human"
	case backout.Released:
		return "let go on" + by(e.By) + because(e.Reason)
	case backout.Paused:
		return "clocks stand still" + by(e.By) + because(e.Reason)
	case backout.Resumed:
		return "clocks run again" + by(e.By)
	case backout.AbortRequested:
		return "abort asked" + by(e.By) + because(e.Reason)
	}
	return ""
}

func describeChange(e backout.Event) string {
	switch e := e.(type) {
	case backout.Planned:
		return "planned for " + names(e.Spec.Targets, 8) + " with plan " + text(e.Spec.Plan) + by(e.By)
	case backout.GateRefused:
		return "gate refused: " + reasons(e.Violations) + by(e.By)
	case backout.GatePassed:
		return "gate passed for plan " + shortHash(e.PlanHash) + until(e.ValidUntil)
	case backout.WindowOpened:
		return "window opened with plan " + shortHash(e.Frozen.Hash) + by(e.By)
	case backout.WindowExtended:
		return "window extended to " + stamp(e.Closes) + by(e.By) + because(e.Reason)
	case backout.PatchStarted:
		return "patching started" + by(e.By)
	case backout.PatchEnded:
		return fmt.Sprintf("patching ended with exit code %d", e.ExitCode) + by(e.By)
	case backout.TargetsPatched:
		return fmt.Sprintf("patching of %s ended with exit code %d", names(e.Targets, 8), e.ExitCode) + by(e.By)
	case backout.WatchStarted:
		return "watching until " + stamp(e.Until)
	case backout.RollbackRequested:
		return "rollback " + text(e.Opened.RollbackID) + " asked for on " + names(e.Opened.Targets, 8)
	case backout.RollbackEnded:
		return "rollback " + text(e.RollbackID) + " ended " + rollbackSign(e.Status).word
	case backout.VerdictGiven:
		return spoke(e.Verdict)
	case backout.RuleJudged:
		return judgedWords(e)
	case backout.ChangeEnded:
		return "ended " + changeSign(e.State).word + by(e.By) + because(strings.TrimPrefix(strings.TrimSuffix(e.Reason+"; "+e.Blind, "; "), "; "))
	}
	return ""
}

// describeReady describes what keeps the way back possible.
func describeReady(e backout.Event) string {
	switch e := e.(type) {
	case backout.BaselineBegan:
		why := ""
		if e.Opening {
			why = ", to open the window"
		}
		return fmt.Sprintf("baseline capture %d began on %s", e.Number, text(e.Server)) + why + by(e.By)
	case backout.BaselineCaptured:
		return fmt.Sprintf("baseline capture %d has %s", e.Number, count(len(e.Baselines), "target", "targets"))
	case backout.BaselineFailed:
		return fmt.Sprintf("baseline capture %d failed: %s", e.Number, reasons(e.Violations))
	case backout.DeltaCaptured:
		return "what the patch changed is known of " + names(slices.Sorted(maps.Keys(e.Deltas)), 8)
	case backout.ReadinessChanged:
		if len(e.Violations) == 0 {
			return "the way back would work again"
		}
		return "the way back would not work: " + reasons(e.Violations)
	}
	return ""
}

func holds(packages []string) string {
	if len(packages) == 0 {
		return ""
	}
	return ", holds " + names(packages, 8)
}

// Wanted says in words what an approval policy asks of people.
func Wanted(p backout.Approval) string {
	switch p.Mode {
	case backout.ApprovalRequired:
		return count(p.Votes, "approval", "approvals") + " of " + orNobody(p.Groups)
	case backout.ApprovalVeto:
		return "starts unless held within " + p.Veto.String()
	case backout.ApprovalNone:
		return "no approval"
	}
	return text(string(p.Mode))
}

func orNobody(groups []string) string {
	if len(groups) == 0 {
		return "nobody"
	}
	return names(groups, 0)
}

func trigger(t backout.Trigger) string {
	switch {
	case t.Verdict != nil:
		out := "rule " + t.Verdict.Rule + " on " + t.Verdict.AlertName
		if t.Verdict.Promoted != "" {
			out += ", " + t.Verdict.Promoted
		}
		return out
	case t.By != "":
		return "started by " + t.By + because(t.Reason)
	}
	return t.Reason
}

// reasons says each reason once, with the target when it is of one only, and counts
// what would make the line endless.
func reasons(vs []backout.Violation) string {
	type reason struct{ check, reason string }
	targets := map[reason][]string{}
	var order []reason
	for _, v := range vs {
		r := reason{v.Check, v.Reason}
		if _, ok := targets[r]; !ok {
			order = append(order, r)
		}
		targets[r] = append(targets[r], v.Target)
	}
	const few = 8
	left := max(0, len(order)-few)
	out := make([]string, 0, few+1)
	for _, r := range order[:len(order)-left] {
		on := ""
		switch all := targets[r]; {
		case len(all) > 1:
			on = " on " + count(len(all), "target", "targets")
		case all[0] != "":
			on = " on " + text(all[0])
		}
		out = append(out, text(r.check)+on+": "+text(r.reason))
	}
	if left > 0 {
		out = append(out, count(left, "more reason", "more reasons"))
	}
	return strings.Join(out, "; ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + text(reason)
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + text(who)
}

func via(channel string) string {
	if channel == "" {
		return ""
	}
	return " via " + text(channel)
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + stamp(t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shortHash is enough of a plan's hash to tell two apart by eye.
func shortHash(hash string) string {
	h := strings.TrimPrefix(Clean(hash), "sha256:")
	if len(h) > 12 {
		h = h[:12]
	}
	return orDash(h)
}
