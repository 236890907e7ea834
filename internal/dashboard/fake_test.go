package dashboard

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
)

// fake stands for everything behind the pages. Its fields are what it answers: a test
// fills them before it asks, and changes them by [fake.set] while pages are open. What
// is of a name that is in no map is not found. It stands behind the real
// [authorized.Wrap], so that who may see what is as it is.
type fake struct {
	mu    sync.Mutex
	calls []string
	// watchers are those of Watch, in their order; nil where they have stopped.
	watchers []func()

	// errs are what methods fail with, by their names. before is called before any
	// method answers, outside of the lock: it may wait for ctx.
	errs   map[string]error
	before func(ctx context.Context, method string)

	// labels are the inventory's, by target: a target that is not here has none.
	labels map[string]map[string]string

	changes    []backout.Change
	changeLogs map[string][]handlers.LogEntry
	gates      map[string]handlers.GateResult
	// baselines and deltas are by change and target, as in "CHG1/web-1".
	baselines map[string]backout.Baseline
	deltas    map[string]backout.Delta
	drifts    map[string]backout.Drift
	holds     []backout.Hold

	rollbacks []backout.Rollback
	logs      map[string][]handlers.LogEntry
	outputs   map[string][]byte
	// offers are what the core would take from anybody, by rollback.
	offers map[string][]handlers.Offer
	// onAct, onVote and onDo say what follows from what people do; nil means nothing.
	// onDo has the name of a method that changes a change, a hold or a rule.
	onAct  func(by handlers.Actor, id string, a handlers.Action) error
	onVote func(by handlers.Actor, id, ask string, choice backout.Choice, reason string) error
	onDo   func(by handlers.Actor, method, on, reason string) error

	rules []handlers.RuleStatus
	// explain answers Explain; nil means that nothing matches.
	explain func(handlers.ExplainRequest) (handlers.Explained, error)
	red     []handlers.RedAlert
	replay  authorized.ReplayAnswer
	history []handlers.HistoryEntry

	paused      handlers.PauseState
	monitoring  handlers.MonitoringStatus
	notReady    error
	targets     []backout.Target
	runners     []handlers.RunnerStatus
	undelivered []handlers.NoticeStatus
	notices     map[string][]handlers.NoticeStatus
	reds        map[string]handlers.RedHistory
	health      []handlers.Health
}

// services are the fake's, behind what asks who may.
func (f *fake) services() authorized.Services {
	return authorized.Wrap(authorized.Services{Changes: f, Baselines: f, Rollbacks: f, Rules: f, Control: f, Insight: f, Replays: f},
		authorized.Options{Labels: func(target string) map[string]string { return f.labels[target] }})
}

// set changes what the fake answers, and tells who watches.
func (f *fake) set(change func()) {
	f.mu.Lock()
	change()
	told := slices.Clone(f.watchers)
	f.mu.Unlock()
	for _, fn := range told {
		if fn != nil {
			fn()
		}
	}
}

// move changes one rollback, and tells who watches. What pages have of it stays as it was.
func (f *fake) move(i int, do func(r *backout.Rollback)) {
	f.set(func() {
		next := f.rollbacks[i]
		next.Targets = slices.Clone(next.Targets)
		do(&next)
		f.rollbacks = slices.Clone(f.rollbacks)
		f.rollbacks[i] = next
	})
}

// heard are the calls that begin with this, such as "Act" or "Vote approve".
func (f *fake) heard(beginning string) (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		if strings.HasPrefix(call, beginning) {
			out = append(out, call)
		}
	}
	return out
}

// enter notes the call, and locks the fake until leave is called.
func (f *fake) enter(ctx context.Context, method string, args ...any) (leave func(), err error) {
	if f.before != nil {
		f.before(ctx, method)
	}
	f.mu.Lock()
	f.calls = append(f.calls, strings.TrimSpace(method+" "+strings.TrimSuffix(fmt.Sprintln(args...), "\n")))
	if ctx.Err() != nil {
		return f.mu.Unlock, ctx.Err()
	}
	return f.mu.Unlock, f.errs[method]
}

// one answers with what has the key.
func one[T any](ctx context.Context, f *fake, method string, from *map[string]T, key string) (out T, err error) {
	leave, err := f.enter(ctx, method, key)
	defer leave()
	if err != nil {
		return out, err
	}
	out, ok := (*from)[key]
	if !ok {
		return out, fmt.Errorf("%s %q: %w", method, key, backout.ErrNotFound)
	}
	return out, nil
}

