package change

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// beginCapture lets one server at a time make what the way back needs. The one
// that began it is waited for until its lease is over; only that server itself
// knows sooner that nobody carries it on.
func beginCapture(c backout.Change, in Input, do BeginCapture) ([]backout.Event, error) {
	if do.Server == "" {
		return nil, invalid("the server that captures has no name")
	}
	if !shut(c.State) {
		return nil, refused("baselines are captured before the window opens; it is %s", c.State)
	}
	if do.Opening {
		if err := withinWindow(c.Window, in.At); err != nil {
			return nil, err
		}
	}
	if u := c.Capture; u != nil && in.At.Before(leaseEnd(*u)) && !(do.Resumed && u.Server == do.Server) {
		return nil, fmt.Errorf("%w: server %s captures its baselines since %s: try again when that has ended; after %s it counts as given up",
			backout.ErrConflict, u.Server, clock(u.BeganAt), clock(leaseEnd(*u)))
	}
	return []backout.Event{backout.BaselineBegan{Number: c.Captures + 1, Server: do.Server, By: in.By, Opening: do.Opening}}, nil
}

func leaseEnd(u backout.Capture) time.Time { return u.BeganAt.Add(backout.BaselineLease) }

func captured(c backout.Change, do Captured) ([]backout.Event, error) {
	if !shut(c.State) {
		return nil, refused("baselines are captured before the window opens; it is %s", c.State)
	}
	if err := underWay(c, do.Number); err != nil {
		return nil, err
	}
	if err := whole(c, do.Baselines); err != nil {
		return nil, err
	}
	return []backout.Event{backout.BaselineCaptured{Number: do.Number, Baselines: maps.Clone(do.Baselines)}}, nil
}

// captureFailed is silent about a capture that is not under way any more: another
// one counts by then.
func captureFailed(c backout.Change, do CaptureFailed) ([]backout.Event, error) {
	if len(do.Violations) == 0 {
		return nil, invalid("a capture that failed gives no reason")
	}
	if underWay(c, do.Number) != nil {
		return nil, nil
	}
	return []backout.Event{backout.BaselineFailed{Number: do.Number, Violations: slices.Clone(do.Violations), Answer: do.Answer}}, nil
}

// captureGivenUp ends a capture whose lease is over.
func captureGivenUp(c backout.Change, at time.Time) []backout.Event {
	if !shut(c.State) || c.Capture == nil || at.Before(leaseEnd(*c.Capture)) {
		return nil
	}
	return []backout.Event{backout.BaselineFailed{Number: c.Capture.Number, Violations: []backout.Violation{{
		Check:  "capture",
		Reason: fmt.Sprintf("server %s began to capture the baselines at %s and did not end within %s", c.Capture.Server, clock(c.Capture.BeganAt), backout.Duration(backout.BaselineLease)),
		Fix:    "look whether the server is well, then capture again",
	}}}}
}

// underWay tells whether this very capture still counts.
func underWay(c backout.Change, number int) error {
	if c.Capture == nil || c.Capture.Number != number {
		return fmt.Errorf("%w: capture %d of its baselines does not count any more", backout.ErrConflict, number)
	}
	return nil
}

// whole tells whether there is a digest for every target and for nothing else.
func whole(c backout.Change, digests map[string]string) error {
	for _, t := range c.Targets {
		if digests[t] == "" {
			return refused("target %s was not captured: ask the gate again", t)
		}
	}
	for t := range digests {
		if !slices.Contains(c.Targets, t) {
			return invalid("target %q does not belong to the change", t)
		}
	}
	return nil
}

// recordDeltas takes what the patch changed, once for each target: what is known is
// never replaced, least of all by what a rollback has changed meanwhile. What was
// seen before patching ended does not count after it; see [stillCounting].
func recordDeltas(c backout.Change, do RecordDeltas) ([]backout.Event, error) {
	if !c.State.Live() {
		return nil, refused("what the patch changed is captured while it is open or watched; it is %s", c.State)
	}
	fresh := map[string]string{}
	for t, digest := range do.Deltas {
		switch {
		case !slices.Contains(c.Targets, t):
			return nil, invalid("target %q does not belong to the change", t)
		case digest == "":
			return nil, invalid("the delta of target %s has no digest", t)
		case !do.PatchedAt.Equal(c.PatchedOn(t)):
			return nil, fmt.Errorf("%w: patching of %s ended while it was looked what the patch changed: look again", backout.ErrConflict, t)
		case c.Deltas[t] == "":
			fresh[t] = digest
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	return []backout.Event{backout.DeltaCaptured{Deltas: fresh}}, nil
}

// readiness notes when other checks say no than before. The same no in other words
// ("81 % full", "82 % full") is no news; to who asked, it is an answer.
func readiness(c backout.Change, in Input, do Readiness) ([]backout.Event, error) {
	switch {
	case !c.State.Live():
		return nil, refused("readiness is watched while it is open or watched; it is %s", c.State)
	case !SameChecks(c.NotReady, do.Violations):
		return []backout.Event{backout.ReadinessChanged{Violations: slices.Clone(do.Violations), Answer: do.Answer}}, nil
	case in.By != "":
		return []backout.Event{backout.GateRepeated{Answer: do.Answer, By: in.By}}, nil
	}
	return nil, nil
}

// SameChecks tells whether the same checks say no in both, of the same targets and
// levels, whatever their words.
func SameChecks(a, b []backout.Violation) bool { return slices.Equal(saying(a), saying(b)) }

// saying are the checks that say no, and where, in one order.
func saying(vs []backout.Violation) []backout.Violation {
	out := make([]backout.Violation, len(vs))
	for i, v := range vs {
		out[i] = backout.Violation{Check: v.Check, Target: v.Target, Level: v.Level}
	}
	slices.SortFunc(out, func(a, b backout.Violation) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Level, b.Level), cmp.Compare(a.Check, b.Check))
	})
	return slices.Compact(out)
}

// Stale says why the gate's yes is worth nothing any more; empty while it holds,
// and where there is none. planHash is that of the change's plan as it is now. A
// yes from before the last capture of baselines is stale too: the capture ends it.
func Stale(c backout.Change, planHash string, at time.Time) string {
	switch {
	case c.State != backout.ChangeReady:
		return ""
	case planHash == "":
		return "its plan is not there any more"
	case c.Certified != "" && c.Certified != planHash:
		return "its plan has changed since"
	case !c.ValidUntil.IsZero() && !at.Before(c.ValidUntil):
		return "it was valid until " + clock(c.ValidUntil)
	}
	return ""
}
