package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// fakeRules answers for the rules, and remembers what it was asked.
type fakeRules struct {
	Rules
	list      []RuleStatus
	explained Explained
	red       []RedAlert
	err       error
	asked     []ExplainRequest
}

func (f *fakeRules) ListRules(context.Context) ([]RuleStatus, error) { return f.list, f.err }

func (f *fakeRules) RedAlerts(context.Context, int) ([]RedAlert, int, error) {
	return f.red, len(f.red) + 2, f.err
}

func (f *fakeRules) Explain(_ context.Context, r ExplainRequest) (Explained, error) {
	f.asked = append(f.asked, r)
	return f.explained, f.err
}

func withRules(f *fakeRules) func(*Options) { return func(o *Options) { o.Rules = f } }

// wholeRules is a world of rules in which every text is the same.
func wholeRules(text string) *fakeRules {
	part := ExplainPart{Text: text, Error: text, Failed: true, Parts: []ExplainPart{{Text: text, Held: true}, {Text: text, Unknown: text}}}
	rule := ExplainedRule{Rule: text, Group: text, Mode: backout.Mode(text), Target: text, ChangeID: text, Why: text, Parts: []ExplainPart{part}}
	matched := rule
	matched.Matched, matched.Follows = true, "open"
	alert := backout.Alert{Fingerprint: text, Firing: true, Labels: map[string]string{"alertname": text}}
	return &fakeRules{
		list: []RuleStatus{{
			Rule: text, Group: text, File: text, Match: []string{text}, When: text, FileMode: "auto", Mode: backout.Mode(text), Why: text,
			Promotion: &Promoted{By: text, Reason: text, Mode: backout.Mode(text)},
		}},
		explained: Explained{Alert: alert, Notes: []string{text}, Said: []string{text}, Rules: []ExplainedRule{matched, rule, rule}},
		red:       []RedAlert{{Target: text, Alert: alert, ChangeIDs: []string{text}}},
	}
}