// all answers with a copy of the list.
func all[T any](ctx context.Context, f *fake, method string, list *[]T) ([]T, error) {
	leave, err := f.enter(ctx, method)
	defer leave()
	if err != nil {
		return nil, err
	}
	return slices.Clone(*list), nil
}

// do is one thing that somebody does to a change, a hold or a rule.
func (f *fake) do(ctx context.Context, by handlers.Actor, method, on, reason string) error {
	leave, err := f.enter(ctx, method, on, "by", by.Name+":", reason)
	leave()
	if err == nil && f.onDo != nil {
		err = f.onDo(by, method, on, reason)
	}
	return err
}

func (f *fake) PlanChange(ctx context.Context, by handlers.Actor, spec backout.ChangeSpec) (backout.Change, error) {
	return backout.Change{ChangeSpec: spec}, f.do(ctx, by, "PlanChange", spec.ID, "")
}

func (f *fake) ListChanges(ctx context.Context, filter handlers.ChangeFilter) ([]backout.Change, error) {
	list, err := all(ctx, f, "ListChanges", &f.changes)
	return slices.DeleteFunc(list, func(c backout.Change) bool {
		return filter.State != "" && c.State != filter.State || filter.ActiveOnly && c.State.Final() ||
			filter.Target != "" && !slices.Contains(c.Targets, filter.Target)
	}), err
}

func (f *fake) Change(ctx context.Context, id string) (backout.Change, error) {
	leave, err := f.enter(ctx, "Change", id)
	defer leave()
	if err != nil {
		return backout.Change{}, err
	}
	for i := range f.changes {
		if f.changes[i].ID == id {
			return f.changes[i], nil
		}
	}
	return backout.Change{}, fmt.Errorf("change %s: %w", id, backout.ErrNotFound)
}

func (f *fake) ChangeLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	return one(ctx, f, "ChangeLog", &f.changeLogs, id)
}

func (f *fake) CheckGate(ctx context.Context, by handlers.Actor, id string) (handlers.GateResult, error) {
	if err := f.do(ctx, by, "CheckGate", id, ""); err != nil {
		return handlers.GateResult{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gates[id], nil
}

// did is a change after something was done to it.
func (f *fake) did(ctx context.Context, by handlers.Actor, method, id, reason string) (backout.Change, error) {
	if err := f.do(ctx, by, method, id, reason); err != nil {
		return backout.Change{}, err
	}
	return f.Change(ctx, id)
}

func (f *fake) OpenChange(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	return f.did(ctx, by, "OpenChange", id, "")
}

func (f *fake) ExtendChange(ctx context.Context, by handlers.Actor, id string, closes time.Time, reason string) (backout.Change, error) {
	return f.did(ctx, by, "ExtendChange", id, closes.UTC().Format(time.RFC3339)+" "+reason)
}

func (f *fake) CloseChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	return f.did(ctx, by, "CloseChange", id, reason)
}

func (f *fake) CancelChange(ctx context.Context, by handlers.Actor, id, reason string) (backout.Change, error) {
	return f.did(ctx, by, "CancelChange", id, reason)
}

func (f *fake) PatchStarted(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	return f.did(ctx, by, "PatchStarted", id, "")
}

func (f *fake) PatchEnded(ctx context.Context, by handlers.Actor, id string, exitCode int, targets ...string) (backout.Change, error) {
	return f.did(ctx, by, "PatchEnded", id, fmt.Sprint(exitCode, targets))
}

func (f *fake) CaptureBaseline(ctx context.Context, by handlers.Actor, id string) (backout.Change, error) {
	return f.did(ctx, by, "CaptureBaseline", id, "")
}

func (f *fake) Baseline(ctx context.Context, change, target string) (backout.Baseline, error) {
	return one(ctx, f, "Baseline", &f.baselines, change+"/"+target)
}

func (f *fake) Delta(ctx context.Context, change, target string) (backout.Delta, error) {
	return one(ctx, f, "Delta", &f.deltas, change+"/"+target)
}

func (f *fake) Drift(ctx context.Context, by handlers.Actor, change string, targets []string) ([]backout.Drift, error) {
	return nil, f.do(ctx, by, "Drift", change, strings.Join(targets, " "))
}

func (f *fake) DriftReport(ctx context.Context, digest string) (backout.Drift, error) {
	return one(ctx, f, "DriftReport", &f.drifts, digest)
}

func (f *fake) Holds(ctx context.Context, released bool) ([]backout.Hold, error) {
	list, err := all(ctx, f, "Holds", &f.holds)
	return slices.DeleteFunc(list, func(h backout.Hold) bool { return !released && !h.ReleasedAt.IsZero() }), err
}

func (f *fake) ReleaseHold(ctx context.Context, by handlers.Actor, change, target, reason string) (backout.Hold, error) {
	return backout.Hold{ChangeID: change, Target: target}, f.do(ctx, by, "ReleaseHold", change+"/"+target, reason)
}

func (f *fake) ListRollbacks(ctx context.Context, filter handlers.RollbackFilter) ([]backout.Rollback, error) {
	method := "ListRollbacks"
	switch {
	case filter.Unreviewed:
		method = "ListUnreviewed" // so that a page counts once among what was heard
	case filter == (handlers.RollbackFilter{}):
		method = "ListAllRollbacks" // which is dear
	}
	list, err := all(ctx, f, method, &f.rollbacks)
	return slices.DeleteFunc(list, func(r backout.Rollback) bool {
		return filter.ChangeID != "" && r.ChangeID != filter.ChangeID || filter.ActiveOnly && r.Status.Final() || filter.Unreviewed && !r.Unreviewed()
	}), err
}

func (f *fake) Rollback(ctx context.Context, id string) (backout.Rollback, error) {
	leave, err := f.enter(ctx, "Rollback", id)
	defer leave()
	if err != nil {
		return backout.Rollback{}, err
	}
	for i := range f.rollbacks {
		if f.rollbacks[i].ID == id {
			return f.rollbacks[i], nil
		}
	}
	return backout.Rollback{}, fmt.Errorf("rollback %s: %w", id, backout.ErrNotFound)
}

func (f *fake) RollbackLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	return one(ctx, f, "RollbackLog", &f.logs, id)
}

