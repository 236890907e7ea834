package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/rollback"
)

// trial is one change, one rollback, and one fault in the middle of it.
type trial struct {
	g      *ground
	rng    *rand.Rand
	number int
	// replay is the command that draws the same again.
	replay string
	// patience is how long anything may take before the trial has failed.
	patience time.Duration

	change, id, plan string
	targets          []string
	held             bool
	fault            fault
	moment           moment

	began    time.Time
	timeline []string
	broken   []string
	// seen are the records that were read before the fault.
	seen []handlers.LogEntry
	// hit is when the fault began, gone when it had happened, back when the part
	// was started again.
	hit, gone, back time.Time
	changes, log    []handlers.LogEntry
	figures         figures
}

// moment is when the fault comes: so long after the n-th event of this kind.
type moment struct {
	kind  string
	n     int
	delay time.Duration
}

func (m moment) String() string {
	return fmt.Sprintf("%s after %s %d", m.delay.Round(time.Microsecond), m.kind, m.n)
}

// drawMoment covers the way of an alert to the end of its rollback.
func drawMoment(rng *rand.Rand, plan string) moment {
	moments := []moment{
		{kind: "posting", n: 1},
		{kind: "posted", n: 1},
		{kind: "opened", n: 1},
		{kind: "level_entered", n: 1},
		{kind: "step_requested", n: 1},
		{kind: "step_started", n: 1},
		{kind: "step_started", n: 2},
		{kind: "begin", n: 1},
		{kind: "begin", n: 2},
		{kind: "end", n: 1},
		{kind: "step_done", n: 1},
		{kind: "verify_started", n: 1},
		{kind: "target_green", n: 1},
	}
	if plan != "heals" {
		moments = append(moments, moment{kind: "level_failed", n: 1}, moment{kind: "level_entered", n: 2}, moment{kind: "begin", n: 4})
	}
	m := moments[rng.IntN(len(moments))]
	m.delay = upTo(rng, 50*time.Millisecond)
	if m.kind == "posting" {
		m.delay = upTo(rng, 8*time.Millisecond)
	}
	return m
}

func newTrial(g *ground, rng *rand.Rand, number int, draw func(*rand.Rand) fault) *trial {
	tr := &trial{
		g: g, rng: rng, number: number, patience: 30 * time.Second,
		plan: []string{"heals", "fails", "escalates"}[rng.IntN(3)], targets: chaosTargets[:2+rng.IntN(2)], held: rng.IntN(3) == 0,
	}
	if g.cluster != nil {
		tr.patience = 90 * time.Second
	}
	tr.change = fmt.Sprintf("%s-%d", g.sites[0].change, number)
	tr.id = tr.change + "-r1"
	tr.moment = drawMoment(rng, tr.plan)
	if g.runners != nil && rng.IntN(2) == 0 {
		// Nothing but the runners' target: what comes first after the fault is theirs.
		tr.targets, tr.moment.n = chaosTargets[1:2], min(tr.moment.n, 2)
	}
	tr.fault = draw(rng)
	tr.figures.kind = tr.fault.name
	return tr
}

func (tr *trial) note(format string, args ...any) {
	tr.timeline = append(tr.timeline, fmt.Sprintf("%8.3fs  ", time.Since(tr.began).Seconds())+fmt.Sprintf(format, args...))
}

func (tr *trial) fail(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	tr.broken = append(tr.broken, what)
	tr.note("BROKEN: %s", what)
}

// run carries the trial out and checks it. It reports whether the next one can
// follow.
func (tr *trial) run() (usable bool) {
	done := false
	defer func() {
		if !done || len(tr.broken) > 0 {
			tr.g.t.Error(tr.story())
		}
	}()
	tr.began = time.Now()
	tr.note("plan %s on %v, held %v, %s %s", tr.plan, tr.targets, tr.held, tr.fault.name, tr.moment)
	tr.g.calm()
	usable = tr.open() && tr.strike() && tr.settle()
	if tr.fault.after != nil {
		tr.fault.after()
	}
	if usable {
		tr.check()
	}
	tr.g.t.Logf("trial %d took %s: plan %s, held %v, %s %s", tr.number, time.Since(tr.began).Round(time.Millisecond), tr.plan, tr.held, tr.fault.name, tr.moment)
	done = true
	return usable
}

// open makes the change and opens its window.
func (tr *trial) open() bool {
	tr.g.touch(tr.g.file(tr.change, ""))
	if tr.held {
		tr.g.touch(tr.g.file(tr.change, ".hold"))
	}
	spec := backout.ChangeSpec{
		ID: tr.change, Title: "web shop 2.0", Targets: tr.targets, Plan: tr.plan, Owner: "ann",
		Window: backout.Window{Opens: time.Now(), Closes: time.Now().Add(time.Hour), Watch: backout.Duration(time.Hour)},
	}
	err := tr.g.call(tr.patience, "the window is open", func(ctx context.Context, c *client.Client) error {
		if _, err := c.Change(ctx, tr.change); err != nil {
			if _, err := c.PlanChange(ctx, spec); err != nil {
				return err
			}
		}
		change, err := c.OpenChange(ctx, tr.change)
		if err != nil {
			if change, err = c.Change(ctx, tr.change); err != nil {
				return err
			}
		}
		return notYet(!change.OpenedAt.IsZero())
	})
	if err != nil {
		tr.fail("%v", err)
		return false
	}
	tr.note("window open")
	return true
}

// red is the trial's own alert.
func (tr *trial) red() alert {
	a := shopDown(tr.targets[0])
	a.labels["change"] = tr.change
	return a
}

