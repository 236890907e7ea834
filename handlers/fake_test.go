package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// fake stands for the engine: it remembers what it was asked, in order, and
// answers with what the test put in.
type fake struct {
	mu    sync.Mutex
	calls []string

	err        error
	accepted   []Delivery
	onAccept   func(context.Context, Delivery) error
	change     backout.Change
	changes    []backout.Change
	log        []LogEntry
	gate       GateResult
	rollback   backout.Rollback
	rollbacks  []backout.Rollback
	follow     func(ctx context.Context, from uint64, fn func(LogEntry) error) error
	output     []byte
	paused     PauseState
	monitoring MonitoringStatus
	backup     func(context.Context, io.Writer) error
	slow       func(context.Context) error
	notReady   error
}

func (f *fake) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fake) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fake) Accept(ctx context.Context, d Delivery) error {
	if f.onAccept != nil {
		return f.onAccept(ctx, d)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.accepted = append(f.accepted, d)
	}
	return f.err
}

func (f *fake) PlanChange(_ context.Context, by Actor, spec backout.ChangeSpec) (backout.Change, error) {
	return backout.Change{ChangeSpec: spec, State: backout.ChangePlanned}, f.note("plan %s by %s", spec.ID, by.Name)
}

func (f *fake) ListChanges(_ context.Context, filter ChangeFilter) ([]backout.Change, error) {
	return f.changes, f.note("list changes %q %q", filter.State, filter.Target)
}

func (f *fake) Change(_ context.Context, id string) (backout.Change, error) {
	return f.change, f.note("change %s", id)
}

func (f *fake) ChangeLog(_ context.Context, id string) ([]LogEntry, error) {
	return f.log, f.note("change log %s", id)
}

func (f *fake) CheckGate(_ context.Context, by Actor, id string) (GateResult, error) {
	return f.gate, f.note("gate %s by %s", id, by.Name)
}

func (f *fake) OpenChange(ctx context.Context, by Actor, id string) (backout.Change, error) {
	err := f.note("open %s by %s", id, by.Name)
	if f.slow != nil {
		err = f.slow(ctx)
	}
	return f.change, err
}

func (f *fake) CaptureBaseline(_ context.Context, by Actor, id string) (backout.Change, error) {
	return f.change, f.note("capture %s by %s", id, by.Name)
}

func (f *fake) Baseline(_ context.Context, id, target string) (backout.Baseline, error) {
	return backout.Baseline{}, f.note("baseline %s %s", id, target)
}

func (f *fake) Delta(_ context.Context, id, target string) (backout.Delta, error) {
	return backout.Delta{}, f.note("delta %s %s", id, target)
}

func (f *fake) Drift(ctx context.Context, by Actor, id string, targets []string) ([]backout.Drift, error) {
	err := f.note("drift %s %v by %s", id, targets, by.Name)
	if f.slow != nil {
		err = f.slow(ctx)
	}
	return nil, err
}

func (f *fake) DriftReport(_ context.Context, digest string) (backout.Drift, error) {
	return backout.Drift{}, f.note("drift report %s", digest)
}

func (f *fake) Holds(_ context.Context, all bool) ([]backout.Hold, error) {
	return nil, f.note("holds %v", all)
}

func (f *fake) ReleaseHold(_ context.Context, by Actor, id, target, reason string) (backout.Hold, error) {
	return backout.Hold{}, f.note("release %s %s by %s: %s", id, target, by.Name, reason)
}

func (f *fake) ExtendChange(_ context.Context, by Actor, id string, closes time.Time, reason string) (backout.Change, error) {
	return f.change, f.note("extend %s by %s to %s: %s", id, by.Name, closes.UTC().Format(time.RFC3339), reason)
}

func (f *fake) CloseChange(_ context.Context, by Actor, id, reason string) (backout.Change, error) {
	return f.change, f.note("close %s by %s: %s", id, by.Name, reason)
}

func (f *fake) CancelChange(_ context.Context, by Actor, id, reason string) (backout.Change, error) {
	return f.change, f.note("cancel %s by %s: %s", id, by.Name, reason)
}

func (f *fake) PatchStarted(_ context.Context, by Actor, id string) (backout.Change, error) {
	return f.change, f.note("patch started %s by %s", id, by.Name)
}

