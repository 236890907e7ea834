package handlers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/hostile"
)

// hostileStrings are what an attacker, or a careless rule, puts into a label.
func hostileStrings() []string { return hostile.Strings() }

// TestHostileTextsArriveAsTheyAre: the label the engine gets is the label that
// was sent, as value and as name, and nothing else changes for it.
func TestHostileTextsArriveAsTheyAre(t *testing.T) {
	all := hostileStrings()
	if len(all) < 200 {
		t.Fatalf("only %d strings", len(all))
	}
	for i, text := range all {
		if !utf8.ValidString(text) {
			continue // JSON cannot carry it; see TestInvalidUTF8IsReplaced
		}
		labels := map[string]string{"alertname": "A", "hostile": text, "name " + text: "v"}
		if len(text) >= alertwire.MaxValue {
			delete(labels, "name "+text)
		}
		alert := map[string]any{
			"status": "firing", "labels": labels, "annotations": map[string]string{"summary": text}, "generatorURL": text,
			"startsAt": "2026-11-22T23:47:07Z", text: text,
		}
		hook, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{alert}, "groupKey": text, "receiver": text})
		if err != nil {
			t.Fatal(err)
		}
		posted, err := json.Marshal([]any{alert})
		if err != nil {
			t.Fatal(err)
		}
		for path, body := range map[string][]byte{webhookPath: hook, v2Path: posted} {
			f := &fake{}
			if w := do(handlerFor(t, f), request("POST", path, string(body))); w.Code != 200 {
				t.Fatalf("%s, string %d: answered %d %s", path, i, w.Code, w.Body)
			}
			a := f.accepted[0].Alerts[0]
			if diff := cmp.Diff(labels, a.Labels); diff != "" || a.Annotations["summary"] != text || a.GeneratorURL != text {
				t.Errorf("%s, string %d: %s", path, i, diff)
			}
			if a.Fingerprint != alertwire.Fingerprint(labels) {
				t.Errorf("%s, string %d: fingerprint %s", path, i, a.Fingerprint)
			}
		}
	}
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	f := &fake{}
	body := strings.Replace(oneWebhook, `"A"`, "\"a\xffb\xc3\"", 1)
	do(handlerFor(t, f), request("POST", webhookPath, body))
	if name := f.accepted[0].Alerts[0].Name(); name != "a\ufffdb\ufffd" {
		t.Errorf("%q", name)
	}
}

// TestHostileTextsStayDataInLogsAndErrors: one line a request, valid JSON.
func TestHostileTextsStayDataInLogsAndErrors(t *testing.T) {
	for i, text := range hostileStrings() {
		var log strings.Builder
		f := &fake{
			changes:   []backout.Change{{ChangeSpec: backout.ChangeSpec{ID: text, Title: text, Plan: text, Targets: []string{text}}, State: backout.ChangeOpen}},
			rollbacks: []backout.Rollback{{ID: text, ChangeTitle: text, Status: backout.RollbackHeld, HeldReason: text, Targets: []backout.TargetState{{Name: text}}}},
			paused:    PauseState{On: true, By: text, Reason: text},
			notReady:  fmt.Errorf("%s", text),
			log: []LogEntry{{Record: backout.Record{Events: []backout.Event{backout.VerdictGiven{Verdict: backout.Verdict{
				Rule: text, ChangeID: text, Target: text, AlertName: text, Reasons: []string{text}, Mode: backout.Mode(text),
			}}}}}},
		}
		h := handlerFor(t, f, withLog(&log))
		f.err = fmt.Errorf("%w: %s", backout.ErrRefused, text)
		r := request("POST", "/api/v1/pause", "")
		r.URL.Path, r.URL.RawQuery = "/api/v1/pause", ""
		r.Header.Set("X-Request-Id", text)
		errorOf(t, do(h, r))
		for line := range strings.Lines(log.String()) {
			if !strings.HasPrefix(line, "time=") {
				t.Errorf("string %d %.40q makes a line of its own in the log: %.80q", i, text, line)
			}
		}
	}
}
