package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/backup"
)

// fake is a server's services as far as the command line can tell. Ids choose
// what happens: a change called CHG-SHUT has a gate that says no.
type fake struct {
	mu         sync.Mutex
	changes    map[string]*backout.Change
	order      []string
	rolls      map[string]*backout.Rollback
	logs       map[string][]handlers.LogEntry
	pause      handlers.PauseState
	monitoring handlers.MonitoringStatus
	// lost is how many patch-ended calls fail before one is taken.
	lost  int
	ready readiness
}

var epoch = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

const evil = "\x1b]0;owned\x07\x1b[2Jreal\nbackout: recovered\u202e"

func newFake() *fake {
	f := &fake{changes: map[string]*backout.Change{}, rolls: map[string]*backout.Rollback{}, logs: map[string][]handlers.LogEntry{}}
	for _, id := range []string{"CHG-OK", "CHG-SHUT", "CHG-EVIL"} {
		f.add(backout.ChangeSpec{ID: id, Title: "openssl", Plan: "web", Targets: []string{"web-01", "web-02"}, Window: backout.Window{Opens: epoch, Closes: epoch.Add(time.Hour), Watch: backout.Duration(time.Hour)}}, backout.ChangePlanned)
	}
	f.changes["CHG-EVIL"].Title = evil
	f.monitoring = handlers.MonitoringStatus{
		Watched: true, Blind: true, BlindSince: epoch.Add(-10 * time.Minute), LastSeen: epoch.Add(-20 * time.Minute),
		Watchdog: `alertname="Watchdog"`, MissingAfter: backout.Duration(10 * time.Minute),
	}
	f.add(backout.ChangeSpec{ID: "CHG-OLD", Plan: "web"}, backout.ChangeClosed)
	f.add(backout.ChangeSpec{ID: "CHG-AUTO", Plan: "web", Window: backout.Window{Opens: time.Now().Add(time.Hour)}}, backout.ChangeReady)
	f.rollbacks()
	f.readiness()
	return f
}

func (f *fake) add(spec backout.ChangeSpec, state backout.ChangeState) {
	f.changes[spec.ID] = &backout.Change{ChangeSpec: spec, State: state, PlannedAt: epoch, Requester: "ana"}
	f.order = append(f.order, spec.ID)
	f.logs[spec.ID] = []handlers.LogEntry{{ID: spec.ID, Seq: 1, Record: backout.Record{Op: "p", At: epoch, Events: []backout.Event{backout.Planned{Spec: spec, By: "ana"}}}}}
}

// rollbacks makes one rollback for each way to end, with its log.
func (f *fake) rollbacks() {
	plan := backout.FrozenPlan{Hash: "sha256:7f3a9c0011223344", Plan: backout.Plan{Name: "web", Levels: []backout.Level{
		{Name: "L1", Summary: "uninstall the patch", EscalateAfter: backout.Duration(30 * time.Minute), Steps: []backout.Step{{Name: "undo", Uses: "command"}}},
		{Name: "L2", Summary: "restore the snapshot", Loses: "writes since 01:55", EscalateAfter: backout.Duration(30 * time.Minute), Steps: []backout.Step{{Uses: "command"}}, Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}}},
	}}}
	for id, status := range map[string]backout.RollbackStatus{
		"R-OK": backout.RollbackRecovered, "R-BAD": backout.RollbackExhausted, "R-HELD": backout.RollbackHeld, "R-ASK": backout.RollbackAwaiting, "R-RUN": backout.RollbackRunning,
	} {
		r := &backout.Rollback{ID: id, ChangeID: "CHG-OK", ChangeTitle: "openssl", Frozen: plan, Status: status, OpenedAt: epoch, Revision: 3, Targets: []backout.TargetState{{Name: "web-01", Phase: backout.TargetWaiting}}}
		events := []backout.Event{backout.LevelEntered{Level: 0, Targets: []string{"web-01"}, Reason: evil}}
		switch status {
		case backout.RollbackHeld:
			r.HeldReason, r.HeldAt = "nobody may approve", epoch
			events = append(events, backout.HeldBack{Reason: r.HeldReason})
		case backout.RollbackAwaiting:
			r.Ask = &backout.Ask{ID: "ask-1", Level: 1, Policy: plan.Plan.Levels[1].Approval, AskedAt: epoch}
			events = append(events, backout.Asked{Ask: *r.Ask})
		default:
			if status.Final() {
				r.EndedAt = epoch.Add(9 * time.Minute)
				events = append(events, backout.Ended{Status: status})
			}
		}
		f.rolls[id] = r
		f.logs[id] = []handlers.LogEntry{
			{ID: id, Seq: 2, Record: backout.Record{Op: "o", At: epoch, Events: []backout.Event{backout.Opened{RollbackID: id, ChangeID: "CHG-OK", Targets: []string{"web-01"}}}}},
			{ID: id, Seq: 3, Record: backout.Record{Op: "e", At: epoch.Add(time.Minute), Events: events}},
		}
	}
}

