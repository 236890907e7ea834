package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/trigger"
)

// Accept implements [handlers.Intake]: the alerts are on disk before anything is
// done with them, and handled before it returns. A signed request is taken once: a
// repetition would count as red again what ended in the meantime.
func (e *Engine) Accept(ctx context.Context, in handlers.Delivery) error {
	now := time.Now().UTC()
	post := store.Post{Kind: in.Kind, Signature: in.Signature, Source: in.Source, ReceivedAt: now, Body: in.Body}
	if err := e.signed.take(in.Signature, now); err != nil {
		return err
	}
	if _, err := e.store.Alerts.Append(ctx, post); err != nil {
		e.signed.giveBack(in.Signature)
		return err
	}
	e.posted.Add(1)
	e.handle(in.Alerts, now)
	return nil
}

// replayedPost handles what the log hands over: at the start everything recent,
// later what other servers took in, and what this one stored and could not say
// so. Its own have been handled.
func (e *Engine) replayedPost(_ store.Position, p store.Post) error {
	e.posted.Add(1)
	seen := p.ReceivedAt
	if e.live.Load() {
		seen = time.Now() // another server's clock may be behind
	}
	if err := e.signed.take(p.Signature, seen); errors.Is(err, backout.ErrExists) {
		return nil // two servers took it before either heard of the other
	}
	alerts, err := decodePost(p)
	if err != nil {
		// It was accepted once; a newer decoder must not lose the rest over it.
		e.log.Warn("stored alerts cannot be decoded any more", "source", p.Source, "error", err)
		return nil
	}
	if e.live.Load() {
		e.handle(alerts, p.ReceivedAt)
		return nil
	}
	for i := range alerts {
		if !e.monitoring.takes(&alerts[i], p.ReceivedAt) {
			e.world.observe(&alerts[i], p.ReceivedAt)
		}
	}
	return nil
}

func decodePost(p store.Post) ([]backout.Alert, error) {
	if p.Kind == kindPostable {
		decoded, err := alertwire.DecodePostable(p.Body, p.ReceivedAt)
		return decoded.Alerts, err
	}
	decoded, err := alertwire.DecodeWebhook(p.Body)
	return decoded.Alerts, err
}

// kindPostable marks a post in the shape of Alertmanager's own API.
const kindPostable = "v2"

// handle notes what the alerts say and judges them.
func (e *Engine) handle(alerts []backout.Alert, at time.Time) {
	// The watchdog first: its end says what the ends beside it are worth.
	for i := range alerts {
		e.monitoring.takes(&alerts[i], at)
	}
	for i := range alerts {
		a := &alerts[i]
		if e.monitoring.is(a) {
			continue
		}
		targets := e.world.observe(a, at)
		if a.Firing {
			if len(targets) > 0 && !e.world.suppressed.knows(a.Fingerprint) {
				e.reddenSoon()
			}
			e.judge(e.world.earliest(a), at)
			continue
		}
		for _, target := range targets {
			e.onTarget(target, e.cancelResolved)
		}
	}
}

// judge asks the rules about one firing alert and follows their verdicts.
func (e *Engine) judge(a *backout.Alert, now time.Time) {
	if e.monitoring.is(a) {
		return // it came before the config said what it is
	}
	result := e.cfg().Rules.Match(a, e.world, now)
	for _, problem := range result.Errors {
		e.metrics.ruleErrors.Inc()
		e.failing.note(problem.Rule, problem.Err, now)
		var query queryError
		if errors.As(problem.Err, &query) && !e.queries.news(problem.Rule, now) {
			continue
		}
		e.log.Warn("rule failed and counts as not matched", "rule", problem.Rule, "change_id", problem.ChangeID, "error", problem.Err)
	}
	for _, w := range result.Waiting {
		e.queries.wants(w)
	}
	for _, v := range result.Verdicts {
		c, ok := e.caseOf(&v, a, now)
		if !ok {
			continue
		}
		e.throttles.matched(c)
		next := e.decide(c, &v)
		if e.settled(v, a, next) {
			continue
		}
		e.metrics.verdicts.WithLabelValues(string(v.Mode)).Inc()
		e.spawn(func(ctx context.Context) { e.follow(ctx, v, a, next) })
	}
}

// caseOf is what is decided on: the verdict with what its rule may do now, and its
// change as it stands; false when there is no such change.
func (e *Engine) caseOf(v *backout.Verdict, a *backout.Alert, now time.Time) (trigger.Case, bool) {
	c, ok := e.changes.get(v.ChangeID)
	throttle := e.may(v)
	return trigger.Case{Verdict: *v, Alert: a, Change: &c, Throttle: throttle, Now: now}, ok
}

// decide says what follows from a case, and notes on its verdict what stops the
// rule.
func (e *Engine) decide(c trigger.Case, v *backout.Verdict) trigger.Next {
	next := e.throttles.decide(c)
	v.Stopped, v.Moot = next.Stopped, next.Moot
	return next
}

// next says what follows from a verdict as things stand, and notes on it what
// stops the rule.
func (e *Engine) next(v *backout.Verdict, a *backout.Alert, now time.Time) trigger.Next {
	c, ok := e.caseOf(v, a, now)
	if !ok {
		return trigger.Next{Do: trigger.Nothing}
	}
	return e.decide(c, v)
}

