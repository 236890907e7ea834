package dashboard

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/replay"
)

// someReplay is what a week would have been like.
func someReplay() authorized.ReplayAnswer {
	at := func(hours int) time.Time { return ruleNow.Add(-time.Duration(hours) * time.Hour) }
	did := replay.Did{ChangeID: "CHG1", RollbackID: "CHG1-r1", Targets: []string{"web-1"}, At: at(99), By: "ann", Approved: []string{"li"}, Denied: []string{"jo"}, Status: backout.RollbackRecovered, EndedAt: at(98)}
	byRule := replay.Did{ChangeID: "CHG2", RollbackID: "CHG2-r1", Targets: []string{"web-2"}, At: at(80), Rule: "Other", Status: backout.RollbackAborted}
	return authorized.ReplayAnswer{
		Notes: []string{"alerts are kept since 2026-11-01"},
		Report: replay.Report{
			Summary: replay.Summary{Alerts: 3421, Changes: 12, Verdicts: 57}, Agreed: 1, Disagreed: 1, Undecided: 1,
			Rows: []replay.Row{
				{At: at(100), ChangeID: "CHG1", Rule: "WebErrors", Mode: backout.ModeAuto, RollbackID: "CHG1-r1", Targets: []string{"web-1"}, Level: "L1", Alert: "HighErrorRate", Target: "web-1", Verdicts: 3, Did: []replay.Did{did}, Outcome: change.Agreed},
				{At: at(90), ChangeID: "CHG2", Rule: "Slow", Mode: backout.ModeAsk, RollbackID: "CHG2-r1", Targets: []string{"web-2"}, AskFirst: "mode ask", StartAfter: at(89), CancelledAt: at(88), Alert: "Slow", Target: "web-2", Verdicts: 1, Did: []replay.Did{byRule}, Outcome: change.Undecided},
				{At: at(70), ChangeID: "CHG3", Rule: "Slow", Mode: backout.ModeAsk, RollbackID: "CHG3-r1", Targets: []string{"web-3"}, Alert: "Slow", Target: "web-3", Verdicts: 1, Ended: backout.ChangeClosed, Outcome: change.Disagreed},
				{At: at(60), ChangeID: "CHG4", Rule: "New", Mode: backout.ModeShadow, Targets: []string{"db-1"}, Alert: "Lag", Target: "db-1", Verdicts: 9},
				{At: at(50), ChangeID: "CHG4", Rule: "WebErrors", Mode: backout.ModeAuto, Targets: []string{"db-1"}, Alert: "Lag", Target: "db-1", Verdicts: 2, Stopped: "it opened a rollback 10m before"},
			},
			Missed: []replay.Did{{ChangeID: "CHG9", RollbackID: "CHG9-r1", Targets: []string{"db-7"}, At: at(40), Status: backout.RollbackRecovered}},
			Failed: []replay.Failed{{Rule: "Broken", Error: "division by zero", Times: 3}},
		},
	}
}

// TestReplaySaysWhatWouldHaveBeen: beside what people really did, as a picture, in words
// and row by row.
func TestReplaySaysWhatWouldHaveBeen(t *testing.T) {
	s := siteOf(t, &fake{replay: someReplay()})
	w := s.post("vic", "/rules/replay", "since", "2026-11-16", "until", "2026-11-23 02:00", "rule", "")
	if w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"ReplayRules  2026-11-16T00:00:00Z 2026-11-23T02:00:00Z 0 by vic"}, s.heard("ReplayRules")); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	page := w.Body.String()
	wants(
		t, page, "What the rules would have done", "<strong>3 rollbacks</strong> would have been opened", "1 agree with what people did, 1 does not, and nobody can tell of 1",
		"1 rollback really was, and no rule would have opened one there", "3421 alerts, 12 changes and 57 verdicts", "Broken failed</strong> 3 times: division by zero", "alerts are kept since",
		"<svg ", "The picture in words",
		`<a href="/changes/CHG1">CHG1</a>, <a href="/rules/rule?name=WebErrors">WebErrors</a>`, "would roll back web-1 from L1", "HighErrorRate on web-1, 3 verdicts",
		"ann rolled back web-1", "approved by li, denied by jo", `<a href="/rollbacks/CHG1-r1">CHG1-r1</a>`, "rule Other rolled back web-2",
		"asking first: mode ask", "waiting until", "cancelled", "really nothing;", "Would only have been recorded", "the rule may only record", "it opened a rollback 10m before",
		"Really rolled back, and no rule would have", "somebody rolled back db-7",
	)
	for word, n := range map[string]int{"</span> agreed<": 1, "</span> disagreed<": 1, "</span> nobody can tell yet<": 1} {
		if got := strings.Count(page, word); got != n {
			t.Errorf("%q stands %d times, want %d", word, got, n)
		}
	}
	// Of one rule the same is said as of one.
	page = s.post("vic", "/rules/replay", "since", "7d", "until", "now", "rule", " Slow ").Body.String()
	wants(t, page, "What Slow would have done", "and Slow would have opened none there", `value=" Slow "`)
	// A week in which nothing happened is an answer too.
	s.set(func() { s.replay = authorized.ReplayAnswer{} })
	page = s.post("vic", "/rules/replay", "since", "7d", "until", "now").Body.String()
	wants(t, page, "<strong>0 rollbacks</strong> would have been opened", "0 alerts, 0 changes and 0 verdicts")
	lacks(t, page, "<figure", "agree with what people did")
}

