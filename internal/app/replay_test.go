package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/store"
)

const replayRule = `groups:
  - name: web
    target_label: instance
    rules:
      - {rule: %s, match: [alertname="Down"], mode: %s}
`

// replayed is a server whose change C1 was open an hour ago, and was rolled back by
// ann; ten minutes after its window opened Down fired on its target.
func replayed(t *testing.T, more string) (*leaned, handlers.ReplayRequest) {
	t.Helper()
	l := lean(t, more)
	l.write(t, "rules.yaml", fmt.Sprintf(replayRule, "R", "auto"))
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	opened := time.Now().UTC().Add(-time.Hour)
	frozen := planhash.Freeze(backout.Plan{Name: "p", Levels: []backout.Level{{Name: "L1"}}})
	rec := backout.Record{Op: "a", By: "other", At: opened, Events: []backout.Event{
		backout.Planned{Spec: backout.ChangeSpec{ID: "C1", Plan: "p", Targets: []string{"web-1"}}}, backout.WindowOpened{Frozen: frozen},
	}}
	if _, err := l.store.Changes.Append(t.Context(), "C1", 0, rec); err != nil {
		t.Fatal(err)
	}
	end := backout.Record{Op: "b", By: "other", At: opened.Add(30 * time.Minute), Events: []backout.Event{backout.ChangeEnded{State: backout.ChangeClosed}}}
	if _, err := l.store.Changes.Append(t.Context(), "C1", 1, end); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := l.engine.Change(t.Context(), "C1")
		if err == nil && c.State.Final() {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	began := opened.Add(10 * time.Minute)
	body, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{map[string]any{
		"status": "firing", "startsAt": began, "labels": map[string]string{"alertname": "Down", "instance": "web-1:9100"},
	}}})
	if err == nil {
		_, err = l.store.Alerts.Append(t.Context(), store.Post{Kind: "webhook", ReceivedAt: began, Body: body})
	}
	if err != nil {
		t.Fatal(err)
	}
	return l, handlers.ReplayRequest{Since: opened.Add(-time.Hour), Until: time.Now()}
}

func (l *leaned) replay(ctx context.Context, r handlers.ReplayRequest) (authorized.ReplayAnswer, error) {
	return insight{Engine: l.engine, app: l.App}.ReplayRules(ctx, handlers.Actor{}, r)
}

// rows writes each row of an answer as its rule, mode and what it opens.
func rows(a authorized.ReplayAnswer) (out []string) {
	for _, r := range a.Rows {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Rule, r.Mode, strings.Join(r.Targets, ","), r.RollbackID)))
	}
	return out
}

// TestReplayRules: the server's rules do what they may do now, those of a file what it
// says.
func TestReplayRules(t *testing.T) {
	l, ask := replayed(t, "")
	paste := func(text string) handlers.ReplayRequest {
		r := ask
		r.File = []byte(text)
		return r
	}
	answers := func(what string, r handlers.ReplayRequest, want ...string) authorized.ReplayAnswer {
		t.Helper()
		got, err := l.replay(t.Context(), r)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, rows(got)); diff != "" || got.Summary.Alerts != 1 || got.Summary.Changes != 1 {
			t.Errorf("%s: %+v (-want +got):\n%s", what, got.Summary, diff)
		}
		return got
	}
	if got := answers("the server's", ask, "R auto web-1 C1-r1"); !strings.Contains(strings.Join(got.Notes, "\n"), "what they may do today") {
		t.Errorf("notes %q", got.Notes)
	}
	answers("another mode", paste(fmt.Sprintf(replayRule, "Mine", "shadow")), "Mine shadow web-1")
	got := answers("what is likely a mistake", paste(fmt.Sprintf(replayRule, "Mine", "auto, when: prom('up') > 1")))
	if all := strings.Join(got.Notes, "\n"); !strings.Contains(all, "prom()") || !strings.Contains(all, "what their file says") {
		t.Errorf("notes %q", got.Notes)
	}
	one := paste(fmt.Sprintf(replayRule, "Mine", "auto") + "      - {rule: Other, match: [alertname=\"Down\"], mode: auto}\n")
	one.Rule = "Other"
	answers("one rule of several", one, "Other auto web-1 C1-r1")
	before := ask
	before.Until = ask.Since.Add(time.Minute)
	if got, err := l.replay(t.Context(), before); err != nil || len(got.Rows) > 0 || got.Summary.Changes != 0 {
		t.Errorf("before anything: %+v, %v", got, err)
	}
}

