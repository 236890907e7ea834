package dashboard

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/hostile"
)

// explainAsk has rules that explain, and remembers what they were asked.
func explainAsk(t *testing.T, explained handlers.Explained) (s *site, asked *[]handlers.ExplainRequest) {
	t.Helper()
	asked = new([]handlers.ExplainRequest)
	alert := backout.Alert{Fingerprint: "00aa", Firing: true, Labels: map[string]string{"alertname": "HighErrorRate", "instance": "web-1:9100"}, StartsAt: ruleNow}
	f := &fake{
		labels: map[string]map[string]string{"web-1": {"team": "web"}},
		red:    []handlers.RedAlert{{Target: "web-1", Alert: alert, ChangeIDs: []string{"CHG1"}}, {Target: "db-1", Alert: alert}},
		changes: []backout.Change{
			{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: []string{"web-1"}}}, {ChangeSpec: backout.ChangeSpec{ID: "CHG2", Targets: []string{"db-1"}}},
		},
	}
	var mu sync.Mutex
	f.explain = func(r handlers.ExplainRequest) (handlers.Explained, error) {
		mu.Lock()
		defer mu.Unlock()
		*asked = append(*asked, r)
		out := explained
		if out.Alert = alert; r.Alert != nil {
			out.Alert = *r.Alert
		}
		return out, nil
	}
	return siteOf(t, f), asked
}

// wholly is an explanation in which every text is the same.
func wholly(text string) handlers.Explained {
	part := handlers.ExplainPart{Text: text, Error: text, Failed: true, Parts: []handlers.ExplainPart{{Text: text, Held: true}, {Text: text, Unknown: text}}}
	rule := handlers.ExplainedRule{Rule: text, Group: text, Mode: backout.Mode(text), Target: text, ChangeID: text, Why: text, Parts: []handlers.ExplainPart{part}, Misses: 1}
	matched := rule
	matched.Matched, matched.Follows = true, "open"
	return handlers.Explained{Notes: []string{text}, Said: []string{text}, Rules: []handlers.ExplainedRule{matched, rule, rule}}
}

const oneAlert = `[{"labels":{"alertname":"A"},"startsAt":"2026-11-23T01:00:00Z"}]`

// TestExplainAsksForWhatIsChosenOrPasted: a red alert by a link, any other by the form.
func TestExplainAsksForWhatIsChosenOrPasted(t *testing.T) {
	s, asked := explainAsk(t, wholly("x"))
	wants(t, s.page("ann", "/rules/explain?rule=R"), `href="/rules/explain?seen=00aa&amp;rule=R"`, "HighErrorRate on web-1", `href="/changes/CHG1"`, "no live change", `value="R"`)
	if len(*asked) != 0 {
		t.Fatalf("asked %v for a form", *asked)
	}
	s.page("ann", "/rules/explain?seen=00aa&change=CHG1+CHG2&rule=R&at=2026-11-23T02:00:00Z")
	w := s.post("ann", "/rules/explain", "alert", oneAlert, "change", " CHG1, CHG2 ", "at", "now")
	if w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	wants(
		t, w.Body.String(), "<h2>A ", "One rule matches it, and acts: a rollback opens.", "✔ acts", "The nearest miss:", "✖ does not match", "← this one", "</span> unknown",
		"Further from it", "What the logs say of this alert", "2026-11-23 01:00:00 UTC", `alertname=&#34;A&#34;`,
	)
	if len(*asked) != 2 || (*asked)[1].Alert == nil || (*asked)[1].Alert.Name() != "A" || !(*asked)[1].Alert.Firing {
		t.Fatalf("asked %+v", *asked)
	}
	want := handlers.ExplainRequest{Fingerprint: "00aa", ChangeIDs: []string{"CHG1", "CHG2"}, Rule: "R", At: ruleNow}
	if diff := cmp.Diff(want, (*asked)[0]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.ChangeIDs, (*asked)[1].ChangeIDs); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	webhook := `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-23T01:00:00Z"},{"status":"resolved","labels":{"alertname":"B"},"startsAt":"2026-11-23T01:00:00Z","endsAt":"2026-11-23T01:10:00Z"}]}`
	w = s.post("ann", "/rules/explain", "alert", webhook)
	wants(t, w.Body.String(), "<h2>A ", "<h2>B ", `resolved <time class="abs" datetime="2026-11-23T01:10:00.000Z">`)
}