// TestReplayReadsTimesAsPeopleWriteThem: how long ago, or a time.
func TestReplayReadsTimesAsPeopleWriteThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		s := siteOf(t, &fake{})
		ago := func(d time.Duration) string { return now.Add(-d).Format(time.RFC3339) }
		for _, c := range []struct{ since, until, last, wantSince, wantUntil string }{
			{"7d", "now", "", ago(7 * 24 * time.Hour), ago(0)},
			{" 12h ", " 2h ", "", ago(12 * time.Hour), ago(2 * time.Hour)},
			{"1999-12-01", "1999-12-31", "", "1999-12-01T00:00:00Z", "1999-12-31T00:00:00Z"},
			{"1999-12-01 22:30 UTC", "1999-12-01 23:30:10", "", "1999-12-01T22:30:00Z", "1999-12-01T23:30:10Z"},
			{"1999-12-01T22:30:00+01:00", "1999-12-01T22:30", "", "1999-12-01T21:30:00Z", "1999-12-01T22:30:00Z"},
			{"90d", "now", "", ago(90 * 24 * time.Hour), ago(0)},
			{"whatever", "", "24h", ago(24 * time.Hour), ago(0)},
		} {
			s.set(func() { s.calls = nil })
			w := s.post("vic", "/rules/replay", "since", c.since, "until", c.until, "last", c.last)
			want := fmt.Sprintf("ReplayRules  %s %s 0 by vic", c.wantSince, c.wantUntil)
			if diff := cmp.Diff([]string{want}, s.heard("ReplayRules")); w.Code != 200 || diff != "" {
				t.Errorf("%+v: answered %d (-want +got):\n%s", c, w.Code, diff)
			}
		}
	})
}

// TestReplayForm: it can be linked to, filled in.
func TestReplayForm(t *testing.T) {
	s := siteOf(t, &fake{rules: someRules(ruleNow)})
	page := s.page("vic", "/rules/replay")
	wants(t, page, `value="7d"`, `value="now"`, `<option value="CheckoutSlow">`, `name="last" value="30d">30 days<`, "At most 90 days", `name="compare" value="yes" checked`)
	lacks(t, page, "<details class=\"fold\" open", "would have been opened")
	wants(t, s.page("vic", "/rules/replay?since=30d&until=2d&rule=%22x"), `value="30d"`, `value="2d"`, `value="&#34;x"`)
	// Whoever presses enter in a field means the first button.
	if replay, preset := strings.Index(page, ">Replay</button>"), strings.Index(page, `name="last"`); replay < 0 || replay > preset {
		t.Error("the first button is not that of the form")
	}
	s.set(func() { s.errs = map[string]error{"ListRules": backout.ErrUnavailable} })
	wants(t, s.page("vic", "/rules/replay"), `name="rule"`)
	s.set(func() { s.errs, s.rules = nil, manyRules(ruleNow, 1000) })
	if page := s.page("vic", "/rules/replay"); len(page) > 100<<10 {
		t.Errorf("%d bytes", len(page))
	}
}