func (f *fake) FollowRollback(ctx context.Context, id string, from uint64, fn func(handlers.LogEntry) error) error {
	leave, err := f.enter(ctx, "FollowRollback", id, "from", from)
	log := slices.Clone(f.logs[id])
	leave()
	for i := 0; i < len(log) && err == nil; i++ {
		if log[i].Seq > from {
			err = fn(log[i])
		}
	}
	return err
}

func (f *fake) StartRollback(ctx context.Context, by handlers.Actor, r handlers.StartRequest) (backout.Rollback, error) {
	return backout.Rollback{ID: r.ChangeID + "-r1", ChangeID: r.ChangeID}, f.do(ctx, by, "StartRollback", r.ChangeID, strings.Join(r.Targets, " ")+" "+r.Level+" "+r.Reason)
}

func (f *fake) Vote(ctx context.Context, by handlers.Actor, id, ask string, choice backout.Choice, reason string) (backout.Rollback, error) {
	leave, err := f.enter(ctx, "Vote", choice, ask, "on", id, "by", by.Name, "via", by.Via+":", reason)
	leave()
	if err == nil && f.onVote != nil {
		err = f.onVote(by, id, ask, choice, reason)
	}
	return backout.Rollback{ID: id}, err
}

func (f *fake) Act(ctx context.Context, by handlers.Actor, id string, a handlers.Action) (backout.Rollback, error) {
	leave, err := f.enter(ctx, "Act", a.Verb, "on", id, "ask="+a.AskID, "level="+a.Level, "attempt="+a.AttemptID, "verdict="+a.Verdict, "by", by.Name+":", a.Reason)
	leave()
	if err == nil && f.onAct != nil {
		err = f.onAct(by, id, a)
	}
	return backout.Rollback{ID: id}, err
}

func (f *fake) StepOutput(ctx context.Context, _, attempt string) ([]byte, error) {
	return one(ctx, f, "StepOutput", &f.outputs, attempt)
}

func (f *fake) ListRules(ctx context.Context) ([]handlers.RuleStatus, error) {
	return all(ctx, f, "ListRules", &f.rules)
}

func (f *fake) Explain(ctx context.Context, r handlers.ExplainRequest) (handlers.Explained, error) {
	leave, err := f.enter(ctx, "Explain", r.Fingerprint, r.Rule, r.ChangeIDs)
	leave()
	if err != nil || f.explain == nil {
		return handlers.Explained{}, err
	}
	return f.explain(r)
}