// TestExplainSaysWhatFollows: in one line, before every detail.
func TestExplainSaysWhatFollows(t *testing.T) {
	rule := func(matched bool, follows string) handlers.ExplainedRule {
		return handlers.ExplainedRule{Rule: "R", Matched: matched, Follows: follows}
	}
	for want, rules := range map[string][]handlers.ExplainedRule{
		"There is no rule to ask.":                                       nil,
		"No rule matches it: nothing follows.":                           {rule(false, "")},
		"One rule matches it, and no rollback opens.":                    {rule(true, "record"), rule(false, "")},
		"2 rules match it, and one of them acts: a rollback opens.":      {rule(true, "open"), rule(true, "nothing")},
		"2 rules match it, and all of them act: a rollback opens.":       {rule(true, "open"), rule(true, "open")},
		"3 rules match it, and 2 of them act: a rollback opens.":         {rule(true, "open"), rule(true, "open"), rule(true, "evidence")},
		"One rule matches it, and acts: a rollback opens.":               {rule(true, "open")},
		"2 rules match it, and no rollback opens.":                       {rule(true, "evidence"), rule(true, "record")},
		"21 rules match it, and all of them act: a rollback opens.":      repeat(rule(true, "open"), 21),
		"No rule matches it: nothing follows.</strong></p>\n<p><code>al": repeat(rule(false, ""), 3),
	} {
		s, _ := explainAsk(t, handlers.Explained{Rules: rules})
		wants(t, s.post("ann", "/rules/explain", "alert", oneAlert).Body.String(), want)
	}
}

func repeat(r handlers.ExplainedRule, n int) []handlers.ExplainedRule {
	out := make([]handlers.ExplainedRule, n)
	for i := range out {
		out[i] = r
	}
	return out
}

// TestExplainStaysReadable: of a thousand rules the nearest are shown, the others counted.
func TestExplainStaysReadable(t *testing.T) {
	s, _ := explainAsk(t, handlers.Explained{Rules: repeat(wholly("some words").Rules[1], 1000)})
	page := s.post("ann", "/rules/explain", "alert", oneAlert).Body.String()
	wants(t, page, "and 799 more, which miss as much or more")
	if strings.Count(page, "← this one") != 1 || len(page) > 100<<10 {
		t.Errorf("%d trees, %d bytes", strings.Count(page, "← this one"), len(page))
	}
}

