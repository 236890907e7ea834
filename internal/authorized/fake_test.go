package authorized

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// fake stands for the engine: it has one change of each team and one that both share,
// with a rollback each, and remembers what it was asked.
type fake struct {
	mu    sync.Mutex
	calls []string
}

var (
	_ handlers.Changes   = (*fake)(nil)
	_ handlers.Baselines = (*fake)(nil)
	_ handlers.Rollbacks = (*fake)(nil)
	_ handlers.Rules     = (*fake)(nil)
	_ handlers.Control   = (*fake)(nil)
	_ handlers.Tokens    = (*fake)(nil)
	_ handlers.Insight   = (*fake)(nil)
	_ Replays            = (*fake)(nil)
)

var inventory = map[string]map[string]string{
	"web-1": {"team": "web", "env": "prod"}, "web-2": {"team": "web"}, "db-1": {"team": "db"}, "bare": {},
}

func labels(target string) map[string]string { return inventory[target] }

var changeTargets = map[string][]string{"WEB": {"web-1", "web-2"}, "DB": {"db-1"}, "BOTH": {"web-1", "db-1"}, "BARE": {"bare"}, "GONE": {"web-9"}, "NONE": nil}

func aChange(id string) backout.Change {
	// Whoever planned it says that it is the web team's, whatever it touches.
	return backout.Change{ChangeSpec: backout.ChangeSpec{ID: id, Targets: changeTargets[id], Labels: map[string]string{"team": "web"}}}
}

func aRollback(change string) backout.Rollback {
	r := backout.Rollback{ID: change + "-r1", ChangeID: change, Revision: 1}
	for _, t := range changeTargets[change] {
		r.Targets = append(r.Targets, backout.TargetState{Name: t})
	}
	return r
}

// aLog is the log of whatever has one.
func aLog() []handlers.LogEntry {
	return []handlers.LogEntry{{Seq: 1, Record: backout.Record{Events: []backout.Event{backout.Resumed{}}}}}
}

func ids() []string { return []string{"WEB", "DB", "BOTH", "BARE", "GONE", "NONE"} }

func (f *fake) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

// heard tells whether the call reached it.
func (f *fake) heard(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.calls, call)
}

func (f *fake) change(call, id string) (backout.Change, error) {
	f.note(call)
	if _, ok := changeTargets[id]; !ok {
		return backout.Change{}, backout.ErrNotFound
	}
	return aChange(id), nil
}

func (f *fake) rollback(call, id string) (backout.Rollback, error) {
	f.note(call)
	for _, change := range ids() {
		if id == change+"-r1" {
			return aRollback(change), nil
		}
	}
	return backout.Rollback{}, backout.ErrNotFound
}

func (f *fake) PlanChange(_ context.Context, _ handlers.Actor, spec backout.ChangeSpec) (backout.Change, error) {
	f.note("PlanChange")
	return backout.Change{ChangeSpec: spec}, nil
}

func (f *fake) ListChanges(context.Context, handlers.ChangeFilter) (out []backout.Change, err error) {
	f.note("ListChanges")
	for _, id := range ids() {
		out = append(out, aChange(id))
	}
	return out, nil
}

func (f *fake) Change(_ context.Context, id string) (backout.Change, error) {
	return f.change("Change", id)
}

func (f *fake) ChangeLog(context.Context, string) ([]handlers.LogEntry, error) {
	f.note("ChangeLog")
	return aLog(), nil
}

func (f *fake) CheckGate(context.Context, handlers.Actor, string) (handlers.GateResult, error) {
	f.note("CheckGate")
	return handlers.GateResult{}, nil
}

func (f *fake) OpenChange(_ context.Context, _ handlers.Actor, id string) (backout.Change, error) {
	return f.change("OpenChange", id)
}

func (f *fake) ExtendChange(_ context.Context, _ handlers.Actor, id string, _ time.Time, _ string) (backout.Change, error) {
	return f.change("ExtendChange", id)
}

func (f *fake) CloseChange(_ context.Context, _ handlers.Actor, id, _ string) (backout.Change, error) {
	return f.change("CloseChange", id)
}

