package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/recorded"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

const (
	// replayTime is how long one replay may take, replayWait how long another waits for
	// it: it keeps a processor busy, and rollbacks come first.
	replayTime = 30 * time.Second
	replayWait = 2 * time.Second
	// replayChanges is over how many changes rules are replayed, replaySays how many
	// things they may say, replayRows how many rows are told: all are held in memory.
	replayChanges = 10_000
	replaySays    = 200_000
	replayRows    = 5_000
	// pastedFile is what problems call a rule file that was pasted.
	pastedFile = "pasted.yaml"
)

var errReplayLate = fmt.Errorf("%w: the replay took longer than %s: choose a shorter time, or use backout rules replay", backout.ErrUnavailable, replayTime)

// ReplayRules implements [authorized.Replays].
func (i insight) ReplayRules(ctx context.Context, _ handlers.Actor, r handlers.ReplayRequest) (authorized.ReplayAnswer, error) {
	if err := checkReplayed(r, time.Now()); err != nil {
		return authorized.ReplayAnswer{}, err
	}
	done, err := i.app.replays.begin(ctx)
	if err != nil {
		return authorized.ReplayAnswer{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, replayTime, errReplayLate)
	defer cancel()
	out, err := i.replay(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out, err
}

func (i insight) replay(ctx context.Context, r handlers.ReplayRequest) (out authorized.ReplayAnswer, err error) {
	trial, notes, err := i.trial(ctx, r)
	if err != nil {
		return out, err
	}
	report, known, err := recorded.Run(ctx, recorded.Server(bounded{i.Engine}, r.Since, r.Until), trial)
	if errors.Is(err, recorded.ErrTooMuch) {
		err = fmt.Errorf("%w: the rules say more than %d things: choose a shorter time, or one rule, or use backout rules replay", backout.ErrInvalid, replaySays)
	}
	if err != nil {
		return out, err
	}
	if left := len(report.Rows) - replayRows; left > 0 {
		report.Rows = report.Rows[:replayRows:replayRows]
		notes = append(notes, fmt.Sprintf("%d more rows are left out; they are counted all the same", left))
	}
	return authorized.ReplayAnswer{Report: report, Notes: slices.Concat(known, notes)}, nil
}

// bounded is the history of a server for who has to keep what it tells of changes and
// rollbacks: not too many, and of rollbacks only what a report tells of them.
type bounded struct{ *engine.Engine }

// History implements [recorded.Reader].
func (b bounded) History(ctx context.Context, since, until time.Time, fn func(handlers.HistoryEntry) error) error {
	return b.HistoryOf(ctx, since, until, replayChanges, func(e handlers.HistoryEntry) error {
		if r := e.Rollback; r != nil {
			e.Rollback = &backout.Rollback{
				ID: r.ID, ChangeID: r.ChangeID, Status: r.Status, OpenedAt: r.OpenedAt, EndedAt: r.EndedAt,
				Trigger: backout.Trigger{By: r.Trigger.By, Reason: r.Trigger.Reason},
			}
		}
		return fn(e)
	})
}

// checkReplayed refuses times that no replay can be of.
func checkReplayed(r handlers.ReplayRequest, now time.Time) error {
	switch {
	case r.Since.IsZero() || r.Until.IsZero():
		return fmt.Errorf("%w: since and until are needed", backout.ErrInvalid)
	case !r.Since.Before(r.Until):
		return fmt.Errorf("%w: since must be before until", backout.ErrInvalid)
	case r.Until.After(now.Add(time.Minute)):
		return fmt.Errorf("%w: until is in the future, of which nothing is stored", backout.ErrInvalid)
	case len(r.File) > strictyaml.MaxBytes:
		return fmt.Errorf("%w: the file is larger than %d MiB: split it", backout.ErrInvalid, strictyaml.MaxBytes>>20)
	case r.Until.Sub(r.Since) > handlers.ReplayMost:
		return fmt.Errorf("%w: since and until are more than %d days apart: choose a shorter time, or use backout rules replay", backout.ErrInvalid, handlers.ReplayMost/(24*time.Hour))
	}
	return nil
}

// trial is the rule set that was asked for: the server's own, which may do what they may
// do now, or those of the file, which do what it says. The notes say what its answer will
// not know.
func (i insight) trial(ctx context.Context, r handlers.ReplayRequest) (t recorded.Trial, notes []string, err error) {
	l := i.app.running.Load()
	t = recorded.Trial{Rules: l.rules, Inventory: l.config.Inventory, Plans: l.config.Plans, Only: r.Rule, Most: replaySays}
	if l.config.Monitoring.On() {
		if t.Watchdog, err = rules.ParseMatchers(l.config.Monitoring.Watchdog); err != nil {
			return t, nil, fmt.Errorf("monitoring: %w", err)
		}
	}
	mode := func(rule rules.Rule) backout.Mode { return rule.Mode }
	if len(r.File) > 0 {
		notes = append(notes, "the rules may do in it what their file says: promotions, silences and plans' limits are not known")
		set, problems := pasted(r.File, l.config)
		if err := problems.Fatal(); err != nil {
			return t, nil, err
		}
		for _, p := range problems {
			notes = append(notes, p.String())
		}
		t.Rules = set
	} else {
		notes = append(notes, "the rules may do in it what they may do today: promotions, silences and plans' limits of that time are not known")
		if mode, err = i.modes(ctx); err != nil {
			return t, nil, err
		}
	}
	if _, known := t.Rules.Rule(r.Rule); r.Rule != "" && !known {
		return t, nil, fmt.Errorf("%w: rule %.128q is not among these rules", backout.ErrInvalid, r.Rule)
	}
	if slices.ContainsFunc(t.Rules.Uses(), func(u rules.Use) bool { return u.Name == rules.UsesQuery }) {
		notes = append(notes, "what Prometheus would have answered is not known: rules that ask it with prom() do not match")
	}
	t.Options = replay.Options{Until: r.Until, Modes: func(rule rules.Rule) backout.Mode {
		if r.Rule != "" && rule.Name != r.Rule {
			return backout.ModeShadow
		}
		return mode(rule)
	}}
	return t, notes, nil
}

// modes are what the server's rules may do now.
func (i insight) modes(ctx context.Context) (func(rules.Rule) backout.Mode, error) {
	list, err := i.ListRules(ctx)
	if err != nil {
		return nil, err
	}
	now := map[string]backout.Mode{}
	for _, rule := range list {
		now[rule.Rule] = rule.Mode
	}
	return func(rule rules.Rule) backout.Mode { return now[rule.Name] }, nil
}

// pasted loads a rule file that was pasted as if the config named it.
func pasted(file []byte, cfg *config.Config) (*rules.Set, backout.Problems) {
	set, problems := rules.Load(map[string][]byte{pastedFile: file})
	if problems.Fatal() == nil {
		problems = append(problems, checkUses(set, cfg)...)
		problems.Sort()
	}
	return set, problems
}

// replays lets one replay run at a time.
type replays struct{ running chan struct{} }

func newReplays() replays { return replays{make(chan struct{}, 1)} }

// begin waits a moment for the replay that runs. done lets the next one begin.
func (r replays) begin(ctx context.Context) (done func(), err error) {
	errBusy := fmt.Errorf("%w: another replay runs: come again in half a minute", backout.ErrUnavailable)
	ctx, cancel := context.WithTimeoutCause(ctx, replayWait, errBusy)
	defer cancel()
	select {
	case r.running <- struct{}{}:
		return func() { <-r.running }, nil
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return nil, cause
		}
		return nil, ctx.Err()
	}
}