// TestReplayDoesWhatIsPromoted: a rule that nobody has promoted opens nothing.
func TestReplayDoesWhatIsPromoted(t *testing.T) {
	l, ask := replayed(t, "promotion: {required: true}\n")
	got, err := l.replay(t.Context(), ask)
	if diff := cmp.Diff([]string{"R shadow web-1"}, rows(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	ask.File = fmt.Appendf(nil, replayRule, "R", "auto")
	got, err = l.replay(t.Context(), ask)
	if diff := cmp.Diff([]string{"R auto web-1 C1-r1"}, rows(got)); diff != "" || err != nil {
		t.Errorf("the same rule from a file: %v (-want +got):\n%s", err, diff)
	}
}

// TestReplaySaysWhatIsWrong with the request, or the file.
func TestReplaySaysWhatIsWrong(t *testing.T) {
	l, ask := replayed(t, "")
	for name, test := range map[string]struct {
		spoil func(r *handlers.ReplayRequest)
		is    error
		says  string
	}{
		"no since":     {func(r *handlers.ReplayRequest) { r.Since = time.Time{} }, backout.ErrInvalid, "since and until are needed"},
		"no until":     {func(r *handlers.ReplayRequest) { r.Until = time.Time{} }, backout.ErrInvalid, "since and until are needed"},
		"nothing":      {func(r *handlers.ReplayRequest) { r.Since = r.Until }, backout.ErrInvalid, "before until"},
		"the future":   {func(r *handlers.ReplayRequest) { r.Until = time.Now().Add(time.Hour) }, backout.ErrInvalid, "in the future"},
		"too long":     {func(r *handlers.ReplayRequest) { r.Since = r.Until.Add(-handlers.ReplayMost - 1) }, backout.ErrInvalid, "more than 90 days apart"},
		"too large":    {func(r *handlers.ReplayRequest) { r.File = make([]byte, 20<<20) }, backout.ErrInvalid, "larger than"},
		"no such rule": {func(r *handlers.ReplayRequest) { r.Rule = "Q" }, backout.ErrInvalid, `rule "Q"`},
		"nor in the file": {func(r *handlers.ReplayRequest) {
			r.Rule, r.File = "R", fmt.Appendf(nil, replayRule, "Mine", "auto")
		}, backout.ErrInvalid, `rule "R"`},
	} {
		r := ask
		test.spoil(&r)
		if _, err := l.replay(t.Context(), r); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ask.File = []byte("groups:\n  - name: web\n    rules:\n      - {rule: R, mach: [alertname=\"Down\"]}\n")
	_, err := l.replay(t.Context(), ask)
	var problems backout.Problems
	if !errors.As(err, &problems) || len(problems) == 0 || problems[0].File != "pasted.yaml" || problems[0].Line != 4 || problems[0].Column == 0 {
		t.Errorf("a file with a mistake: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ask.File = nil
	if _, err := l.replay(ctx, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone: %v", err)
	}
	late, end := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), errReplayLate)
	defer end()
	for range 20 { // sometimes it has its turn all the same
		if _, err = l.replay(late, ask); !errors.Is(err, backout.ErrUnavailable) || !strings.Contains(err.Error(), "shorter time") {
			t.Fatalf("what takes too long: %v", err)
		}
	}
}

// TestPastedRulesAreCheckedAsTheConfigIs: what they ask of others must be there.
func TestPastedRulesAreCheckedAsTheConfigIs(t *testing.T) {
	l, ask := replayed(t, "")
	running := *l.running.Load()
	cfg := *running.config
	cfg.Prometheus.URL = ""
	cfg.Inventory = map[string]backout.Target{"web-1": {Name: "web-1", Labels: map[string]string{"team": "web"}}}
	running.config = &cfg
	l.running.Store(&running)
	ask.File = fmt.Appendf(nil, replayRule, "R", "auto, when: prom('up') > 1")
	var problems backout.Problems
	if _, err := l.replay(t.Context(), ask); !errors.As(err, &problems) || !strings.Contains(err.Error(), "prom() asks Prometheus, and none is known") {
		t.Errorf("prom() without a Prometheus: %v", err)
	}
	ask.File = fmt.Appendf(nil, replayRule, "R", `auto, when: target.labels.tean == "web"`)
	got, err := l.replay(t.Context(), ask)
	if err != nil || !strings.Contains(strings.Join(got.Notes, "\n"), `pasted.yaml:5`) {
		t.Errorf("a label that no target has: %q, %v", got.Notes, err)
	}
}

// TestOneReplayAtATime: others wait for a moment, and are told then.
func TestOneReplayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplays()
		done, err := r.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := r.begin(t.Context()); !errors.Is(err, backout.ErrUnavailable) || !strings.Contains(err.Error(), "another replay runs") || time.Since(began) != replayWait {
			t.Errorf("the second, after %s: %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, done)
		if _, err := r.begin(t.Context()); err != nil {
			t.Errorf("once the first has ended: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.begin(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone: %v", err)
		}
	})
}