func (f *fake) CancelChange(_ context.Context, _ handlers.Actor, id, _ string) (backout.Change, error) {
	return f.change("CancelChange", id)
}

func (f *fake) PatchStarted(_ context.Context, _ handlers.Actor, id string) (backout.Change, error) {
	return f.change("PatchStarted", id)
}

func (f *fake) PatchEnded(_ context.Context, _ handlers.Actor, id string, _ int, _ ...string) (backout.Change, error) {
	return f.change("PatchEnded", id)
}

func (f *fake) CaptureBaseline(_ context.Context, _ handlers.Actor, id string) (backout.Change, error) {
	return f.change("CaptureBaseline", id)
}

func (f *fake) Baseline(context.Context, string, string) (backout.Baseline, error) {
	f.note("Baseline")
	return backout.Baseline{}, nil
}

func (f *fake) Delta(context.Context, string, string) (backout.Delta, error) {
	f.note("Delta")
	return backout.Delta{}, nil
}

func (f *fake) Drift(context.Context, handlers.Actor, string, []string) ([]backout.Drift, error) {
	f.note("Drift")
	return nil, nil
}

func (f *fake) DriftReport(context.Context, string) (backout.Drift, error) {
	f.note("DriftReport")
	return backout.Drift{ChangeID: "WEB", Target: "web-1"}, nil
}

func (f *fake) Holds(context.Context, bool) (out []backout.Hold, err error) {
	f.note("Holds")
	for _, target := range []string{"web-1", "db-1", "bare", "web-9"} {
		out = append(out, backout.Hold{Target: target})
	}
	return out, nil
}

func (f *fake) ReleaseHold(context.Context, handlers.Actor, string, string, string) (backout.Hold, error) {
	f.note("ReleaseHold")
	return backout.Hold{}, nil
}

func (f *fake) ListRollbacks(context.Context, handlers.RollbackFilter) (out []backout.Rollback, err error) {
	f.note("ListRollbacks")
	for _, id := range ids() {
		out = append(out, aRollback(id))
	}
	return out, nil
}

func (f *fake) Rollback(_ context.Context, id string) (backout.Rollback, error) {
	return f.rollback("Rollback", id)
}

func (f *fake) RollbackLog(context.Context, string) ([]handlers.LogEntry, error) {
	f.note("RollbackLog")
	return aLog(), nil
}

func (f *fake) FollowRollback(_ context.Context, _ string, _ uint64, fn func(handlers.LogEntry) error) error {
	f.note("FollowRollback")
	if fn == nil {
		return nil
	}
	return fn(aLog()[0])
}

func (f *fake) StartRollback(_ context.Context, _ handlers.Actor, r handlers.StartRequest) (backout.Rollback, error) {
	return f.rollback("StartRollback", r.ChangeID+"-r1")
}

func (f *fake) Vote(_ context.Context, _ handlers.Actor, id, _ string, _ backout.Choice, _ string) (backout.Rollback, error) {
	return f.rollback("Vote", id)
}

func (f *fake) Act(_ context.Context, _ handlers.Actor, id string, _ handlers.Action) (backout.Rollback, error) {
	return f.rollback("Act", id)
}

func (f *fake) StepOutput(context.Context, string, string) ([]byte, error) {
	f.note("StepOutput")
	return nil, nil
}

func (f *fake) ListRules(context.Context) ([]handlers.RuleStatus, error) {
	f.note("ListRules")
	return []handlers.RuleStatus{{Rule: "r"}}, nil
}

func (f *fake) Explain(context.Context, handlers.ExplainRequest) (handlers.Explained, error) {
	f.note("Explain")
	return handlers.Explained{}, nil
}

func (f *fake) RedAlerts(_ context.Context, most int) (out []handlers.RedAlert, all int, err error) {
	f.note("RedAlerts")
	for _, target := range []string{"db-1", "web-9", "web-1", "bare", "web-2"} {
		out = append(out, handlers.RedAlert{Target: target})
	}
	return out[:min(most, len(out))], len(out), nil
}

func (f *fake) PromoteRule(context.Context, handlers.Actor, string, handlers.Promotion) (handlers.RuleStatus, error) {
	f.note("PromoteRule")
	return handlers.RuleStatus{}, nil
}

