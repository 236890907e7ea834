package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// ListRollbacks implements [handlers.Rollbacks]: the newest first.
func (e *Engine) ListRollbacks(ctx context.Context, f handlers.RollbackFilter) ([]backout.Rollback, error) {
	var out []backout.Rollback
	take := func(_ string, r backout.Rollback) {
		if (f.ChangeID == "" || f.ChangeID == r.ChangeID) && !(f.ActiveOnly && r.Status.Final()) && (!f.Unreviewed || r.Unreviewed()) {
			out = append(out, e.withRefusal(r))
		}
	}
	switch {
	case f.ActiveOnly, f.Unreviewed: // of which none is at rest
		e.rollbacks.awake(take)
	case f.ChangeID != "":
		c, _ := e.changes.get(f.ChangeID)
		for _, ref := range c.Rollbacks {
			if r, ok := e.rollbacks.get(ref.ID); ok {
				take(ref.ID, r)
			}
		}
	default:
		e.rollbacks.each(func(id string, v *version[backout.Rollback]) {
			if ctx.Err() == nil { // of years there is much to unpack
				take(id, e.rollbacks.open(v))
			}
		})
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	slices.SortFunc(out, func(a, b backout.Rollback) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// Rollback implements [handlers.Rollbacks].
func (e *Engine) Rollback(ctx context.Context, id string) (backout.Rollback, error) {
	r, ok := e.rollbacks.get(id)
	if !ok && !e.sole {
		e.rollbacks.catchUp(ctx)
		r, ok = e.rollbacks.get(id)
	}
	if !ok {
		return r, fmt.Errorf("rollback %q: %w", id, backout.ErrNotFound)
	}
	return e.withRefusal(r), nil
}

// withRefusal says of a rollback that is not final why it stands still, when it
// is the store that refuses, or no runner takes a step. No record can say so.
func (e *Engine) withRefusal(r backout.Rollback) backout.Rollback {
	if r.Status.Final() {
		return r
	}
	for _, t := range r.Targets {
		if t.Attempt == nil || t.Phase != backout.TargetRunning || t.Attempt.Runner != "" {
			continue
		}
		if why, ok := e.waiting.Load(t.Attempt.ID); ok {
			r.Reason = fmt.Sprintf("%s waits: %v", t.Name, why)
			break
		}
	}
	if why := e.rollbacks.refused.Load(); why != nil {
		r.Reason = *why
	}
	return r
}

// RollbackLog implements [handlers.Rollbacks].
func (e *Engine) RollbackLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	if _, err := e.Rollback(ctx, id); err != nil {
		return nil, err
	}
	return loadLog(ctx, e.store.Rollbacks, id)
}

// FollowRollback implements [handlers.Rollbacks].
func (e *Engine) FollowRollback(ctx context.Context, id string, from uint64, fn func(handlers.LogEntry) error) error {
	if _, err := e.Rollback(ctx, id); err != nil {
		return err
	}
	news, stop := e.watchers.add(id)
	defer stop()
	for {
		entries, err := e.store.Rollbacks.LoadAfter(ctx, id, from)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := fn(handlers.LogEntry{ID: entry.ID, Seq: entry.Seq, Record: entry.Record}); err != nil {
				return err
			}
			from = entry.Seq
			if ended(entry.Record) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ctx.Done():
			return fmt.Errorf("server stops: %w", backout.ErrUnavailable)
		case <-news:
		}
	}
}

func ended(rec backout.Record) bool {
	return slices.ContainsFunc(rec.Events, func(ev backout.Event) bool {
		_, is := ev.(backout.Ended)
		return is
	})
}

// StartRollback implements [handlers.Rollbacks].
func (e *Engine) StartRollback(ctx context.Context, by handlers.Actor, s handlers.StartRequest) (backout.Rollback, error) {
	c, err := e.upToDate(ctx, s.ChangeID)
	if err != nil {
		return backout.Rollback{}, err
	}
	switch {
	case !c.State.Live() || c.Frozen == nil:
		return backout.Rollback{}, fmt.Errorf("change %s is %s, only a live one is rolled back: %w", c.ID, c.State, backout.ErrRefused)
	case len(s.Targets) == 0:
		return backout.Rollback{}, fmt.Errorf("name the targets to roll back, nothing never means all: %w", backout.ErrInvalid)
	case s.Reason == "":
		return backout.Rollback{}, fmt.Errorf("say why: a rollback by hand needs a reason: %w", backout.ErrInvalid)
	}
	level, err := c.Frozen.Plan.LevelNamed(s.Level)
	if err != nil {
		return backout.Rollback{}, err
	}
	targets := slices.Compact(slices.Sorted(slices.Values(s.Targets)))
	opened := backout.Opened{
		Targets: targets, StartAt: level, Trigger: backout.Trigger{By: by.Name, Reason: s.Reason},
	}
	return e.openRollback(ctx, by.Name, c, opened)
}

// Vote implements [handlers.Rollbacks].
func (e *Engine) Vote(ctx context.Context, by handlers.Actor, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error) {
	return e.answer(ctx, id, func(r *backout.Rollback) rollback.Input {
		return rollback.Vote{AskID: askID, Vote: e.voteOf(by, r, choice, reason)}
	})
}

// Act implements [handlers.Rollbacks].
func (e *Engine) Act(ctx context.Context, by handlers.Actor, id string, a handlers.Action) (backout.Rollback, error) {
	if a.Verb == handlers.VerbBreakGlass {
		return e.answer(ctx, id, func(r *backout.Rollback) rollback.Input {
			return rollback.BreakGlass{AskID: a.AskID, Vote: e.voteOf(by, r, "", a.Reason)}
		})
	}
	in, err := e.actInput(ctx, by, id, a)
	if err != nil {
		return backout.Rollback{}, err
	}
	if a.AskID == "" || a.Verb == handlers.VerbReview {
		return e.known(ctx, id, in)
	}
	return e.answer(ctx, id, func(r *backout.Rollback) rollback.Input {
		return rollback.About{AskID: a.AskID, Vote: e.voteOf(by, r, backout.Choice(a.Verb), a.Reason), Do: in}
	})
}

func (e *Engine) actInput(ctx context.Context, by handlers.Actor, id string, a handlers.Action) (in rollback.Input, err error) {
	switch a.Verb {
	case handlers.VerbHold:
		in = rollback.Hold{By: by.Name, Reason: a.Reason}
	case handlers.VerbRelease:
		in = rollback.Release{By: by.Name, Reason: a.Reason, Level: a.Level, Approver: a.Approver, Since: a.Since}
	case handlers.VerbPause:
		in = rollback.Pause{By: by.Name, Reason: a.Reason}
	case handlers.VerbResume:
		if err := e.resumable(ctx); err != nil {
			return nil, fmt.Errorf("resume rollback %s: %w", id, err)
		}
		in = rollback.Resume{By: by.Name, Since: a.Since}
	case handlers.VerbEscalate:
		in = rollback.Escalate{By: by.Name, Reason: a.Reason, From: a.Level, Approver: a.Approver, Since: a.Since, Unheld: a.Unheld}
	case handlers.VerbAbort:
		in = rollback.Abort{By: by.Name, Reason: a.Reason}
	case handlers.VerbResolve:
		in = rollback.Resolve{AttemptID: a.AttemptID, Verdict: a.Verdict, By: by.Name}
	case handlers.VerbReview:
		in = rollback.Review{AskID: a.AskID, By: by.Name, Reason: clip(a.Reason, reasonMax)}
	case handlers.VerbBreakGlass: // Act itself
		fallthrough
	default:
		return nil, fmt.Errorf("verb %q is not known: %w", a.Verb, backout.ErrInvalid)
	}
	return in, nil
}

func (e *Engine) known(ctx context.Context, id string, in rollback.Input) (backout.Rollback, error) {
	if _, err := e.Rollback(ctx, id); err != nil {
		return backout.Rollback{}, err
	}
	return e.input(ctx, id, in)
}

// StepOutput implements [handlers.Rollbacks].
func (e *Engine) StepOutput(ctx context.Context, rollbackID, attemptID string) ([]byte, error) {
	if _, err := e.Rollback(ctx, rollbackID); err != nil {
		return nil, err
	}
	if live, ok := e.outputs.get(attemptID); ok {
		return live, nil
	}
	return e.store.Artifacts.GetOutput(ctx, attemptID)
}

// WatchRollbacks calls fn, which must not block, with the id of every rollback whose
// log has grown, on whichever server, until stop is called.
func (e *Engine) WatchRollbacks(fn func(id string)) (stop func()) { return e.watchers.addAll(fn) }

// watchers wakes who follows a rollback when its log has grown.
type watchers struct {
	mu   sync.Mutex
	byID map[string]map[chan struct{}]bool
	all  map[int]func(id string)
	next int
}

func newWatchers() *watchers { return &watchers{byID: map[string]map[chan struct{}]bool{}} }

func (w *watchers) add(id string) (news <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID[id] == nil {
		w.byID[id] = map[chan struct{}]bool{}
	}
	w.byID[id][ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.byID[id], ch)
		if len(w.byID[id]) == 0 {
			delete(w.byID, id)
		}
	}
}

func (w *watchers) addAll(fn func(id string)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(string){}
	}
	w.next++
	n := w.next
	w.all[n] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, n)
	}
}

func (w *watchers) tell(entry store.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fn := range w.all {
		fn(entry.ID)
	}
	for ch := range w.byID[entry.ID] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