func (f *fake) PlanChange(_ context.Context, by handlers.Actor, spec backout.ChangeSpec) (backout.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes[spec.ID] != nil {
		return backout.Change{}, fmt.Errorf("plan %s: %w", spec.ID, backout.ErrExists)
	}
	f.add(spec, backout.ChangePlanned)
	f.changes[spec.ID].Requester = by.Name
	return *f.changes[spec.ID], nil
}

func (f *fake) ListChanges(_ context.Context, filter handlers.ChangeFilter) ([]backout.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []backout.Change
	for _, id := range f.order {
		if c := f.changes[id]; filter.State == "" || c.State == filter.State {
			out = append(out, *c)
		}
	}
	return out, nil
}

func (f *fake) Change(_ context.Context, id string) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error { f.look(c); return nil })
}

func (f *fake) change(id string, do func(*backout.Change) error) (backout.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.changes[id]
	if c == nil {
		return backout.Change{}, fmt.Errorf("change %s: %w", id, backout.ErrNotFound)
	}
	err := do(c)
	return *c, err
}

func (f *fake) log(id string) ([]handlers.LogEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logs[id] == nil {
		return nil, fmt.Errorf("%s: %w", id, backout.ErrNotFound)
	}
	return f.logs[id], nil
}

func (f *fake) ChangeLog(_ context.Context, id string) ([]handlers.LogEntry, error) { return f.log(id) }

var shut = []backout.Violation{
	{Check: "plan", Reason: "no plan is called \"web\"", Fix: "name one in plans:"},
	{Check: "targets", Target: "web-02", Level: "L2", Reason: "cannot be reached" + evil, Fix: "check its host key"},
}

func (f *fake) CheckGate(_ context.Context, _ handlers.Actor, id string) (handlers.GateResult, error) {
	if id == "CHG-SHUT" {
		return handlers.GateResult{ChangeID: id, Violations: shut}, nil
	}
	if id == "CHG-LOOK" {
		return lookedGate(), nil
	}
	return handlers.GateResult{ChangeID: id, Passed: true, PlanHash: "sha256:7f3a9c0011223344"}, nil
}

func (f *fake) OpenChange(_ context.Context, _ handlers.Actor, id string) (backout.Change, error) {
	f.lose(id)
	return f.change(id, func(c *backout.Change) error {
		if id == "CHG-SHUT" {
			return &backout.RefusedError{Violations: shut}
		}
		c.State, c.OpenedAt = backout.ChangeOpen, epoch
		return nil
	})
}

func (f *fake) ExtendChange(_ context.Context, _ handlers.Actor, id string, closes time.Time, _ string) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error { c.Window.Closes = closes; return nil })
}

func (f *fake) CloseChange(_ context.Context, _ handlers.Actor, id, _ string) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error { c.State, c.EndedAt = backout.ChangeClosed, epoch; return nil })
}

