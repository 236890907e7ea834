package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/explain"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/trigger"
)

// Explain implements [handlers.Rules]. It notes nothing: neither the alert nor that
// rules matched it.
func (e *Engine) Explain(ctx context.Context, r handlers.ExplainRequest) (handlers.Explained, error) {
	x := explaining{e: e, cfg: e.cfg(), at: time.Now().UTC(), named: r.ChangeIDs}
	if !r.At.IsZero() {
		x.past = r.At.Before(x.at)
		x.at = r.At.UTC()
	}
	var names []string
	if r.Rule != "" {
		if _, ok := x.cfg.Rules.Rule(r.Rule); !ok {
			return handlers.Explained{}, fmt.Errorf("rule %q: %w", r.Rule, backout.ErrNotFound)
		}
		names = []string{r.Rule}
	}
	if err := x.look(ctx, r); err != nil {
		return handlers.Explained{}, err
	}
	out := explain.Answer(x.cfg.Rules, explain.Question{Alert: x.alert, At: x.at, Rules: names, World: &x, Follows: x.follows})
	x.finish(out.Rules)
	out.Notes = x.notes
	var err error
	out.Said, err = x.said(ctx, r.Rule)
	return out, err
}

// finish says of rules that did not match what they may do, and that what waits for a
// query is worth another try.
func (x *explaining) finish(list []handlers.ExplainedRule) {
	waiting := false
	for i := range list {
		waiting = waiting || list[i].Waiting
		if r, ok := x.cfg.Rules.Rule(list[i].Rule); ok && !list[i].Matched {
			list[i].Mode, _, _ = x.e.earned(r)
		}
	}
	if waiting {
		x.note("Prometheus is being asked a query: ask again in a moment")
	}
}

// explaining is one explanation on its way. It implements [rules.World].
type explaining struct {
	e     *Engine
	cfg   *Config
	at    time.Time
	past  bool
	alert *backout.Alert
	// named are the changes asked for; none means those on the alert's targets.
	named   []string
	changes []*backout.Change
	notes   []string
	pause   store.PauseState
}

func (x *explaining) note(format string, args ...any) {
	x.notes = append(x.notes, fmt.Sprintf(format, args...))
}

// look finds the alert, the changes and the pause switch.
func (x *explaining) look(ctx context.Context, r handlers.ExplainRequest) error {
	err := x.findAlert(ctx, r)
	if err == nil {
		err = x.findChanges(ctx)
	}
	if err == nil && !x.past {
		x.pause, err = x.e.store.Control.Pause(ctx)
	}
	if x.past {
		x.note("evidence, signals, queries and promotions are those of now: what they were at %s is kept nowhere; the pause switch, limits and throttles are left out", x.at.Format(time.RFC3339))
	}
	return err
}

// findAlert takes the alert that is given, or the one that was seen.
func (x *explaining) findAlert(ctx context.Context, r handlers.ExplainRequest) error {
	if r.Alert == nil {
		return x.findSeen(ctx, r.Fingerprint)
	}
	a := *r.Alert
	if len(a.Labels) == 0 {
		return fmt.Errorf("alert: no labels: %w", backout.ErrInvalid)
	}
	a.Fingerprint = alertwire.Fingerprint(a.Labels)
	if a.StartsAt.IsZero() {
		a.StartsAt = x.at
		x.note("the alert names no start: it begins at the moment asked about")
	}
	x.alert = &a
	if !x.past && a.Firing {
		// Whoever judges it takes the earliest start that anybody has told.
		x.alert = x.e.world.earliest(&a)
	}
	return nil
}

// follows says what would follow from a verdict, at the moment asked about.
func (x *explaining) follows(v *backout.Verdict) explain.Outcome {
	if m := x.cfg.Monitoring; m != nil && m.Watchdog.Match(x.alert) {
		return explain.Outcome{Next: trigger.Next{Do: trigger.Nothing, Stopped: "the alert is the watchdog, which is evidence against nothing", Moot: true}}
	}
	i := slices.IndexFunc(x.changes, func(c *backout.Change) bool { return c.ID == v.ChangeID })
	if i < 0 {
		return explain.Outcome{Next: trigger.Next{Do: trigger.Nothing}}
	}
	c := *x.changes[i]
	if c.Frozen == nil {
		c.Frozen = &backout.FrozenPlan{}
	}
	throttle := x.e.may(v)
	asked := trigger.Case{Verdict: *v, Throttle: throttle, Alert: x.alert, Change: &c, Now: x.at}
	if x.past {
		return explain.Outcome{Next: trigger.Decide(asked, trigger.NewBook())}
	}
	next := explain.Outcome{Next: x.e.throttles.decide(asked)}
	if next.Do != trigger.Open {
		return next
	}
	if c.Frozen.Plan.Limits != (backout.Limits{}) {
		if why := x.e.limit(c, next.Targets); why != "" {
			next.AskFirst = why
		}
	}
	if x.pause.On {
		next.Holds = append(next.Holds, "the pause switch: everything is paused by "+x.pause.By+": "+x.pause.Reason)
	}
	return next
}