// form is what a browser sends for a form of this server.
func form(path string, fields url.Values) *http.Request {
	r := request("POST", path, fields.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// TestHostileTextsStayTextOnTheRulePages: whatever stands in a label, a rule or the
// form makes no element, and no attribute.
func TestHostileTextsStayTextOnTheRulePages(t *testing.T) {
	pages := func(f *fakeRules, text string) []*httptest.ResponseRecorder {
		h := handlerFor(t, &fake{}, withRules(f))
		return []*httptest.ResponseRecorder{
			do(h, request("GET", "/rules", "")),
			do(h, request("GET", "/rules/explain?"+url.Values{"seen": {text}, "change": {text}, "rule": {text}}.Encode(), "")),
			do(h, form("/rules/explain", url.Values{"alert": {`{"labels":{"a":"b"}}`}, "change": {text}, "rule": {text}})),
			do(h, form("/rules/explain", url.Values{"alert": {text}, "at": {text}})),
		}
	}
	clean := pages(wholeRules("x"), "x")
	for i, text := range hostileStrings() {
		if len(text) > 4096 {
			text = text[:4096]
		}
		for j, w := range pages(wholeRules(text), text) {
			body := w.Body.String()
			if w.Code != clean[j].Code || !utf8.ValidString(body) {
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

func TestRulesPageShowsWhatRulesMayDo(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	f := &fakeRules{list: []RuleStatus{{
		Rule: "WebErrors", Group: "web", File: "rules/web.yaml", Line: 5, Match: []string{`severity="page"`}, When: "alert.age > 1",
		FileMode: backout.ModeAuto, Mode: backout.ModeShadow, Why: "nobody has promoted it", LastVerdict: at,
		Score: RuleScore{Agreed: 19, Disagreed: 1, Open: 2, Precision: 0.95},
	}, {Rule: "Acts", FileMode: backout.ModeAuto, Mode: backout.ModeAuto, Promotion: &Promoted{Mode: backout.ModeAuto, By: "alice", Reason: "good", At: at}}}}
	w := do(handlerFor(t, &fake{}, withRules(f)), request("GET", "/rules", ""))
	for _, part := range []string{
		"WebErrors", "web, rules/web.yaml:5", "<strong>shadow</strong>", "(file: auto)", "nobody has promoted it", "19 agreed, 1 disagreed, 2 open: 95%",
		"2026-11-23 02:00:00 UTC", "auto by alice at 2026-11-23T02:00:00Z: good", "no verdicts", "never",
	} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	f.err = backout.ErrUnavailable
	if w := do(handlerFor(t, &fake{}, withRules(f)), request("GET", "/rules", "")); w.Code != 200 || !strings.Contains(w.Body.String(), "Not known: ") {
		t.Errorf("rules that are not known: %d", w.Code)
	}
}

func TestExplainPageAsksForWhatIsChosenOrPasted(t *testing.T) {
	f := wholeRules("x")
	h := handlerFor(t, &fake{}, withRules(f))
	w := do(h, request("GET", "/rules/explain", ""))
	if w.Code != 200 || len(f.asked) != 0 || !strings.Contains(w.Body.String(), `href="explain?seen=x"`) || !strings.Contains(w.Body.String(), "and 2 more") {
		t.Errorf("the empty page: %d, asked %v", w.Code, f.asked)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'self'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(w.Body.String(), "<script") {
		t.Errorf("policy %q", policy)
	}

	do(h, request("GET", "/rules/explain?seen=00aa&change=CHG1+CHG2&rule=R&at=2026-11-23T02:00:00Z", ""))
	w = do(h, form("/rules/explain", url.Values{"alert": {`[{"labels":{"alertname":"A"},"startsAt":"2026-11-23T01:00:00Z"}]`}, "at": {"now"}}))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "✔ acts") || !strings.Contains(w.Body.String(), "← this one") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	if len(f.asked) != 2 || f.asked[1].Alert == nil || f.asked[1].Alert.Name() != "A" || !f.asked[1].Alert.Firing {
		t.Fatalf("asked %+v", f.asked)
	}
	if diff := cmp.Diff(ExplainRequest{Fingerprint: "00aa", ChangeIDs: []string{"CHG1", "CHG2"}, Rule: "R", At: at}, f.asked[0]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestExplainPageSaysWhatIsWrongWithTheQuestion: on the page, with what was given.
func TestExplainPageSaysWhatIsWrongWithTheQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		r    *http.Request
		err  error
		code int
		part string
	}{
		"no JSON":       {form("/rules/explain", url.Values{"alert": {"{oops"}}), nil, 400, "{oops</textarea>"},
		"no alert":      {form("/rules/explain", url.Values{"alert": {"[]"}}), nil, 400, "0 alerts are given, want 1 to 5"},
		"no time":       {form("/rules/explain", url.Values{"alert": {"{}"}, "at": {"noon"}}), nil, 400, "is not a time"},
		"not seen":      {request("GET", "/rules/explain?seen=aa", ""), fmt.Errorf("alert aa: %w", backout.ErrNotFound), 404, "alert aa"},
		"another field": {form("/rules/explain", url.Values{"alert": {"{}"}, "more": {"x"}}), nil, 400, "unknown or repeated field"},
		"another key":   {request("GET", "/rules/explain?seem=aa", ""), nil, 400, "unknown query parameter"},
		"store is away": {request("GET", "/rules/explain?seen=aa", ""), backout.ErrUnavailable, 503, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			f := wholeRules("x")
			f.err = c.err
			w := do(handlerFor(t, &fake{}, withRules(f)), c.r)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.part) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestOtherSitesCannotHaveTheServerExplain: the form is held to the same as one that
// changes something.
func TestOtherSitesCannotHaveTheServerExplain(t *testing.T) {
	f := wholeRules("x")
	h := handlerFor(t, &fake{}, withRules(f))
	r := form("/rules/explain", url.Values{"alert": {`{"labels":{"a":"b"}}`}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	wantError(t, do(h, r), 403, "forbidden", "another site's page")
	large := form("/rules/explain", url.Values{"alert": {strings.Repeat("x", 2<<20)}})
	wantError(t, do(h, large), 413, "too_large", "")
	if len(f.asked) > 0 {
		t.Errorf("asked %v", f.asked)
	}
}

// TestFewExplanationsAreMadeAtOnce: more are refused, not queued.
func TestFewExplanationsAreMadeAtOnce(t *testing.T) {
	f := &blockingRules{begun: make(chan struct{}), end: make(chan struct{})}
	h := handlerFor(t, &fake{}, func(o *Options) { o.Rules = f })
	ask := func() *httptest.ResponseRecorder {
		return do(h, request("POST", "/api/v1/rules/explain", `{"fingerprint":"a"}`))
	}
	var all sync.WaitGroup
	for range maxExplains {
		all.Go(func() { ask() })
		<-f.begun
	}
	wantError(t, ask(), 503, "overloaded", "")
	close(f.end)
	all.Wait()
	if w := ask(); w.Code != 200 {
		t.Errorf("after them: %d", w.Code)
	}
}

// blockingRules explains until it may end.
type blockingRules struct {
	Rules
	begun, end chan struct{}
}

func (f *blockingRules) Explain(context.Context, ExplainRequest) (Explained, error) {
	select {
	case <-f.end:
	case f.begun <- struct{}{}:
		<-f.end
	}
	return Explained{}, nil
}

func TestExplainRouteIsStrict(t *testing.T) {
	f := wholeRules("x")
	h := handlerFor(t, &fake{}, withRules(f))
	for body, part := range map[string]string{
		`{}`:                             "want either alert or fingerprint",
		`{"fingerprint":"a","alert":{}}`: "want either alert or fingerprint",
		`{"fingerprint":"a","change_ids":["a/b"]}`: "is not the id of a change",
		`{"fingerprint":"a","change":"x"}`:         "change",
	} {
		wantError(t, do(h, request("POST", "/api/v1/rules/explain", body)), 400, "invalid", part)
	}
	if w := do(h, request("POST", "/api/v1/rules/explain", `{"fingerprint":"a"}`)); w.Code != 200 || !strings.Contains(w.Body.String(), `"why":"x"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