func (f *fake) CancelChange(_ context.Context, _ handlers.Actor, id, _ string) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error {
		if c.State.Final() {
			return fmt.Errorf("cancel %s: %w", id, backout.ErrFinal)
		}
		c.State, c.EndedAt = backout.ChangeCancelled, epoch
		return nil
	})
}

func (f *fake) PatchStarted(_ context.Context, by handlers.Actor, id string) (backout.Change, error) {
	return f.note(id, backout.PatchStarted{By: by.Name}, func(*backout.Change) {})
}

func (f *fake) PatchEnded(_ context.Context, by handlers.Actor, id string, code int, targets ...string) (backout.Change, error) {
	f.mu.Lock()
	if f.lost > 0 && len(targets) == 0 {
		f.lost--
		f.mu.Unlock()
		return backout.Change{}, backout.ErrUnavailable
	}
	f.mu.Unlock()
	if len(targets) > 0 {
		return f.note(id, backout.TargetsPatched{Targets: targets, ExitCode: code, By: by.Name}, func(c *backout.Change) {
			c.PatchedTargets = map[string]time.Time{}
			for _, t := range targets {
				c.PatchedTargets[t] = epoch
			}
		})
	}
	return f.note(id, backout.PatchEnded{ExitCode: code, By: by.Name}, func(c *backout.Change) {
		c.State, c.PatchedAt = backout.ChangeWatching, epoch
	})
}

func (f *fake) Monitoring(context.Context) (handlers.MonitoringStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.monitoring, nil
}

func (f *fake) note(id string, e backout.Event, do func(*backout.Change)) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error {
		do(c)
		f.logs[id] = append(f.logs[id], handlers.LogEntry{ID: id, Seq: uint64(len(f.logs[id]) + 1), Record: backout.Record{Op: "n", At: epoch, Events: []backout.Event{e}}})
		return nil
	})
}

func (f *fake) ListRollbacks(_ context.Context, filter handlers.RollbackFilter) ([]backout.Rollback, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []backout.Rollback
	for _, id := range []string{"R-ASK", "R-BAD", "R-HELD", "R-OK", "R-RUN"} {
		if r := f.rolls[id]; !filter.ActiveOnly || !r.Status.Final() {
			out = append(out, *r)
		}
	}
	return out, nil
}

func (f *fake) Rollback(_ context.Context, id string) (backout.Rollback, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rolls[id] == nil {
		return backout.Rollback{}, fmt.Errorf("rollback %s: %w", id, backout.ErrNotFound)
	}
	return *f.rolls[id], nil
}

func (f *fake) RollbackLog(_ context.Context, id string) ([]handlers.LogEntry, error) {
	return f.log(id)
}