// TestReplaySaysWhatIsWrongWithTheQuestion: on the page, with what was given; nothing is
// replayed.
func TestReplaySaysWhatIsWrongWithTheQuestion(t *testing.T) {
	for name, c := range map[string]struct{ since, until, file, part string }{
		"no time":    {"yesterday", "now", "", "since: &#34;yesterday&#34;: want how long ago"},
		"no end":     {"7d", "", "", "until: &#34;&#34;: want how long ago"},
		"backwards":  {"1d", "2d", "", "since: it is not before until"},
		"empty":      {"now", "now", "", "since: it is not before until"},
		"the future": {"7d", "2999-01-01", "", "until: it has not come yet"},
		"too long":   {"91d", "now", "", "want at most 90 days"},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOf(t, &fake{})
			w := s.post("vic", "/rules/replay", "since", c.since, "until", c.until, "rule", "R", "file", "groups: []", "compare", "yes")
			if w.Code != 400 || len(s.heard("ReplayRules")) > 0 {
				t.Errorf("answered %d, asked %v", w.Code, s.heard("ReplayRules"))
			}
			wants(t, w.Body.String(), c.part, `value="`+c.since+`"`, `value="R"`, "groups: []</textarea>", " checked")
		})
	}
	s := siteOf(t, &fake{})
	if w := s.post("vic", "/rules/replay", "since", "7d", "until", "now", "more", "x"); w.Code != 400 {
		t.Errorf("another field: answered %d", w.Code)
	}
	if w := s.get("vic", "/rules/replay?file=x"); w.Code != 400 {
		t.Errorf("another parameter: answered %d", w.Code)
	}
}

