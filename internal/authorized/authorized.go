// Package authorized stands before the services that people ask: what somebody may
// not do never reaches them. HTTP and Slack both go through it, so neither can forget
// to ask.
//
// Who asks is the Actor of a call or, for what only reads, that of its context
// ([handlers.WithActor]). Without one nothing is allowed.
//
// Where something is done is told by the labels that the inventory gives to its
// targets. The labels of a change count for nothing here: whoever plans it writes
// them. To read and to stop, one of the targets is enough, so that whoever has a
// share in a change sees it and can hold it; anything else takes all that are touched.
// A target that is in no inventory any more has no labels: it takes a grant that holds
// everywhere, and so does what belongs to no target.
package authorized

import (
	"context"
	"log/slog"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

// Services are what people ask.
type Services struct {
	Changes   handlers.Changes
	Baselines handlers.Baselines
	Rollbacks handlers.Rollbacks
	Rules     handlers.Rules
	Control   handlers.Control
	Insight   handlers.Insight
	Replays   Replays
	// May tells whether somebody may do this to all of the targets that it takes, and
	// tells nobody that it was asked: it is for what is offered to people. It is set by
	// [Wrap].
	May func(by handlers.Actor, action access.Action, targets []string) bool
}

// Options are what it takes to tell who may.
type Options struct {
	// Labels returns the labels of a target: nil when there is no such target.
	Labels func(target string) map[string]string
	// Log is told of every refusal.
	Log *slog.Logger
	// Refused is told of every refusal too; nil for nobody.
	Refused func(ctx context.Context, r Refusal)
}

// Refusal is what somebody wanted and may not do.
type Refusal struct {
	By     handlers.Actor
	Action access.Action
	// Call names what was called, such as Vote; On is the change, the rollback or the
	// rule that it was about, and AskID the question that a vote was for.
	Call  string
	On    string
	AskID string
	// Err wraps [backout.ErrForbidden].
	Err error
}

// Wrap puts the check before every service.
func Wrap(s Services, o Options) Services {
	g := &guard{o: o, changes: s.Changes, rollbacks: s.Rollbacks}
	if g.o.Log == nil {
		g.o.Log = slog.New(slog.DiscardHandler)
	}
	return Services{
		Changes:   &changes{g, s.Changes},
		Baselines: &baselines{g, s.Baselines},
		Rollbacks: &rollbacks{g, s.Rollbacks},
		Rules:     &rules{g, s.Rules},
		Control:   &control{g, s.Control},
		Insight:   &insight{g, s.Insight},
		Replays:   &replays{g, s.Replays},
		May: func(by handlers.Actor, action access.Action, targets []string) bool {
			return g.judge(want{by: by, action: action}, targets) == nil
		},
	}
}

// guard asks [access.Authorize], and tells of what it refuses.
type guard struct {
	o         Options
	changes   handlers.Changes
	rollbacks handlers.Rollbacks
}

// want is what somebody wants to do, and to what.
type want struct {
	by     handlers.Actor
	action access.Action
	call   string
	on     string
	askID  string
}

func reading(ctx context.Context, call, on string) want {
	return want{by: handlers.ActorFrom(ctx), action: access.ActionRead, call: call, on: on}
}

// somewhere refuses what the actor may do nowhere, before anything is looked up.
func (g *guard) somewhere(ctx context.Context, w want) error {
	return g.told(ctx, w, access.Somewhere(w.by.Grants, w.action))
}

// everywhere refuses what is about the server as a whole.
func (g *guard) everywhere(ctx context.Context, w want) error {
	return g.told(ctx, w, access.Authorize(w.by.Grants, w.action, nil))
}

// targets refuses what the actor may not do to these targets.
func (g *guard) targets(ctx context.Context, w want, targets []string) error {
	return g.told(ctx, w, g.judge(w, targets))
}

func (g *guard) judge(w want, targets []string) error {
	places := make([]map[string]string, len(targets))
	for i, target := range targets {
		places[i] = g.o.Labels(target)
	}
	return access.Over(w.by.Grants, w.action, places)
}

// change refuses what the actor may not do to all of the change, and returns it.
func (g *guard) change(ctx context.Context, w want) (backout.Change, error) {
	if err := g.somewhere(ctx, w); err != nil {
		return backout.Change{}, err
	}
	c, err := g.changes.Change(ctx, w.on)
	if err != nil {
		return backout.Change{}, err
	}
	return c, g.targets(ctx, w, c.Targets)
}

// rollback refuses what the actor may not do to the rollback, and returns it.
func (g *guard) rollback(ctx context.Context, w want) (backout.Rollback, error) {
	if err := g.somewhere(ctx, w); err != nil {
		return backout.Rollback{}, err
	}
	r, err := g.rollbacks.Rollback(ctx, w.on)
	if err != nil {
		return backout.Rollback{}, err
	}
	return r, g.targets(ctx, w, names(r))
}

func names(r backout.Rollback) []string {
	out := make([]string, len(r.Targets))
	for i := range r.Targets {
		out[i] = r.Targets[i].Name
	}
	return out
}

// sees tells whether the actor may read what belongs to the targets. It is for lists:
// what it leaves out is no refusal.
func (g *guard) sees(ctx context.Context, targets []string) bool {
	return g.judge(reading(ctx, "", ""), targets) == nil
}

func (g *guard) told(ctx context.Context, w want, err error) error {
	if err == nil {
		return nil
	}
	g.o.Log.WarnContext(ctx, "refused", "by", w.by.Name, "via", w.by.Via, "token", w.by.TokenID, "action", string(w.action), "call", w.call, "on", w.on, "why", err)
	if g.o.Refused != nil {
		g.o.Refused(ctx, Refusal{By: w.by, Action: w.action, Call: w.call, On: w.on, AskID: w.askID, Err: err})
	}
	return err
}