func (f *fake) PatchEnded(_ context.Context, by Actor, id string, exitCode int, targets ...string) (backout.Change, error) {
	return f.change, f.note("patch ended %s by %s: %d %v", id, by.Name, exitCode, targets)
}

func (f *fake) Monitoring(context.Context) (MonitoringStatus, error) {
	return f.monitoring, f.note("monitoring")
}

func (f *fake) ListRollbacks(_ context.Context, filter RollbackFilter) ([]backout.Rollback, error) {
	note := "list rollbacks %q %v"
	if filter.Unreviewed {
		note += " unreviewed"
	}
	return f.rollbacks, f.note(note, filter.ChangeID, filter.ActiveOnly)
}

func (f *fake) Rollback(_ context.Context, id string) (backout.Rollback, error) {
	return f.rollback, f.note("rollback %s", id)
}

func (f *fake) RollbackLog(_ context.Context, id string) ([]LogEntry, error) {
	return f.log, f.note("rollback log %s", id)
}

func (f *fake) FollowRollback(ctx context.Context, id string, from uint64, fn func(LogEntry) error) error {
	if err := f.note("follow %s from %d", id, from); err != nil || f.follow == nil {
		return err
	}
	return f.follow(ctx, from, fn)
}

func (f *fake) StartRollback(_ context.Context, by Actor, r StartRequest) (backout.Rollback, error) {
	return f.rollback, f.note("start %s %v %s by %s: %s", r.ChangeID, r.Targets, r.Level, by.Name, r.Reason)
}

func (f *fake) Vote(_ context.Context, by Actor, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error) {
	return f.rollback, f.note("vote %s on %s %s by %s %v via %s: %s", choice, id, askID, by.Name, by.Groups, by.Via, reason)
}

func (f *fake) Act(_ context.Context, by Actor, id string, a Action) (backout.Rollback, error) {
	return f.rollback, f.note("act %s on %s by %s: %s%s%s", a.Verb, id, by.Name, a.Reason, a.AttemptID, a.Verdict)
}

func (f *fake) StepOutput(_ context.Context, id, attempt string) ([]byte, error) {
	return f.output, f.note("output %s %s", id, attempt)
}

func (f *fake) ListRules(context.Context) ([]RuleStatus, error) { return nil, f.note("list rules") }

func (f *fake) Explain(context.Context, ExplainRequest) (Explained, error) {
	return Explained{}, f.note("explain")
}

func (f *fake) RedAlerts(context.Context, int) ([]RedAlert, int, error) {
	return nil, 0, f.note("red alerts")
}

func (f *fake) PromoteRule(_ context.Context, by Actor, rule string, p Promotion) (RuleStatus, error) {
	return RuleStatus{}, f.note("promote %s to %s by %s: %s%s", rule, p.Mode, by.Name, p.Reason, p.Hash)
}

func (f *fake) JudgeRule(_ context.Context, by Actor, id, rule string, j backout.Judgement) (backout.Change, error) {
	return f.change, f.note("judge %s on %s by %s: %v %s", rule, id, by.Name, j.Agree, j.Reason)
}

func (f *fake) History(context.Context, time.Time, time.Time, func(HistoryEntry) error) error {
	return f.note("history")
}

func (f *fake) Pause(_ context.Context, by Actor, reason string) (PauseState, error) {
	return f.paused, f.note("pause by %s: %s", by.Name, reason)
}

func (f *fake) Resume(_ context.Context, by Actor, reason string) (PauseState, error) {
	return f.paused, f.note("resume by %s: %s", by.Name, reason)
}

func (f *fake) PauseState(context.Context) (PauseState, error) {
	return f.paused, f.note("pause state")
}

func (f *fake) Backup(ctx context.Context, by Actor, w io.Writer) error {
	if f.backup != nil {
		return f.backup(ctx, w)
	}
	return f.note("backup by %s", by.Name)
}
func (f *fake) Reload(context.Context) error { return f.note("reload") }
func (f *fake) Ready() error                 { return f.notReady }
func (f *fake) Targets(context.Context) ([]backout.Target, error) {
	return nil, f.note("targets")
}