func (f *fake) FollowRollback(ctx context.Context, id string, from uint64, fn func(handlers.LogEntry) error) error {
	entries, err := f.log(id)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Seq > from {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	if r, _ := f.Rollback(ctx, id); r.Status.Final() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) StartRollback(_ context.Context, by handlers.Actor, r handlers.StartRequest) (backout.Rollback, error) {
	return backout.Rollback{ID: r.ChangeID + "-r9", ChangeID: r.ChangeID, Status: backout.RollbackPending, Level: -1, Trigger: backout.Trigger{By: by.Name, Reason: r.Reason}, Reason: "started by hand at " + r.Level}, nil
}

func (f *fake) Vote(ctx context.Context, by handlers.Actor, id, ask string, choice backout.Choice, _ string) (backout.Rollback, error) {
	r, err := f.Rollback(ctx, id)
	if err != nil {
		return r, err
	}
	if r.Ask == nil || r.Ask.ID != ask {
		return r, fmt.Errorf("vote on %s: %w", ask, backout.ErrStale)
	}
	if by.Name != "ana" && by.Name != "local" {
		return r, fmt.Errorf("%s may not vote: %w", by.Name, backout.ErrRefused)
	}
	r.Ask, r.Reason = nil, "voted "+string(choice)+" by "+by.Name+" via "+by.Via
	r.Status = backout.RollbackRunning
	return r, nil
}

func (f *fake) Act(ctx context.Context, _ handlers.Actor, id string, a handlers.Action) (backout.Rollback, error) {
	r, err := f.Rollback(ctx, id)
	r.Reason = string(a.Verb) + " " + a.AttemptID + " " + a.Verdict + " " + a.Reason
	if f.pause.On && a.Verb == handlers.VerbEscalate {
		return r, backout.ErrPaused
	}
	return r, err
}

func (f *fake) StepOutput(context.Context, string, string) ([]byte, error) {
	return []byte("line one\n\x1b[31mline two\x1b[0m\n"), nil
}

func (f *fake) Pause(_ context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	f.pause = handlers.PauseState{On: true, By: by.Name, Reason: reason, At: time.Now()}
	return f.pause, nil
}

func (f *fake) Resume(context.Context, handlers.Actor, string) (handlers.PauseState, error) {
	f.pause = handlers.PauseState{}
	return f.pause, nil
}

func (f *fake) PauseState(context.Context) (handlers.PauseState, error) { return f.pause, nil }

func (f *fake) Reload(context.Context) error {
	return backout.Problems{{File: "rules/web.yaml", Line: 4, Column: 5, What: "unknown key \"levle\"", Fix: "did you mean \"level\"?"}}
}
func (f *fake) Ready() error { return nil }
func (f *fake) Targets(context.Context) ([]backout.Target, error) {
	return []backout.Target{{Name: "web-01", Address: "10.0.0.1", Transport: "ssh", Labels: map[string]string{"note": evil}}}, nil
}

func (f *fake) NotifyTest(_ context.Context, _ handlers.Actor, t handlers.TestNotice) (handlers.TestWords, error) {
	if t.Channel != "slack-ops" {
		return handlers.TestWords{}, fmt.Errorf("channel %s: %w", t.Channel, backout.ErrNotFound)
	}
	moment := cmp.Or(t.Moment, backout.MomentTest)
	if moment == backout.MomentExhausted {
		return handlers.TestWords{Channel: t.Channel, Error: "not_in_channel: invite the app" + evil}, nil
	}
	return handlers.TestWords{
		Channel: t.Channel, Sent: !t.DryRun, Subject: "[TEST] " + string(moment) + " " + t.Level, Text: "for " + t.Audience + "\n" + evil,
	}, nil
}

func (f *fake) Runners(context.Context) ([]handlers.RunnerStatus, error) {
	return []handlers.RunnerStatus{
		{Name: "fra-1", Site: "fra", Release: "v0.1.0", Alive: true, LastSeen: time.Now(), Running: 2, Slots: 32},
		{Name: "fra-2", Site: "fra", Release: "v0.1.0", LastSeen: time.Now().Add(-10 * time.Minute), Slots: 32},
	}, nil
}

func (f *fake) Notices(context.Context) ([]handlers.NoticeStatus, error) {
	return []handlers.NoticeStatus{{Channel: "mail", GivenUp: true, Tries: 12, Error: "550 no such user", Notice: backout.Notice{Moment: backout.MomentHeld, RollbackID: "R-HELD", At: epoch}}}, nil
}

func (f *fake) Backup(_ context.Context, _ handlers.Actor, w io.Writer) error {
	b, err := backup.NewWriter(w, backup.Header{Release: "1.2.3", Server: "fake", At: epoch})
	if err != nil {
		return err
	}
	err = errors.Join(b.Begin("KV_BACKOUT_CONTROL"), b.Add(backup.Message{Seq: 1, Subject: "$KV.BACKOUT_CONTROL.key", Time: epoch, Data: []byte("x")}))
	_, end := b.Close()
	return errors.Join(err, end)
}

func (f *fake) Accept(context.Context, handlers.Delivery) error { return nil }