// TestExplainSaysWhatIsWrongWithTheQuestion: on the page, with what was given.
func TestExplainSaysWhatIsWrongWithTheQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		alert, at, seen string
		err             error
		code            int
		parts           []string
	}{
		"no JSON":        {alert: "{oops", code: 400, parts: []string{"{oops</textarea>", "the pasted alert"}},
		"no alert":       {alert: "[]", code: 400, parts: []string{"0 alerts are given, want 1 to 5", "[]</textarea>"}},
		"too many":       {alert: "[" + strings.Repeat(`{"labels":{"a":"b"}},`, 5) + `{"labels":{"a":"b"}}]`, code: 400, parts: []string{"6 alerts are given, want 1 to 5"}},
		"no time":        {alert: "{}", at: "noon", code: 400, parts: []string{"&#34;noon&#34; is not a time", `value="noon"`}},
		"no time to see": {seen: "aa", at: "noon", code: 400, parts: []string{"is not a time"}},
		"not seen":       {seen: "aa", err: fmt.Errorf("alert aa: %w", backout.ErrNotFound), code: 404, parts: []string{"alert aa"}},
		"store is away":  {alert: oneAlert, err: backout.ErrUnavailable, code: 503, parts: []string{"unavailable", "startsAt"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := explainAsk(t, wholly("x"))
			s.errs = map[string]error{"Explain": c.err}
			var w *httptest.ResponseRecorder
			if c.seen != "" {
				w = s.get("ann", "/rules/explain?"+url.Values{"seen": {c.seen}, "at": {c.at}}.Encode())
			} else {
				w = s.post("ann", "/rules/explain", "alert", c.alert, "at", c.at)
			}
			if w.Code != c.code {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			wants(t, w.Body.String(), append(c.parts, "Why did a rule (not) fire?")...)
		})
	}
	s, asked := explainAsk(t, wholly("x"))
	for _, w := range []*httptest.ResponseRecorder{
		s.post("ann", "/rules/explain", "alert", "{}", "more", "x"), s.post("ann", "/rules/explain", "alert", "{}", "alert", "{}"), s.get("ann", "/rules/explain?seem=aa"),
	} {
		if w.Code != 400 {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	if w := s.post("ann", "/rules/explain", "alert", strings.Repeat("x", 2<<20)); w.Code != 413 {
		t.Errorf("2 MiB: answered %d", w.Code)
	}
	if len(*asked) > 0 {
		t.Errorf("asked %v", *asked)
	}
}

// TestExplainWithoutWhatIsRed: the form is of use without it.
func TestExplainWithoutWhatIsRed(t *testing.T) {
	s, _ := explainAsk(t, wholly("x"))
	s.errs = map[string]error{"RedAlerts": backout.ErrUnavailable}
	wants(t, s.page("ann", "/rules/explain"), "Not known: ", "<textarea")
	s.set(func() { s.errs, s.red = nil, nil })
	wants(t, s.page("ann", "/rules/explain"), "Nothing is red")
	s.set(func() { s.red = make([]handlers.RedAlert, 130) })
	wants(t, s.page("ann", "/rules/explain"), "and 30 more")
}

// TestExplainForWhoDoesNotReadEverywhere: they give an alert and name their changes; what
// they may not ask is not offered, and refused all the same.
func TestExplainForWhoDoesNotReadEverywhere(t *testing.T) {
	s, asked := explainAsk(t, wholly("x"))
	page := s.page("wendy", "/rules/explain")
	wants(t, page, "HighErrorRate</strong> on web-1", "Name a change that you may see", `name="change" value="" autocomplete="off" required`)
	lacks(t, page, "db-1", "?seen=")
	for _, w := range []*httptest.ResponseRecorder{
		s.get("wendy", "/rules/explain?seen=00aa"), s.post("wendy", "/rules/explain", "alert", oneAlert), s.post("wendy", "/rules/explain", "alert", oneAlert, "change", "CHG2"),
	} {
		if w.Code != 403 {
			t.Errorf("answered %d", w.Code)
		}
	}
	if len(*asked) > 0 {
		t.Errorf("asked %v", *asked)
	}
	if w := s.post("wendy", "/rules/explain", "alert", oneAlert, "change", "CHG1"); w.Code != 200 || len(*asked) != 1 {
		t.Errorf("answered %d, asked %v", w.Code, *asked)
	}
}

// TestOtherSitesCannotHaveTheServerWork: the forms are held to the same as those that
// change something.
func TestOtherSitesCannotHaveTheServerWork(t *testing.T) {
	s, asked := explainAsk(t, wholly("x"))
	for path, form := range map[string]url.Values{"/rules/explain": {"alert": {oneAlert}}, "/rules/replay": {"since": {"7d"}, "until": {"now"}}} {
		r := request("ann", "POST", path, form)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if w := s.do(r); w.Code != 403 || len(*asked)+len(s.heard("ReplayRules")) > 0 {
			t.Errorf("%s: answered %d, asked %v", path, w.Code, *asked)
		}
	}
}

// TestFewExplanationsAreMadeAtOnce: more are refused, not queued; what was typed stays.
func TestFewExplanationsAreMadeAtOnce(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s, _ := explainAsk(t, wholly("x"))
	var count atomic.Int64
	s.before = func(_ context.Context, method string) {
		if method == "Explain" && count.Add(1) <= explainsAtOnce {
			begun <- struct{}{}
			<-end
		}
	}
	ask := func() *httptest.ResponseRecorder { return s.post("ann", "/rules/explain", "alert", oneAlert) }
	var all sync.WaitGroup
	for range explainsAtOnce {
		all.Go(func() { ask() })
		<-begun
	}
	w := ask()
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d", w.Code)
	}
	wants(t, w.Body.String(), "others are asking why just now", "2026-11-23T01:00:00Z")
	close(end)
	all.Wait()
	if w := ask(); w.Code != 200 {
		t.Errorf("after them: %d", w.Code)
	}
}

// TestHostileTextsStayTextOnThePagesOfRules: whatever stands in a label, a rule or the
// form makes no element, and no attribute, from the request to the page.
func TestHostileTextsStayTextOnThePagesOfRules(t *testing.T) {
	pages := func(text string) []*httptest.ResponseRecorder {
		s, _ := explainAsk(t, wholly(text))
		s.rules = []handlers.RuleStatus{{Rule: text, Group: text, File: text, Match: []string{text}, When: text + "x", FileMode: "auto", Mode: backout.Mode(text), Why: text}}
		s.red[0].Alert.Labels = map[string]string{"alertname": text}
		s.red[0].Alert.Fingerprint = text
		return []*httptest.ResponseRecorder{
			s.get("ann", "/rules"),
			s.get("ann", "/rules/explain?"+url.Values{"seen": {text}, "rule": {text}}.Encode()),
			s.post("ann", "/rules/explain", "alert", oneAlert, "rule", text),
			s.post("ann", "/rules/explain", "alert", text, "at", text),
			s.post("ann", "/rules/replay", "since", text, "until", text, "rule", text, "file", text+"x"),
		}
	}
	clean := pages("x")
	for i, text := range hostile.Strings() {
		if len(text) > 4096 || strings.TrimSpace(text) == "" {
			continue
		}
		for j, w := range pages(text) {
			body := w.Body.String()
			if w.Code != clean[j].Code {
				t.Fatalf("page %d of string %d %.40q: %d", j, i, text, w.Code)
			}
			if at := strings.IndexFunc(body, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }); at >= 0 {
				t.Errorf("string %d %.40q: page %d has a control character: %q", i, text, j, body[max(0, at-20):at+1])
			}
			for _, mark := range []string{"<", ">", `"`} {
				if got, want := strings.Count(body, mark), strings.Count(clean[j].Body.String(), mark); got != want {
					t.Errorf("string %d %.40q puts %d %s on page %d, want %d", i, text, got, mark, j, want)
				}
			}
		}
	}
}