func (f *fake) JudgeRule(_ context.Context, _ handlers.Actor, id, _ string, _ backout.Judgement) (backout.Change, error) {
	return f.change("JudgeRule", id)
}

func (f *fake) History(context.Context, time.Time, time.Time, func(handlers.HistoryEntry) error) error {
	f.note("History")
	return nil
}

func (f *fake) Pause(context.Context, handlers.Actor, string) (handlers.PauseState, error) {
	f.note("Pause")
	return handlers.PauseState{}, nil
}

func (f *fake) Resume(context.Context, handlers.Actor, string) (handlers.PauseState, error) {
	f.note("Resume")
	return handlers.PauseState{}, nil
}

func (f *fake) PauseState(context.Context) (handlers.PauseState, error) {
	f.note("PauseState")
	return handlers.PauseState{}, nil
}

func (f *fake) Reload(context.Context) error {
	f.note("Reload")
	return nil
}

func (f *fake) Backup(context.Context, handlers.Actor, io.Writer) error {
	f.note("Backup")
	return nil
}

func (f *fake) Ready() error { return nil }

func (f *fake) Targets(context.Context) (out []backout.Target, err error) {
	f.note("Targets")
	for _, name := range []string{"web-1", "web-2", "db-1", "bare"} {
		out = append(out, backout.Target{Name: name, Labels: inventory[name]})
	}
	return out, nil
}

func (f *fake) NotifyTest(context.Context, handlers.Actor, handlers.TestNotice) (handlers.TestWords, error) {
	f.note("NotifyTest")
	return handlers.TestWords{}, nil
}

func (f *fake) Notices(context.Context) (out []handlers.NoticeStatus, err error) {
	f.note("Notices")
	for _, n := range []backout.Notice{
		{ID: "web", ChangeID: "WEB", Targets: []string{"web-1"}},
		{ID: "db", ChangeID: "DB", Targets: []string{"db-1"}},
		{ID: "of-web", ChangeID: "WEB"},
		{ID: "of-db", ChangeID: "DB"},
		{ID: "of-none", ChangeID: "NONE"},
		{ID: "of-nothing", ChangeID: "X"},
		{ID: "server"},
	} {
		out = append(out, handlers.NoticeStatus{Notice: n})
	}
	return out, nil
}

func (f *fake) Monitoring(context.Context) (handlers.MonitoringStatus, error) {
	f.note("Monitoring")
	return handlers.MonitoringStatus{}, nil
}

func (f *fake) Runners(context.Context) ([]handlers.RunnerStatus, error) {
	f.note("Runners")
	return nil, nil
}

func (f *fake) CreateToken(context.Context, handlers.Actor, handlers.TokenRequest) (handlers.NewToken, error) {
	return handlers.NewToken{}, nil
}

func (f *fake) ListTokens(context.Context, handlers.Actor, bool) ([]handlers.TokenStatus, error) {
	return nil, nil
}

func (f *fake) RevokeToken(context.Context, handlers.Actor, string, string) (handlers.TokenStatus, error) {
	return handlers.TokenStatus{}, nil
}

func (f *fake) GateAnswer(context.Context, string) (handlers.GateResult, error) {
	f.note("GateAnswer")
	return handlers.GateResult{}, nil
}

func (f *fake) RedHistory(context.Context, string) (handlers.RedHistory, error) {
	f.note("RedHistory")
	return handlers.RedHistory{}, nil
}

func (f *fake) RollbackNotices(context.Context, string) ([]handlers.NoticeStatus, error) {
	f.note("RollbackNotices")
	return nil, nil
}

func (f *fake) ReplayRules(context.Context, handlers.Actor, handlers.ReplayRequest) (ReplayAnswer, error) {
	f.note("ReplayRules")
	return ReplayAnswer{}, nil
}

func (f *fake) Examine(context.Context, handlers.Actor) ([]handlers.Health, error) {
	f.note("Examine")
	return nil, nil
}

func (f *fake) Watch(func()) (stop func()) { return func() {} }

func (f *fake) Offered(context.Context, handlers.Actor, backout.Rollback) []handlers.Offer {
	return nil
}