func (f *fake) RedAlerts(ctx context.Context, most int) ([]handlers.RedAlert, int, error) {
	list, err := all(ctx, f, "RedAlerts", &f.red)
	return list[:min(most, len(list))], len(list), err
}

func (f *fake) PromoteRule(ctx context.Context, by handlers.Actor, rule string, p handlers.Promotion) (handlers.RuleStatus, error) {
	return handlers.RuleStatus{Rule: rule}, f.do(ctx, by, "PromoteRule", rule+" "+string(p.Mode)+" "+p.Hash, p.Reason)
}

func (f *fake) JudgeRule(ctx context.Context, by handlers.Actor, change, rule string, j backout.Judgement) (backout.Change, error) {
	return f.did(ctx, by, "JudgeRule", change, fmt.Sprint(rule, " ", j.Agree, " ", j.Reason))
}

func (f *fake) History(ctx context.Context, _, _ time.Time, fn func(handlers.HistoryEntry) error) error {
	list, err := all(ctx, f, "History", &f.history)
	for i := 0; i < len(list) && err == nil; i++ {
		err = fn(list[i])
	}
	return err
}

func (f *fake) Pause(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	return f.paused, f.do(ctx, by, "Pause", "everything", reason)
}

func (f *fake) Resume(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	return f.paused, f.do(ctx, by, "Resume", "everything", reason)
}

func (f *fake) PauseState(ctx context.Context) (handlers.PauseState, error) {
	leave, err := f.enter(ctx, "PauseState")
	defer leave()
	return f.paused, err
}

func (f *fake) Reload(ctx context.Context) error {
	return f.do(ctx, handlers.ActorFrom(ctx), "Reload", "", "")
}

func (f *fake) Backup(ctx context.Context, by handlers.Actor, _ io.Writer) error {
	return f.do(ctx, by, "Backup", "", "")
}

func (f *fake) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notReady
}

func (f *fake) Targets(ctx context.Context) ([]backout.Target, error) {
	return all(ctx, f, "Targets", &f.targets)
}

func (f *fake) NotifyTest(ctx context.Context, by handlers.Actor, t handlers.TestNotice) (handlers.TestWords, error) {
	return handlers.TestWords{Channel: t.Channel, Sent: !t.DryRun}, f.do(ctx, by, "NotifyTest", t.Channel, "")
}

func (f *fake) Notices(ctx context.Context) ([]handlers.NoticeStatus, error) {
	return all(ctx, f, "Notices", &f.undelivered)
}

func (f *fake) Monitoring(ctx context.Context) (handlers.MonitoringStatus, error) {
	leave, err := f.enter(ctx, "Monitoring")
	defer leave()
	return f.monitoring, err
}

func (f *fake) Runners(ctx context.Context) ([]handlers.RunnerStatus, error) {
	return all(ctx, f, "Runners", &f.runners)
}

func (f *fake) GateAnswer(ctx context.Context, change string) (handlers.GateResult, error) {
	return one(ctx, f, "GateAnswer", &f.gates, change)
}

func (f *fake) RedHistory(ctx context.Context, change string) (handlers.RedHistory, error) {
	return one(ctx, f, "RedHistory", &f.reds, change)
}

func (f *fake) RollbackNotices(ctx context.Context, id string) ([]handlers.NoticeStatus, error) {
	leave, err := f.enter(ctx, "RollbackNotices", id)
	defer leave()
	return slices.Clone(f.notices[id]), err
}

func (f *fake) ReplayRules(ctx context.Context, by handlers.Actor, r handlers.ReplayRequest) (authorized.ReplayAnswer, error) {
	leave, err := f.enter(ctx, "ReplayRules", r.Rule, r.Since.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339), len(r.File), "by", by.Name)
	defer leave()
	return f.replay, err
}

func (f *fake) Offered(_ context.Context, _ handlers.Actor, r backout.Rollback) []handlers.Offer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.offers[r.ID])
}

func (f *fake) Examine(ctx context.Context, _ handlers.Actor) ([]handlers.Health, error) {
	return all(ctx, f, "Examine", &f.health)
}

func (f *fake) Watch(fn func()) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	place := len(f.watchers)
	f.watchers = append(f.watchers, fn)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.watchers[place] = nil
	}
}