// TestReplayThatIsRefusedKeepsWhatWasTyped: another replay runs, or the store is away.
func TestReplayThatIsRefusedKeepsWhatWasTyped(t *testing.T) {
	for status, err := range map[int]error{
		409: fmt.Errorf("%w: another replay runs: ask again when it has ended", backout.ErrConflict),
		503: fmt.Errorf("%w: another replay runs: ask again when it has ended", backout.ErrUnavailable),
		404: fmt.Errorf("rule R: another replay runs: %w", backout.ErrNotFound),
		422: handlers.Refuse(422, "refused", "another replay runs"),
	} {
		s := siteOf(t, &fake{errs: map[string]error{"ReplayRules": err}})
		w := s.post("vic", "/rules/replay", "since", "30d", "until", "now", "file", "groups: []")
		if w.Code != status || (w.Header().Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%v: answered %d, Retry-After %q", err, w.Code, w.Header().Get("Retry-After"))
		}
		wants(t, w.Body.String(), "another replay runs", `value="30d"`, "groups: []</textarea>")
	}
	s := siteOf(t, &fake{errs: map[string]error{"ReplayRules": fmt.Errorf("what nobody foresaw")}})
	if w := s.post("vic", "/rules/replay", "since", "30d", "until", "now"); w.Code != 500 || strings.Contains(w.Body.String(), "foresaw") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// TestMistakesInPastedRulesStandBesideTheirLines: as in an editor.
func TestMistakesInPastedRulesStandBesideTheirLines(t *testing.T) {
	problems := backout.Problems{
		{File: "rules", Line: 2, Column: 4, What: `unknown key "mach"`, Fix: "did you mean match?"},
		{File: "rules", Line: 3, Column: 301, What: "far to the right"},
		{File: "rules", Line: 99, Column: 1, What: "beyond the end"},
		{File: "rules", What: "the whole file", Warning: true},
	}
	s := siteOf(t, &fake{errs: map[string]error{"ReplayRules": fmt.Errorf("replay: %w", problems)}})
	file := "groups:\r\n\té <mach: []\r\n" + strings.Repeat("x", 400)
	w := s.post("vic", "/rules/replay", "since", "7d", "until", "now", "file", file)
	if w.Code != 422 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	page := w.Body.String()
	wants(
		t, page, "the pasted rules have mistakes, so nothing was replayed", "4 mistakes in the pasted rules", "Line 2, column 4:</strong> unknown key &#34;mach&#34;: did you mean match?",
		"\té &lt;mach: []\n", "\">\t  ▲</span>", "Line 3, column 301:</strong> far to the right", "Line 99, column 1:</strong> beyond the end", "<p>warning: the whole file</p>",
		`aria-describedby="problems" aria-invalid="true"`, "<details class=\"fold\" open",
	)
	if n := strings.Count(page, "▲"); n != 1 {
		t.Errorf("%d marks", n)
	}
	lacks(t, page, strings.Repeat("x", 201)+"\n")
	s.set(func() { s.errs["ReplayRules"] = append(backout.Problems{}, make(backout.Problems, 70)...) })
	wants(t, s.post("vic", "/rules/replay", "since", "7d", "until", "now", "file", file).Body.String(), "and 20 more")
}

// TestPastedRulesAreComparedWithTheServers: over the same past, and only when asked for.
func TestPastedRulesAreComparedWithTheServers(t *testing.T) {
	row := func(hour int) replay.Row {
		return replay.Row{At: ruleNow.Add(time.Duration(hour) * time.Hour), ChangeID: fmt.Sprintf("CHG%d", hour), Rule: "R", RollbackID: "r", Targets: []string{"web-1"}, Alert: "A", Target: "web-1", Verdicts: 1}
	}
	pasted, server := replay.Report{Rows: []replay.Row{row(1), row(2)}}, replay.Report{Rows: []replay.Row{row(2), row(3)}}
	f := &fake{}
	s := siteOf(t, f)
	runs := 0
	f.before = func(_ context.Context, method string) {
		if method == "ReplayRules" {
			runs++
			f.set(func() { f.replay.Report = []replay.Report{pasted, server}[(runs-1)%2] })
		}
	}
	ask := func(compare string) string {
		w := s.post("vic", "/rules/replay", "since", "7d", "until", "now", "file", "groups: []\r\n", "compare", compare)
		if w.Code != 200 {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	page := ask("yes")
	wants(t, page, "What the pasted rules would have done", "Beside the server", "<strong>open one more</strong>", "<strong>do not open it</strong>", "would have done nothing")
	if !regexp.MustCompile(`(?s)open one more.*CHG1.*do not open it.*CHG3`).MatchString(page) || runs != 2 {
		t.Errorf("after %d runs: %s", runs, page)
	}
	if heard := s.heard("ReplayRules"); !strings.HasSuffix(heard[0], " 11 by vic") || !strings.HasSuffix(heard[1], " 0 by vic") {
		t.Errorf("asked %v", heard)
	}
	lacks(t, ask(""), "Beside the server")
	server, runs = pasted, 0
	wants(t, ask("yes"), "no difference")
	runs = 0
	f.before = func(_ context.Context, method string) {
		if method == "ReplayRules" {
			if runs++; runs == 2 {
				f.set(func() {
					f.errs = map[string]error{"ReplayRules": fmt.Errorf("%w: another replay runs", backout.ErrUnavailable)}
				})
			}
		}
	}
	wants(t, ask("yes"), "Not compared: ", "another replay runs", "2 rollbacks")
}

// TestALongReplayStaysReadable: the first of many, and how many more there are.
func TestALongReplayStaysReadable(t *testing.T) {
	answer := someReplay()
	answer.Rows, answer.Missed, answer.Agreed = nil, nil, 1000
	for i := range 2000 {
		row := replay.Row{At: ruleNow.Add(-time.Duration(i) * time.Minute), ChangeID: "CHG1", Rule: "R", Targets: []string{"web-1"}, Outcome: change.Agreed}
		if i%2 == 0 {
			row.RollbackID = "r"
		}
		answer.Rows = append(answer.Rows, row)
		if i < 300 {
			answer.Missed = append(answer.Missed, replay.Did{ChangeID: "CHG1", RollbackID: fmt.Sprint("r", i), At: row.At})
		}
	}
	s := siteOf(t, &fake{replay: answer})
	page := s.post("vic", "/rules/replay", "since", "7d", "until", "now").Body.String()
	wants(t, page, "and 900 more", "and 200 more", "300 rollbacks really were")
	if len(page) > 300<<10 {
		t.Errorf("%d bytes", len(page))
	}
}

// TestReplayTakesReadingEverywhere: it reads every alert that came in.
func TestReplayTakesReadingEverywhere(t *testing.T) {
	s := siteOf(t, &fake{})
	if w := s.get("wendy", "/rules/replay"); w.Code != 403 || !strings.Contains(w.Body.String(), "reads every alert") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if w := s.post("wendy", "/rules/replay", "since", "7d", "until", "now"); w.Code != 403 || len(s.heard("ReplayRules")) > 0 {
		t.Errorf("answered %d, asked %v", w.Code, s.heard("ReplayRules"))
	}
}