// settled tells from memory that nothing is to be done, so that an alert storm
// costs no append.
func (e *Engine) settled(v backout.Verdict, a *backout.Alert, next trigger.Next) bool {
	switch next.Do {
	case trigger.Nothing:
		return true
	case trigger.Record:
		return !e.world.once(v, a)
	case trigger.Evidence:
		r, ok := e.rollbacks.get(next.RollbackID)
		return ok && slices.ContainsFunc(r.Evidence, func(ref backout.AlertRef) bool {
			return ref.Fingerprint == a.Fingerprint && ref.Target == v.Target
		})
	case trigger.Open:
	}
	return false
}

// follow does what a verdict says. A record that was decided on is written as it was;
// everything else is decided again on what is known now.
func (e *Engine) follow(ctx context.Context, v backout.Verdict, a *backout.Alert, next trigger.Next) {
	var err error
	mine := next.Do == trigger.Record // and counted as recorded
	if !mine {
		next, err = e.nextForSure(ctx, &v, a)
	}
	switch {
	case err != nil:
	case next.Do == trigger.Record && (mine || e.world.once(v, a)):
		_, err = e.changeInput(ctx, v.ChangeID, "", change.RecordVerdict{Verdict: v})
		if err != nil {
			e.world.notRecorded(v)
		}
	case next.Do == trigger.Evidence:
		_, err = e.input(ctx, next.RollbackID, rollback.AlertSeen{Alert: alertRef(a, v.Target)})
	case next.Do == trigger.Open:
		err = e.openByVerdict(ctx, v, a)
	}
	lost := errors.Is(err, backout.ErrConflict) || errors.Is(err, backout.ErrRefused) || errors.Is(err, backout.ErrFinal)
	if err != nil && !lost && ctx.Err() == nil {
		// The pulse judges it again: an alert that still fires is not lost.
		e.log.Error("verdict not followed, judging again at the next pulse", "rule", v.Rule, "change_id", v.ChangeID, "target", v.Target, "error", err)
	}
}

// nextForSure says what follows as things stand. Before a rollback is opened the store
// is asked what people let the rule do: this server may not have heard.
func (e *Engine) nextForSure(ctx context.Context, v *backout.Verdict, a *backout.Alert) (trigger.Next, error) {
	now := time.Now().UTC()
	next := e.next(v, a, now)
	if next.Do != trigger.Open {
		return next, nil
	}
	if _, err := e.readGrant(ctx, v.Rule); err != nil {
		return next, err
	}
	return e.next(v, a, now), nil
}

// openByVerdict opens a rollback, if that still follows on the change as it is when
// the rollback becomes part of its log: of two servers one passes.
func (e *Engine) openByVerdict(ctx context.Context, v backout.Verdict, a *backout.Alert) error {
	c, ok := e.changes.get(v.ChangeID)
	if !ok {
		return nil
	}
	throttle := e.may(&v)
	ref := alertRef(a, v.Target)
	decide := func(o *backout.Opened, now *backout.Change, at time.Time) error {
		said := v // it may be decided on more than once
		next := e.decide(trigger.Case{Verdict: v, Alert: a, Change: now, Throttle: throttle, Now: at}, &said)
		if next.Do != trigger.Open {
			return fmt.Errorf("rule %s on %s: %w: %s", v.Rule, v.Target, backout.ErrRefused, next.Stopped)
		}
		o.Targets, o.StartAt, o.AskFirst, o.StartAfter = next.Targets, next.StartAt, next.AskFirst, next.StartAfter
		o.Trigger.Verdict = &said
		return nil
	}
	opened := backout.Opened{Alert: &ref}
	r, err := e.begin(ctx, "", c, opening{opened: opened, decide: decide, across: acrossChanges(throttle)})
	if err == nil {
		// It may have resolved while the rollback was not there to be cancelled.
		e.cancelQuiet(r)
	}
	return err
}

// onTarget gives the rollbacks that are active on a target.
func (e *Engine) onTarget(target string, do func(r backout.Rollback)) {
	for _, c := range e.world.ChangesOn(target) {
		if r, ok := e.rollbacks.get(c.ActiveRollback(target)); ok {
			do(r)
		}
	}
}

// pulseLoop judges what is red again, for conditions that time alone makes true
// and for verdicts that could not be followed.
func (e *Engine) pulseLoop(ctx context.Context) {
	ticker := time.NewTicker(e.pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.judgeAll(ctx)
		}
	}
}

// judgeAll judges every firing alert on a target of a live change.
func (e *Engine) judgeAll(ctx context.Context) {
	now := time.Now().UTC()
	e.throttles.forget(now)
	for _, target := range e.world.expire(now) {
		e.onTarget(target, e.cancelUnconfirmed)
	}
	for _, a := range e.world.redOnLive() {
		if ctx.Err() != nil {
			return
		}
		e.judge(a, now)
	}
}

// judgeTarget judges again what fires on one target.
func (e *Engine) judgeTarget(target string) {
	now := time.Now().UTC()
	for _, a := range e.world.redSince(target, time.Time{}) {
		e.judge(a, now)
	}
}

func alertRef(a *backout.Alert, target string) backout.AlertRef {
	return backout.AlertRef{
		Fingerprint: a.Fingerprint, Name: a.Name(), Target: target, StartsAt: a.StartsAt, Summary: clip(a.Annotations["summary"], 500),
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return string([]rune(s)[:min(n, len([]rune(s)))])
}
