package told

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

func change(e backout.Event) Sentence {
	switch e := e.(type) {
	case backout.Planned:
		return say("planned for %s with plan %s", names(e.Spec.Targets, named), value(e.Spec.Plan)).by(e.By)
	case backout.GateRefused:
		return say("gate refused").by(e.By).and(": " + Reasons(e.Violations))
	case backout.GateRepeated:
		return say("gate asked again, and it said the same").by(e.By)
	case backout.GatePassed:
		return say("gate passed for plan %s", shortHash(e.PlanHash)).until(e.ValidUntil)
	case backout.WindowOpened:
		return say("window opened with plan %s", shortHash(e.Frozen.Hash)).by(e.By)
	case backout.WindowExtended:
		return say("window extended to ").at("", e.Closes).by(e.By).because(e.Reason)
	case backout.PatchStarted:
		return say("patching started").by(e.By)
	case backout.PatchEnded:
		return say("patching ended%s", exit(e.ExitCode)).by(e.By)
	case backout.TargetsPatched:
		return say("patching of %s ended%s", names(e.Targets, named), exit(e.ExitCode)).by(e.By)
	case backout.WatchStarted:
		return say("watching until ").at("", e.Until)
	case backout.RollbackRequested:
		return say("rollback %s opened for %s", value(e.Opened.RollbackID), names(e.Opened.Targets, named)).because(trigger(e.Opened.Trigger))
	case backout.RollbackEnded:
		return say("rollback %s ended %s", value(e.RollbackID), spaced(e.Status))
	case backout.VerdictGiven:
		return Verdict(e.Verdict)
	case backout.RuleJudged:
		word := "wrong"
		if e.Agree {
			word = "right"
		}
		return say("what rule %s said was found %s", value(e.Rule), word).by(e.By).because(e.Reason)
	case backout.ChangeEnded:
		return say("ended %s", spaced(e.State)).by(e.By).because(strings.TrimPrefix(strings.TrimSuffix(e.Reason+"; "+e.Blind, "; "), "; "))
	}
	return nil
}

// exit is how a patch command ended, unless it ended well.
func exit(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf(" with exit code %d", code)
}

// Verdict says what a rule said.
func Verdict(v backout.Verdict) Sentence {
	words := say("rule %s (%s) spoke of %s on %s", value(v.Rule), value(v.Mode), value(v.AlertName), value(v.Target)).because(strings.Join(v.Reasons, "; "))
	if v.Stopped != "" {
		words = words.and("; stopped").because(v.Stopped)
	}
	return words
}

// ready describes what keeps the way back possible.
func ready(e backout.Event) Sentence {
	switch e := e.(type) {
	case backout.BaselineBegan:
		words := say("baseline capture %d began on %s", e.Number, value(e.Server))
		if e.Opening {
			words = words.and(", to open the window")
		}
		return words.by(e.By)
	case backout.BaselineCaptured:
		return say("baseline capture %d has %s", e.Number, count(len(e.Baselines), "target"))
	case backout.BaselineFailed:
		return say("baseline capture %d failed: %s", e.Number, Reasons(e.Violations))
	case backout.DeltaCaptured:
		return say("what the patch changed is known of %s", names(slices.Sorted(maps.Keys(e.Deltas)), named))
	case backout.ReadinessChanged:
		if len(e.Violations) == 0 {
			return say("the way back would work again")
		}
		return say("the way back would not work: %s", Reasons(e.Violations))
	}
	return nil
}

// Reasons says each reason once, with the target when it is of one only, and counts
// what would make the line endless.
func Reasons(violations []backout.Violation) string {
	type reason struct{ check, reason string }
	targets := map[reason][]string{}
	var order []reason
	for _, v := range violations {
		r := reason{v.Check, v.Reason}
		if _, ok := targets[r]; !ok {
			order = append(order, r)
		}
		targets[r] = append(targets[r], v.Target)
	}
	left := max(0, len(order)-named)
	out := make([]string, 0, named+1)
	for _, r := range order[:len(order)-left] {
		on := ""
		switch all := targets[r]; {
		case len(all) > 1:
			on = " on " + count(len(all), "target")
		case all[0] != "":
			on = " on " + value(all[0])
		}
		out = append(out, value(r.check)+on+": "+value(r.reason))
	}
	if left > 0 {
		out = append(out, count(left, "more reason"))
	}
	return strings.Join(out, "; ")
}

// shortHash is enough of a plan's hash to tell two apart by eye.
func shortHash(hash string) string {
	h := strings.TrimPrefix(hash, "sha256:")
	switch {
	case h == "":
		return "-"
	case len(h) > 12:
		return h[:12]
	}
	return h
}
