package simtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// AutoRule rolls a target back as soon as an alert is red on it.
const AutoRule = `groups:
  - name: web
    rules:
      - rule: RedAfterPatch
        match: [severity="page"]
        mode: auto
`

// Plan is the plan of most stories: L1 for half an hour, then L2.
func Plan() backout.Plan {
	step := func() []backout.Step {
		return []backout.Step{{Uses: "command", With: json.RawMessage(`{"argv":["undo"]}`), OnOverdue: backout.OverdueWait}}
	}
	return backout.Plan{
		Name: "web", Author: "paul", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Levels: []backout.Level{
			{Name: "L1", Steps: step(), EscalateAfter: minutes(30), Approval: backout.Approval{Mode: backout.ApprovalNone}, Audience: []string{"web-team"}},
			{Name: "L2", Steps: step(), EscalateAfter: minutes(30), Approval: backout.Approval{Mode: backout.ApprovalNone}, Audience: []string{"managers"}},
		},
		Verify: backout.Verify{
			Every: backout.Duration(15 * time.Second), HoldFor: minutes(2), Checks: []backout.Check{{Uses: "health", With: json.RawMessage(`{}`)}},
		},
	}
}

func minutes(n int) backout.Duration { return backout.Duration(time.Duration(n) * time.Minute) }

// Spec is a change of the plan "web" on the targets, which may be opened now and
// stays open for four hours.
func (w *World) Spec(id string, targets ...string) backout.ChangeSpec {
	return backout.ChangeSpec{
		ID: id, Title: "Patch " + id, Targets: targets, Plan: "web",
		Window: backout.Window{Opens: time.Now(), Closes: time.Now().Add(4 * time.Hour), Watch: minutes(60)},
	}
}

// PlanChange plans a change as rita.
func (w *World) PlanChange(spec backout.ChangeSpec) {
	w.t.Helper()
	if _, err := w.Server().engine.PlanChange(w.t.Context(), as("rita"), spec); err != nil {
		w.t.Fatalf("plan %s: %v", spec.ID, err)
	}
}

// OpenChange plans a change and opens its window.
func (w *World) OpenChange(id string, targets ...string) {
	w.t.Helper()
	w.PlanChange(w.Spec(id, targets...))
	if _, err := w.Server().engine.OpenChange(w.t.Context(), as("rita"), id); err != nil {
		w.t.Fatalf("open %s: %v", id, err)
	}
	w.Advance(time.Second)
}

// Change is the change as the first server sees it.
func (w *World) Change(id string) backout.Change {
	w.t.Helper()
	c, err := w.Server().engine.Change(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("change %s: %v", id, err)
	}
	return c
}

// Rollback is the rollback as the first server sees it.
func (w *World) Rollback(id string) backout.Rollback {
	w.t.Helper()
	r, err := w.Server().engine.Rollback(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("rollback %s: %v", id, err)
	}
	return r
}