func (f *fake) NotifyTest(_ context.Context, by Actor, n TestNotice) (TestWords, error) {
	return TestWords{Channel: n.Channel, Sent: !n.DryRun}, f.note("notify test %s%s%s%s by %s", n.Channel, n.Moment, n.Level, n.Audience, by.Name)
}
func (f *fake) Runners(context.Context) ([]RunnerStatus, error) { return nil, f.note("runners") }
func (f *fake) Notices(context.Context) ([]NoticeStatus, error) { return nil, f.note("notices") }

func (f *fake) CreateToken(_ context.Context, by Actor, r TokenRequest) (NewToken, error) {
	return NewToken{Token: backout.SecretValue("bo_made")}, f.note("create token %v %v %v for %s by %s: %s", r.Roles, r.Everywhere, r.Labels, r.ExpiresIn, by.Name, r.Note)
}

func (f *fake) ListTokens(_ context.Context, by Actor, all bool) ([]TokenStatus, error) {
	return nil, f.note("list tokens %v by %s", all, by.Name)
}

func (f *fake) RevokeToken(_ context.Context, by Actor, id, reason string) (TokenStatus, error) {
	return TokenStatus{}, f.note("revoke token %s by %s: %s", id, by.Name, reason)
}

func (f *fake) Bearer(_ context.Context, secret string) (Actor, error) {
	switch secret {
	case madeSecret:
		return Actor{Name: "bob", Grants: everything(), TokenID: "t1"}, nil
	case brokenSecret:
		return Actor{}, backout.ErrUnavailable
	}
	return Actor{}, backout.ErrNotFound
}

const (
	madeSecret   = "bo_bobs-token"
	brokenSecret = "bo_not-now"
	aliceSecret  = "alice-secret-0123456789"
	senderSecret = "sender-secret-0123456789"
	secondSecret = "second-secret-0123456789"
)

func testAuth(tb testing.TB) *Auth {
	tb.Helper()
	auth, err := NewAuth(
		[]Token{{Name: "alice", Groups: []string{"sre"}, Grants: everything(), Secret: backout.SecretValue(aliceSecret)}},
		[]Token{{Name: "am-1", Secret: backout.SecretValue(senderSecret)}, {Name: "am-2", Secret: backout.SecretValue(secondSecret)}})
	if err != nil {
		tb.Fatal(err)
	}
	return auth
}

// handlerFor builds a handler on the fake, with change to its options.
func handlerFor(tb testing.TB, f *fake, change ...func(*Options)) *Handler {
	tb.Helper()
	o := Options{Intake: f, Changes: f, Baselines: f, Rollbacks: f, Rules: f, Control: f, Tokens: f, Bearers: f, Version: "1.2.3"}
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

func withTokens(tb testing.TB) func(*Options) {
	return func(o *Options) { o.Auth = testAuth(tb) }
}

func withLog(to *strings.Builder) func(*Options) {
	return func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// request is one from this machine, by a loopback name.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8420"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func bearer(r *http.Request, secret string) *http.Request {
	r.Header.Set("Authorization", "Bearer "+secret)
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// errorOf reads the API's error body.
func errorOf(t *testing.T, w *httptest.ResponseRecorder) ErrorBody {
	t.Helper()
	var body struct {
		Error ErrorBody `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" || body.Error.Code == "" || body.Error.Message == "" || body.Error.RequestID == "" {
		t.Errorf("answer %d is not the API's error: %s %q", w.Code, ct, w.Body)
	}
	return body.Error
}

// wantError checks status, code and a part of the message.
func wantError(t *testing.T, w *httptest.ResponseRecorder, status int, code, part string) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("answered %d %s, want %d", w.Code, w.Body, status)
	}
	if got := errorOf(t, w); got.Code != code || !strings.Contains(got.Message, part) {
		t.Errorf("error %q %q, want %q with %q", got.Code, got.Message, code, part)
	}
}

// number reads a counter or gauge; values are its labels' values in the order of
// the labels' names.
func number(t *testing.T, h *Handler, name string, values ...string) float64 {
	t.Helper()
	families, err := h.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var got []string
			for _, pair := range m.GetLabel() {
				got = append(got, pair.GetValue())
			}
			if slices.Equal(got, values) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}