// post sends an alert until a server has taken it, as Alertmanager does.
func (tr *trial) post(a alert) error {
	return tr.g.call(tr.patience, "the alert is taken", func(_ context.Context, c *client.Client) error {
		code, body, err := a.deliver(tr.g.t, c.Server())
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d: %s", code, body)
		}
		return err
	})
}

// strike sends the alert and lets the fault happen at its moment.
func (tr *trial) strike() bool {
	if tr.fault.before != nil {
		tr.fault.before()
	}
	red := tr.red()
	posted := make(chan error, 1)
	go func() { posted <- tr.post(red) }()
	var err error
	if tr.moment.kind != "posting" {
		if err = <-posted; err == nil {
			tr.note("alert taken")
			err = tr.awaitMoment()
		}
		posted <- err
	}
	<-time.After(tr.moment.delay) // no event is waited for: the fault is to come at any point
	tr.hit = time.Now()
	tr.note("%s", tr.fault.name)
	tr.fault.hit()
	tr.gone = time.Now()
	<-time.After(tr.fault.down)
	tr.back = time.Now()
	tr.fault.heal()
	tr.note("the part is back")
	if err := errors.Join(<-posted, os.RemoveAll(tr.g.file(tr.change, ".hold"))); err != nil {
		tr.fail("%v", err)
		return false
	}
	return true
}

var errMoment = errors.New("this is the moment")

// awaitMoment returns when the moment has come, or the rollback is over. A held
// step may keep it from coming.
func (tr *trial) awaitMoment() error {
	m := tr.moment
	switch m.kind {
	case "posted":
		return nil
	case "begin", "end":
		for until := time.Now().Add(tr.momentPatience()); time.Now().Before(until); time.Sleep(time.Millisecond) {
			if strings.Count(read(tr.g.file(tr.change, "")), " "+m.kind+"\n") >= m.n {
				break
			}
		}
		return nil
	}
	count := 0
	err := tr.g.call(tr.patience, "the rollback is opened", func(_ context.Context, c *client.Client) error {
		ctx, cancel := context.WithTimeout(tr.g.t.Context(), tr.momentPatience())
		defer cancel()
		err := c.FollowRollback(ctx, tr.id, 0, client.Watcher{Entry: func(e handlers.LogEntry) error {
			tr.seen = append(tr.seen, e)
			for _, ev := range e.Record.Events {
				if ev.Kind() == m.kind {
					count++
				}
			}
			if count >= m.n {
				return errMoment
			}
			return nil
		}})
		if errors.Is(err, errMoment) || ctx.Err() != nil {
			return nil
		}
		return err
	})
	return err
}

// momentPatience is how long the moment is waited for.
func (tr *trial) momentPatience() time.Duration {
	if tr.held {
		return time.Second
	}
	return tr.patience
}

// settle waits until the rollback and its change have ended. What is in doubt is
// told to have happened as the target's file says.
func (tr *trial) settle() bool {
	var r backout.Rollback
	err := tr.g.call(tr.patience, "the rollback has ended", func(ctx context.Context, c *client.Client) (err error) {
		if r, err = c.Rollback(ctx, tr.id); err != nil {
			return err
		}
		for _, t := range r.Targets {
			if t.Phase == backout.TargetInDoubt {
				tr.resolve(ctx, c, t)
			}
		}
		if !r.Status.Final() {
			return fmt.Errorf("it is %s, level %d, %s, targets %+v", r.Status, r.Level+1, r.Reason, r.Targets)
		}
		change, err := c.Change(ctx, tr.change)
		if err == nil && !change.State.Final() {
			err = fmt.Errorf("the rollback is %s, its change still %s", r.Status, change.State)
		}
		return err
	})
	if err != nil {
		tr.figures.stuck++
		tr.fail("stuck: %v", err)
		return false
	}
	tr.note("the rollback is %s", r.Status)
	if r.Status != backout.RollbackRecovered {
		tr.fail("the rollback is %s: %s, want recovered", r.Status, r.Reason)
	}
	resolved := tr.red().resolved()
	if err := tr.post(resolved); err != nil {
		tr.fail("%v", err)
	}
	return true
}

func (tr *trial) resolve(ctx context.Context, c *client.Client, t backout.TargetState) {
	verdict := rollback.DoubtDidNot
	if strings.Contains(read(tr.g.file(tr.change, "")), t.Attempt.ID+" begin\n") {
		verdict = rollback.DoubtHappened
	}
	_, err := c.Act(ctx, tr.id, handlers.Action{Verb: handlers.VerbResolve, AttemptID: t.Attempt.ID, Verdict: verdict, Reason: "looked"})
	tr.note("%s is in doubt, a person says %s (%v)", t.Attempt.ID, verdict, err)
}

// story tells a failed trial, with what is needed to find out why.
func (tr *trial) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "trial %d: %s\nreplay: %s\n%s\n", tr.number, strings.Join(tr.broken, "; "), tr.replay, strings.Join(tr.timeline, "\n"))
	log := tr.log
	if log == nil {
		_ = tr.g.call(time.Second, "log", func(ctx context.Context, c *client.Client) (err error) {
			log, err = c.RollbackLog(ctx, tr.id)
			return err
		})
	}
	for _, e := range log {
		for _, ev := range e.Record.Events {
			fmt.Fprintf(&b, "%8.3fs  %d %s %+v\n", e.Record.At.Sub(tr.began).Seconds(), e.Seq, ev.Kind(), ev)
		}
	}
	fmt.Fprintf(&b, "effects:\n%s", read(tr.g.file(tr.change, "")))
	for _, srv := range tr.g.alive() {
		fmt.Fprintf(&b, "%s said at last:\n%s", srv.site.name, srv.said.tail(40))
	}
	for _, r := range tr.g.runners {
		fmt.Fprintf(&b, "%s said at last:\n%s", r.name, r.said.tail(40))
	}
	return b.String()
}
