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
)

// Accept implements [handlers.Intake]: the alerts are on disk before anything is
// done with them, and handled before it returns.
func (e *Engine) Accept(ctx context.Context, in handlers.Delivery) error {
	now := time.Now().UTC()
	post := store.Post{Kind: in.Kind, Source: in.Source, ReceivedAt: now, Body: in.Body}
	if _, err := e.store.Alerts.Append(ctx, post); err != nil {
		return err
	}
	e.handle(in.Alerts, now)
	return nil
}

// replayedPost handles what the log hands over: at the start everything recent,
// later what other servers took in, and what this one stored and could not say
// so. Its own have been handled.
func (e *Engine) replayedPost(_ store.Position, p store.Post) error {
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
		e.world.observe(&alerts[i], p.ReceivedAt)
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
	for i := range alerts {
		a := &alerts[i]
		targets := e.world.observe(a, at)
		if a.Firing {
			e.judge(e.world.earliest(a), at)
			continue
		}
		for _, target := range targets {
			e.cancelResolved(target)
		}
	}
}

// judge asks the rules about one firing alert and follows their verdicts.
func (e *Engine) judge(a *backout.Alert, now time.Time) {
	result := e.cfg().Rules.Match(a, e.world, now)
	for _, problem := range result.Errors {
		e.metrics.ruleErrors.Inc()
		e.log.Warn("rule failed and counts as not matched", "rule", problem.Rule, "change_id", problem.ChangeID, "error", problem.Err)
	}
	for _, v := range result.Verdicts {
		if e.settled(v, a) {
			continue
		}
		e.metrics.verdicts.WithLabelValues(string(v.Mode)).Inc()
		e.spawn(func(ctx context.Context) { e.follow(ctx, v, a) })
	}
}

// settled tells from memory that the verdict adds nothing, so that an alert storm
// costs no append.
func (e *Engine) settled(v backout.Verdict, a *backout.Alert) bool {
	c, ok := e.changes.get(v.ChangeID)
	if !ok || !c.State.Live() {
		return true
	}
	if v.Mode == backout.ModeShadow {
		return !e.world.once(v, a)
	}
	if id := c.ActiveRollback(v.Target); id != "" {
		r, ok := e.rollbacks.get(id)
		return ok && slices.ContainsFunc(r.Evidence, func(ref backout.AlertRef) bool {
			return ref.Fingerprint == a.Fingerprint && ref.Target == v.Target
		})
	}
	return takenBack(c, v.Target)
}

// follow does what a verdict says.
func (e *Engine) follow(ctx context.Context, v backout.Verdict, a *backout.Alert) {
	c, ok := e.changes.get(v.ChangeID)
	if !ok {
		return
	}
	var err error
	id := c.ActiveRollback(v.Target)
	switch {
	case v.Mode == backout.ModeShadow:
		_, err = e.changeInput(ctx, c.ID, "", change.RecordVerdict{Verdict: v})
	case id != "":
		_, err = e.input(ctx, id, rollback.AlertSeen{Alert: alertRef(a, v.Target)})
	default:
		err = e.openByVerdict(ctx, c, v, a)
	}
	if err != nil && v.Mode == backout.ModeShadow {
		e.world.notRecorded(v)
	}
	lost := errors.Is(err, backout.ErrConflict) || errors.Is(err, backout.ErrRefused) || errors.Is(err, backout.ErrFinal)
	if err != nil && !lost && ctx.Err() == nil {
		// The pulse judges it again: an alert that still fires is not lost.
		e.log.Error("verdict not followed, judging again at the next pulse", "rule", v.Rule, "change_id", v.ChangeID, "target", v.Target, "error", err)
	}
}

func (e *Engine) openByVerdict(ctx context.Context, c backout.Change, v backout.Verdict, a *backout.Alert) error {
	targets := []string{v.Target}
	if v.Scope == backout.ScopeChange {
		targets = slices.DeleteFunc(slices.Clone(c.Targets), func(t string) bool {
			return c.ActiveRollback(t) != "" || takenBack(c, t)
		})
	}
	opened := backout.Opened{Targets: targets, Trigger: backout.Trigger{Verdict: &v}}
	var err error
	if opened.StartAt, err = levelIndex(c.Frozen.Plan, v.StartAt); err != nil {
		// A person decides; a rule that does not fit the plan must not go unheard.
		opened.AskFirst = fmt.Sprintf("rule %s wants to start at %s, which plan %s does not have", v.Rule, v.StartAt, c.Frozen.Plan.Name)
	}
	if v.Mode == backout.ModeAsk {
		opened.AskFirst = "rule " + v.Rule + " is in mode ask"
	}
	if until := a.StartsAt.Add(time.Duration(v.For)); v.For > 0 && until.After(time.Now()) {
		opened.StartAfter = until.UTC()
	}
	ref := alertRef(a, v.Target)
	opened.Alert = &ref
	r, err := e.openRollback(ctx, "", c, opened)
	if err == nil {
		// It may have resolved while the rollback was not there to be cancelled.
		e.cancelSettled(r)
	}
	return err
}

// cancelResolved cancels what has not started on a target that is not red any
// more.
func (e *Engine) cancelResolved(target string) {
	for _, c := range e.world.ChangesOn(target) {
		id := c.ActiveRollback(target)
		if r, ok := e.rollbacks.get(id); ok {
			e.cancelSettled(r)
		}
	}
}

// cancelSettled cancels a rollback that has not started and has no reason to any
// more. One older than what is remembered of alerts is left to people.
func (e *Engine) cancelSettled(r backout.Rollback) {
	unknown := time.Since(r.OpenedAt) > e.remember
	if r.Trigger.Verdict == nil || r.Status.Final() || r.Level >= 0 || unknown || e.stillRed(r) {
		return
	}
	e.spawn(func(ctx context.Context) { e.decided(ctx, r.ID, rollback.Resolved{}) })
}

// stillRed tells whether an alert that speaks for the rollback fires still.
func (e *Engine) stillRed(r backout.Rollback) bool {
	return slices.ContainsFunc(r.Evidence, func(ref backout.AlertRef) bool { return e.world.firing(ref.Target, ref.Fingerprint) })
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
	for _, target := range e.world.expire(now) {
		e.cancelResolved(target)
	}
	for _, a := range e.world.redOnLive() {
		if ctx.Err() != nil {
			return
		}
		e.judge(a, now)
	}
}

func alertRef(a *backout.Alert, target string) backout.AlertRef {
	return backout.AlertRef{
		Fingerprint: a.Fingerprint, Name: a.Name(), Target: target, StartsAt: a.StartsAt, Summary: clip(a.Annotations["summary"], 500),
	}
}

// takenBack tells whether a rollback of the change has handled the target
// already; the same change is not tried on it twice without a person.
func takenBack(c backout.Change, target string) bool {
	return slices.ContainsFunc(c.Rollbacks, func(ref backout.RollbackRef) bool {
		return ref.Status.Final() && ref.Status != backout.RollbackCancelled && slices.Contains(ref.Targets, target)
	})
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return string([]rune(s)[:min(n, len([]rune(s)))])
}
