package dashboard

import (
	"context"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

var ruleNow = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// someRules are rules as a server has them after a year.
func someRules(now time.Time) []handlers.RuleStatus {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	return []handlers.RuleStatus{
		{
			Rule: "WebErrorsAfterPatch", Group: "web-tier", File: "rules/web.yaml", Line: 5, Match: []string{`severity=~"critical|page"`, `team="web"`},
			When: "evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration(\"2m\")", TargetLabel: "instance",
			Hash: "sha256:8f14e45fceea167a5a36dedd4bea2543", FileMode: backout.ModeAuto, Mode: backout.ModeAuto,
			Throttle: backout.Throttle{AtLeast: 3, Within: backout.Duration(10 * time.Minute), OnceWithin: backout.Duration(30 * time.Minute), Latch: true},
			Promotion: &handlers.Promoted{
				Mode: backout.ModeAuto, By: "ann", Reason: "right in every change of May", At: ago(40 * day), Hash: "sha256:8f14e45fceea167a5a36dedd4bea2543",
				Score: handlers.RuleScore{Agreed: 20, Precision: 1},
			},
			History: []handlers.Promoted{
				{Mode: backout.ModeAuto, By: "ann", Reason: "right in every change of May", At: ago(40 * day), Hash: "sha256:8f14e45fceea167a5a36dedd4bea2543", Score: handlers.RuleScore{Agreed: 20, Precision: 1}},
				{Mode: backout.ModeAsk, By: "ann", Reason: "looks good", At: ago(90 * day), Hash: "sha256:8f14e45fceea167a5a36dedd4bea2543", Score: handlers.RuleScore{Agreed: 5}},
				{Mode: backout.ModeShadow, Lowered: true, By: "bob", Reason: "fired on a reboot", At: ago(120 * day), Hash: "sha256:0f14e45f", Score: handlers.RuleScore{Agreed: 1, Disagreed: 2}},
			},
			Score: handlers.RuleScore{Agreed: 22, Disagreed: 1, Open: 2, ByPeople: 12, Precision: 22.0 / 23}, LastVerdict: ago(3 * time.Hour),
		},
		{
			Rule: "CheckoutSlow", Group: "web-tier", File: "rules/web.yaml", Line: 19, Match: []string{`alertname="CheckoutSlow"`}, TargetLabel: "instance", Hash: "sha256:01",
			FileMode: backout.ModeAsk, Mode: backout.ModeAsk, Score: handlers.RuleScore{Agreed: 4, Disagreed: 3, Open: 1}, LastVerdict: ago(2 * day),
			Promotion: &handlers.Promoted{Mode: backout.ModeAsk, By: "amy", Reason: "let it ask", At: ago(9 * day), Hash: "sha256:01"},
		},
		{
			Rule: "ReplicationLag", Group: "databases", File: "rules/db.yaml", Line: 4, Match: []string{`severity="page"`, `team="db"`}, When: "evidence.minutes_since_patch < 60", TargetLabel: "host", Hash: "sha256:02",
			FileMode: backout.ModeAuto, Mode: backout.ModeShadow, Why: "nobody has promoted it: it only records", Score: handlers.RuleScore{Agreed: 1, Open: 3}, LastVerdict: ago(20 * day),
		},
		{
			Rule: "AnythingCritical", Group: "databases", File: "rules/db.yaml", Line: 14, TargetLabel: "host", Hash: "sha256:03",
			FileMode: backout.ModeShadow, Mode: backout.ModeShadow,
		},
	}
}

func manyRules(now time.Time, n int) []handlers.RuleStatus {
	base := someRules(now)
	out := make([]handlers.RuleStatus, n)
	for i := range out {
		out[i] = base[i%len(base)]
		out[i].Rule = fmt.Sprintf("%s%04d", out[i].Rule, i)
	}
	return out
}

// TestRulesSayWhatTheyMayDoAndHowTheyHaveDone: a row has everything by which somebody
// decides whether to trust the rule.
func TestRulesSayWhatTheyMayDoAndHowTheyHaveDone(t *testing.T) {
	s := siteOf(t, &fake{rules: someRules(ruleNow)})
	page := s.page("vic", "/rules")
	wants(
		t, page,
		"4 rules:", ">1 auto<", ">1 ask<", ">2 shadow<", ">1 may do less</a> than its file says",
		`href="/rules/rule?name=WebErrorsAfterPatch">WebErrorsAfterPatch</a>`, "web-tier · rules/web.yaml:5", "severity=~&#34;critical|page&#34;", "evidence.red_share_patched &gt; 2",
		"acts once 3 different alerts have matched within 10m; opens at most one rollback in 30m; a level that",
		"promoted to auto by ann", "right in every change of May", "95%", "22 of 23 changes agreed, 2 open, 12 judged by people", `datetime="2026-11-22T23:00:00.000Z"`,
		", its file says auto", "nobody has promoted it: it only records", "Matches every alert", "it has spoken of no change yet", "never matched",
	)
	// Who does not read everywhere is not offered what they may not ask.
	wants(t, page, `href="/rules/replay"`)
	lacks(t, s.page("wendy", "/rules"), `href="/rules/replay"`)
	wants(t, siteOf(t, &fake{}).page("vic", "/rules"), "names no rules", "<code>rules:</code>")
}

// TestRulesThatAreNotKnownAreAnError: an empty list would be a lie.
func TestRulesThatAreNotKnownAreAnError(t *testing.T) {
	s := siteOf(t, &fake{errs: map[string]error{"ListRules": backout.ErrUnavailable}})
	for _, path := range []string{"/rules", "/rules/rule?name=r", "/rules/live"} {
		if w := s.get("vic", path); w.Code != 503 {
			t.Errorf("%s: answered %d", path, w.Code)
		}
	}
}

func TestRulesAreFiltered(t *testing.T) {
	s := siteOf(t, &fake{rules: someRules(ruleNow)})
	all := []string{"WebErrorsAfterPatch", "CheckoutSlow", "ReplicationLag", "AnythingCritical"}
	for path, left := range map[string][]string{
		"?text=":                          all,
		"?mode=auto":                      {"WebErrorsAfterPatch"},
		"?mode=shadow":                    {"ReplicationLag", "AnythingCritical"},
		"?mode=less":                      {"ReplicationLag"},
		"?group=databases&mode=shadow":    {"ReplicationLag", "AnythingCritical"},
		"?text=checkoutslow":              {"CheckoutSlow"},
		"?text=+RED_SHARE+":               {"WebErrorsAfterPatch"},
		"?text=rules/db.yaml&group=":      {"ReplicationLag", "AnythingCritical"},
		"?text=nobody+has&group=web-tier": nil,
		"?group=databases&page=99":        {"ReplicationLag", "AnythingCritical"},
	} {
		page := s.page("vic", "/rules"+path)
		var got []string
		for _, name := range all {
			if strings.Contains(page, ">"+name+"</a>") {
				got = append(got, name)
			}
		}
		if diff := cmp.Diff(left, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if left == nil {
			wants(t, page, "No rule is so", `<a href="/rules">Show all 4</a>`)
		}
	}
	// The filter is in the form, and in the stream of the page.
	wants(t, s.page("vic", "/rules?text=%22x&mode=ask&group=databases"), `value="&#34;x"`, "<option selected>ask</option>", "<option selected>databases</option>",
		"/rules/live?group=databases&amp;mode=ask&amp;text=%22x")
	for _, path := range []string{"?mode=all", "?page=0", "?page=x", "?filter=x", "?mode=ask&mode=auto"} {
		if w := s.get("vic", "/rules"+path); w.Code != 400 {
			t.Errorf("%s: answered %d", path, w.Code)
		}
	}
}

// TestAThousandRulesStayReadable: a hundred at a time, with a way to each of the others.
func TestAThousandRulesStayReadable(t *testing.T) {
	rules := manyRules(ruleNow, 1001)
	for i := range rules {
		rules[i].Group = fmt.Sprintf("group-%04d", i)
	}
	s := siteOf(t, &fake{rules: rules})
	seen := map[string]bool{}
	next := regexp.MustCompile(`rel="next" href="(/rules\?[^"]*)"`)
	name := regexp.MustCompile(`\?name=([A-Za-z0-9]+)"`)
	path, pages := "/rules?text=0", 0
	for path != "" {
		page := s.page("vic", path)
		if pages++; len(page) > 110<<10 {
			t.Fatalf("%s has %d bytes", path, len(page))
		}
		for _, m := range name.FindAllStringSubmatch(page, -1) {
			seen[m[1]] = true
		}
		m := next.FindStringSubmatch(page)
		if path = ""; m != nil {
			path = html.UnescapeString(m[1])
		}
	}
	if len(seen) != 1001 || pages != 11 {
		t.Errorf("%d rules on %d pages", len(seen), pages)
	}
	wants(t, s.page("vic", "/rules?page=3"), "201 to 300 of 1001", "page 3 of 11", `rel="prev"`, "and 801 more: name them as the text")
	wants(t, s.page("vic", "/rules?page=11"), "1001 to 1001 of 1001")
}

// TestOneRule has what its row has no room for: what it said, and who let it act.
func TestOneRule(t *testing.T) {
	rules := someRules(ruleNow)
	at := func(hours int) time.Time { return ruleNow.Add(-time.Duration(hours) * time.Hour) }
	record := func(hours int, hash string, judged *backout.Judgement) []backout.RuleRecord {
		return []backout.RuleRecord{
			{Rule: "Another", Last: ruleNow, Verdicts: 1},
			{Rule: "WebErrorsAfterPatch", Hash: hash, Mode: backout.ModeAuto, First: at(hours + 1), Last: at(hours), Verdicts: 4, Targets: []string{"web-1"}, Judged: judged},
		}
	}
	s := siteOf(t, &fake{
		rules:  rules,
		labels: map[string]map[string]string{"web-1": {"team": "web"}},
		changes: []backout.Change{
			{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: []string{"db-1"}}, State: backout.ChangeClosed, Rules: record(50, "sha256:old", &backout.Judgement{By: "bob", Reason: "it was the network"})},
			{ChangeSpec: backout.ChangeSpec{ID: "CHG2", Title: "openssl", Targets: []string{"web-1"}}, State: backout.ChangeOpen, Rules: record(3, rules[0].Hash, nil)},
			{ChangeSpec: backout.ChangeSpec{ID: "CHG3"}, State: backout.ChangeClosed, Rules: record(60, rules[0].Hash, nil)[:1]},
		},
	})
	const path = "/rules/rule?name=WebErrorsAfterPatch"
	page := s.page("ann", path)
	wants(
		t, page, "<h1>WebErrorsAfterPatch</h1>", "it opens rollbacks that follow their plan", "the label <code>instance</code>", rules[0].Hash,
		`<a href="/changes/CHG2">CHG2</a> openssl`, "window open", "nobody can tell yet", "4 since", "disagreed", "bob: it was the network", "with other content",
		"held down to shadow", "fired on a reboot", "33%: 1 of 3 changes agreed",
		`href="/rules/explain?rule=WebErrorsAfterPatch"`, `href="/rules/replay?rule=WebErrorsAfterPatch"`,
		"backout rules judge CHG2 WebErrorsAfterPatch --agree", "backout rules promote WebErrorsAfterPatch --to shadow",
	)
	if strings.Index(page, ">CHG2<") > strings.Index(page, ">CHG1<") || strings.Contains(page, "CHG3") {
		t.Error("the verdicts are not the rule's, the newest first")
	}
	// Others see their changes only, and nothing that they may not do.
	wendy := s.page("wendy", path)
	lacks(t, wendy, "CHG1", "/rules/replay", "rules promote", "rules judge")
	wants(t, wendy, "CHG2")
	s.set(func() { s.errs = map[string]error{"ListChanges": backout.ErrUnavailable} })
	wants(t, s.page("ann", path), "Not known: ")
	for path, code := range map[string]int{"/rules/rule?name=none": 404, "/rules/rule": 404, "/rules/rule?rule=x": 400} {
		if w := s.get("ann", path); w.Code != code {
			t.Errorf("%s: answered %d, want %d", path, w.Code, code)
		}
	}
}

// TestAnyNameOfARuleHasAPage: names may be what no path may hold.
func TestAnyNameOfARuleHasAPage(t *testing.T) {
	for _, name := range []string{".", "..", "explain", "replay", "live", "a:b", "-"} {
		s := siteOf(t, &fake{rules: []handlers.RuleStatus{{Rule: name}}})
		m := regexp.MustCompile(`<h2><a href="([^"]+)"`).FindStringSubmatch(s.page("vic", "/rules"))
		if m == nil {
			t.Fatalf("no link to %s", name)
		}
		wants(t, s.page("vic", html.UnescapeString(m[1])), "<h1>"+name+"</h1>")
	}
}

// TestTheListIsLive: a promotion is seen by who looks, with their filter.
func TestTheListIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{rules: someRules(ruleNow)})
		ctx, cancel := context.WithCancel(t.Context())
		o := s.follow(request("vic", "GET", "/rules/live?mode=shadow", nil).WithContext(ctx))
		synctest.Wait()
		first := o.pages()
		if len(first) != 1 || !strings.Contains(first[0], "AnythingCritical") || strings.Contains(first[0], "CheckoutSlow") {
			t.Fatalf("%d pages: %.300q", len(first), first)
		}
		s.set(func() { s.rules[1].Mode, s.rules[1].Why = backout.ModeShadow, "bob lets it do no more" })
		time.Sleep(time.Second)
		if next := o.pages(); len(next) != 1 || !strings.Contains(next[0], "bob lets it do no more") {
			t.Errorf("%d pages: %.300q", len(next), next)
		}
		cancel()
		<-o.done
	})
}