// Rollbacks are all there are.
func (w *World) Rollbacks() []backout.Rollback {
	w.t.Helper()
	rs, err := w.Server().engine.ListRollbacks(w.t.Context(), handlers.RollbackFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return rs
}

// Act does something to a rollback as ann.
func (w *World) Act(id string, a handlers.Action) {
	w.t.Helper()
	if a.Reason == "" {
		a.Reason = "because"
	}
	if _, err := w.Server().engine.Act(w.t.Context(), as("ann"), id, a); err != nil {
		w.t.Fatalf("%s %s: %v", a.Verb, id, err)
	}
	synctest.Wait()
}

// Vote answers a rollback's open question.
func (w *World) Vote(id, who string, choice backout.Choice) {
	w.t.Helper()
	r := w.Rollback(id)
	if r.Ask == nil {
		w.t.Fatalf("%s asks nothing: it is %s", id, r.Status)
	}
	if _, err := w.Server().engine.Vote(w.t.Context(), as(who), id, r.Ask.ID, choice, ""); err != nil {
		w.t.Fatalf("vote of %s: %v", who, err)
	}
	synctest.Wait()
}

// Alert is one alert as Alertmanager or Prometheus would send it.
type Alert struct {
	Name, Target string
	// Severity is "page" unless given.
	Severity string
	Resolved bool
	// Since is when it turned red; zero means when it was first fired here.
	Since time.Time
}

func (a Alert) labels() map[string]string {
	severity := a.Severity
	if severity == "" {
		severity = "page"
	}
	return map[string]string{"alertname": a.Name, "instance": a.Target + ":9100", "severity": severity}
}

// Fingerprint is the alert's identity.
func (a Alert) Fingerprint() string {
	set := model.LabelSet{}
	for k, v := range a.labels() {
		set[model.LabelName(k)] = model.LabelValue(v)
	}
	return set.Fingerprint().String()
}

// times are when the alert turned red and, for a resolved one, when it ended.
func (w *World) times(a Alert) (starts, ends time.Time) {
	key := a.Fingerprint()
	starts = a.Since
	if starts.IsZero() {
		starts = w.since[key]
	}
	if starts.IsZero() {
		starts = time.Now()
	}
	w.since[key] = starts
	if a.Resolved {
		ends = time.Now()
		delete(w.since, key)
	}
	return starts.UTC(), ends.UTC()
}

// Post sends alerts to the server in one webhook of Alertmanager and returns the
// status of the answer.
func (s *Server) Post(alerts ...Alert) int { return s.send("/api/v1/alertmanager", s.webhook(alerts)) }

// Together sends each server an alert at the same moment.
func (w *World) Together(alerts map[*Server]Alert) {
	w.t.Helper()
	var all sync.WaitGroup
	for s, a := range alerts {
		body := s.webhook([]Alert{a})
		all.Go(func() {
			if code, _ := s.ask("/api/v1/alertmanager", body); code != http.StatusOK {
				w.t.Errorf("%s answers %d", s.name, code)
			}
		})
	}
	all.Wait()
	synctest.Wait()
}

func (s *Server) webhook(alerts []Alert) map[string]any {
	list := make([]map[string]any, len(alerts))
	for i, a := range alerts {
		starts, ends := s.w.times(a)
		list[i] = map[string]any{
			"status": status(a), "labels": a.labels(), "annotations": map[string]string{"summary": a.Name + " on " + a.Target},
			"startsAt": starts, "endsAt": ends, "generatorURL": "http://prometheus/graph", "fingerprint": a.Fingerprint(),
		}
	}
	return map[string]any{
		"receiver": "backout", "status": "firing", "alerts": list, "groupLabels": map[string]string{}, "commonLabels": map[string]string{},
		"commonAnnotations": map[string]string{}, "externalURL": "http://alertmanager", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
	}
}

// PostDirect sends alerts as Prometheus does.
func (s *Server) PostDirect(alerts ...Alert) int {
	list := make([]map[string]any, len(alerts))
	for i, a := range alerts {
		starts, ends := s.w.times(a)
		if !a.Resolved {
			ends = time.Now().UTC().Add(4 * time.Minute)
		}
		list[i] = map[string]any{
			"labels": a.labels(), "annotations": map[string]string{}, "startsAt": starts, "endsAt": ends, "generatorURL": "http://prometheus/graph",
		}
	}
	return s.send("/api/v2/alerts", list)
}

func status(a Alert) string {
	if a.Resolved {
		return "resolved"
	}
	return "firing"
}

func (s *Server) send(path string, body any) int {
	code, data := s.ask(path, body)
	synctest.Wait()
	if code == http.StatusOK {
		s.w.posted = append(s.w.posted, data)
	}
	return code
}

// ask is send that does not wait for what follows.
func (s *Server) ask(path string, body any) (code int, sent []byte) {
	data, err := json.Marshal(body)
	if err != nil {
		s.w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(s.w.t.Context(), http.MethodPost, "http://localhost"+path, strings.NewReader(string(data)))
	r.RemoteAddr = "127.0.0.1:40000"
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	return answer.Code, data
}

// Fire lets an alert turn red on targets, one webhook for all.
func (w *World) Fire(name string, targets ...string) {
	w.t.Helper()
	w.post(name, false, targets)
}

// Resolve lets it turn green again.
func (w *World) Resolve(name string, targets ...string) {
	w.t.Helper()
	w.post(name, true, targets)
}

func (w *World) post(name string, resolved bool, targets []string) {
	w.t.Helper()
	alerts := make([]Alert, len(targets))
	for i, target := range targets {
		alerts[i] = Alert{Name: name, Target: target, Resolved: resolved}
	}
	if code := w.Server().Post(alerts...); code != http.StatusOK {
		w.t.Fatalf("post %s: answer %d", name, code)
	}
}
