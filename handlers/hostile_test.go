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
)

// hostileStrings are what an attacker, or a careless rule, puts into a label.
func hostileStrings() []string {
	cores := []string{
		`; rm -rf /`, `$(id)`, "`id`", `| nc evil 1`, `&& reboot`, `"; echo x; "`, `'; echo x; '`, `--help`, `-rf`, `../../etc/passwd`, `%s%n%x`, `${IFS}`,
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `javascript:alert(1)`, `</td></tr></table>`, `<!--`, `&lt;b&gt;`, `</style><script>`,
		`{{.}}`, `{{ .Labels.password }}`, `{{template "x"}}`, `{{`, `}}`, `${7*7}`, `#{7*7}`, `<%= 7*7 %>`,
		`<!channel>`, `<!here>`, `<@U123>`, `<http://evil|click>`, `*bold*`, `:smile:`, `@everyone`, "```", `[a](http://evil)`,
		"line\nline", "line\r\nSet-Cookie: x=1", "tab\tbed", "nul\x00byte", "bell\a", "\x1b[2J\x1b]0;title\a", "back\b\b\bspace", "level=ERROR msg=forged", "data: x\n\nevent: y",
		"\u202eevil", "\u200bzero", "\ufeffbom", "\u2028line", "é́́́́́", "日本語", "🔥", "\U0010ffff", "ﷺ", "null", "true", "0", "yes", "{admin: true, roles: [root]}", "[]", `{"a":1}`,
		`' OR 1=1 --`, `*`, `>`, `a.b.>`, `backout.*`, `C:\Windows`, `\\evil\share`, "\\", `"`, `'`, `\"`, `\u0000`, `NaN`, strings.Repeat("A", 64<<10), strings.Repeat("\\", 1000),
	}
	all := cores
	for _, core := range cores[:48] {
		all = append(all, "web-1"+core, core+core, "\u2018"+core+"\u2019")
	}
	return all
}

// TestHostileTextsArriveAsTheyAre: the label the engine gets is the label that
// was sent, as value and as name, and nothing else changes for it.
func TestHostileTextsArriveAsTheyAre(t *testing.T) {
	all := hostileStrings()
	if len(all) < 200 {
		t.Fatalf("only %d strings", len(all))
	}
	for i, text := range all {
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

// TestHostileTextsStayDataInLogsErrorsAndThePage: one line a request, valid
// JSON, no element.
func TestHostileTextsStayDataInLogsErrorsAndThePage(t *testing.T) {
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
		w := do(h, request("GET", "/", ""))
		if w.Code != 200 || !utf8.ValidString(w.Body.String()) {
			t.Fatalf("page of string %d: %d", i, w.Code)
		}
		clean := do(handlerFor(t, plain(f)), request("GET", "/", "")).Body.String()
		if strings.Count(w.Body.String(), "<") != strings.Count(clean, "<") || strings.Count(w.Body.String(), ">") != strings.Count(clean, ">") {
			t.Errorf("string %d %.40q makes elements", i, text)
		}

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

// plain is the fake with harmless texts.
func plain(f *fake) *fake {
	return &fake{
		changes:   []backout.Change{{ChangeSpec: backout.ChangeSpec{ID: "x", Title: "x", Plan: "x", Targets: []string{"x"}}, State: backout.ChangeOpen}},
		rollbacks: []backout.Rollback{{ID: "x", ChangeTitle: "x", Status: backout.RollbackHeld, HeldReason: "x", Targets: []backout.TargetState{{Name: "x"}}}},
		paused:    PauseState{On: true, By: "x", Reason: "x"}, notReady: fmt.Errorf("x"),
		log: []LogEntry{{Record: backout.Record{Events: []backout.Event{backout.VerdictGiven{Verdict: backout.Verdict{
			Rule: "x", ChangeID: "x", Target: "x", AlertName: "x", Reasons: []string{"x"}, Mode: "x",
		}}}}}},
	}
}

func TestPageShowsWhatIsGoingOn(t *testing.T) {
	f := &fake{
		changes: []backout.Change{
			{ChangeSpec: backout.ChangeSpec{ID: "CHG-OPEN"}, State: backout.ChangeOpen},
			{ChangeSpec: backout.ChangeSpec{ID: "CHG-OVER"}, State: backout.ChangeClosed},
		},
		log: []LogEntry{{Record: backout.Record{Events: []backout.Event{
			backout.RollbackRequested{Opened: backout.Opened{Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: "WebErrors"}}}},
			backout.RollbackRequested{Opened: backout.Opened{Trigger: backout.Trigger{By: "alice"}}},
		}}}},
	}
	w := do(handlerFor(t, f), request("GET", "/", ""))
	page := w.Body.String()
	for part, want := range map[string]bool{"CHG-OPEN": true, "CHG-OVER": false, "WebErrors": true, "backout 1.2.3": true, "<script": false} {
		if strings.Contains(page, part) != want {
			t.Errorf("%q on the page: %v", part, !want)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("policy %q", csp)
	}
	f.err = backout.ErrUnavailable
	wantError(t, do(handlerFor(t, f), request("GET", "/", "")), 503, "unavailable", "")
}
