package dashboard

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/told"
)

// askingTale is a rollback of three targets whose first level brought one back and that
// asks for the second; ann has voted.
func askingTale(t *testing.T, start time.Time) *tale {
	s := taleOf(t, "CHG1", start, names(3))
	for _, name := range names(3) {
		s.steps(name, 3)
		s.checked(name, "HTTP 500 from the shop")
	}
	s.isBack("web-0003")
	s.after(30 * time.Minute)
	s.vote("ann", "sre", backout.ChoiceApprove, "nothing else is left")
	return s
}

// TestWhereALinkInANoticeLeads: whoever opens it at night reads what is broken, what
// happens next and when, what is asked, and what it would cost.
func TestWhereALinkInANoticeLeads(t *testing.T) {
	s := askingTale(t, time.Now().Add(-40*time.Minute))
	f := tell(&fake{offers: map[string][]handlers.Offer{s.r.ID: {{Answer: "hold", AskID: s.r.Ask.ID}, {Answer: "approve", AskID: s.r.Ask.ID}}}}, s)
	page := siteOf(t, f).page("ann", "/rollbacks/CHG1-r1")
	wants(t, page,
		"<title>CHG1-r1: waits for a decision · backout</title>", "<h1>Checkout fails on web-0001 since the patch</h1>", `data-tone="bad"`, "data-lead",
		`href="/changes/CHG1"`, "openssl 3.0.7-2", "waits for a decision", `<time class="count"`, "until the next level is asked for", "1 of 3 targets back",
		"took 32m9s of 30m", "would have 45m", "did not help", "asked for", "not reached",
		"May L2 start?", "restore the snapshot", "It destroys data:</strong> orders written since the snapshot",
		`CVE-2026-0002 <strong class="bad">(known to be exploited)</strong>, CVE-2026-0001.`,
		"snapper.rollback, system.reboot", "2 votes of sre or dba, by dashboard or slack and by nothing else, after a login within the last 15m",
		"amy, paul: asked for the change", "1 of 2", "ann at ", "by dashboard: nothing else is left",
		`action="/rollbacks/CHG1-r1/answer"`, `value="hold"`, `value="approve"`,
		"backout rollback approve CHG1-r1 --level L2", "backout rollback hold CHG1-r1", `hx-sse:connect="/rollbacks/CHG1-r1/live"`,
	)
	lacks(t, page, "L1 is asked", `name="back"`)
	if n := strings.Count(page, `aria-current="step"`); n != 1 {
		t.Errorf("%d levels are the one that it is at", n)
	}
}

// TestWhatIsSentToTheIncidentChannel: a few lines that stand on their own.
func TestWhatIsSentToTheIncidentChannel(t *testing.T) {
	s := askingTale(t, taleStart)
	f := tell(&fake{}, s)
	site := siteOf(t, f)
	page := site.page("vic", "/rollbacks/CHG1-r1")
	m := regexp.MustCompile(`data-copy="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("nothing to copy: %s", page)
	}
	want := "CHG1-r1 (CHG1 openssl 3.0.7-2): Checkout fails on web-0001 since the patch\n" +
		"L2 (restore the snapshot): waits for a decision; 1 of 3 targets back\nL2 needs an approval\n" +
		"Next: at 2026-11-23 03:05:09 UTC: the next level is asked for"
	if got := html.UnescapeString(m[1]); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestEveryStateOfARollbackHasItsPage.
func TestEveryStateOfARollbackHasItsPage(t *testing.T) {
	begun := func(id string) *tale { return taleOf(t, id, time.Now().Add(-5*time.Minute), names(2)) }
	running := begun("RUN")
	running.starts("web-0001")
	verifying := begun("VER")
	for _, name := range names(2) {
		verifying.steps(name, 3)
	}
	verifying.checked("web-0001", "")
	verifying.checked("web-0002", "HTTP 500")
	held := begun("HELD")
	held.give(rollback.Hold{By: "oz", Reason: "I look"})
	paused := begun("PAUSE")
	paused.give(rollback.Pause{By: "oz", Reason: "storm"})
	doubt := begun("DOUBT")
	doubt.starts("web-0001")
	doubt.give(rollback.Doubt{AttemptID: doubt.r.Target("web-0001").Attempt.ID, Reason: "the connection broke"})
	aborted := begun("ABORT")
	aborted.give(rollback.Abort{By: "oz", Reason: "wrong host"})
	recovered := begun("BACK")
	for _, name := range names(2) {
		recovered.steps(name, 3)
	}
	recovered.isBack(names(2)...)
	recovered.r.Targets[0].Drift = &backout.DriftFound{Verdict: backout.DriftSome, Report: "sha256:abc", Summary: "1 package differs"}
	exhausted := taleOf(t, "EXH", time.Now().Add(-5*time.Hour), names(1))
	exhausted.give(rollback.Escalate{By: "oz", Reason: "no"})
	exhausted.r.Status, exhausted.r.Reason, exhausted.r.Level = backout.RollbackExhausted, "no level is left", 2
	byHand := backout.Rollback{ID: "HAND-r1", ChangeID: "HAND", Status: backout.RollbackPending, Level: -1, Trigger: backout.Trigger{By: "ann", Reason: "checkout fails"}, Frozen: backout.FrozenPlan{Plan: shopPlan()}, Targets: []backout.TargetState{{Name: "a", Phase: backout.TargetWaiting}}}
	f := tell(&fake{}, running, verifying, held, paused, doubt, aborted, recovered, exhausted)
	f.rollbacks = append(f.rollbacks, byHand)
	site := siteOf(t, f)
	for id, parts := range map[string][]string{
		"RUN":   {"rolling back", "time is up", "waits for a runner", "running", "take out of the pool"},
		"VER":   {"watching the checks", "back <time", "if it stays", "HTTP 500", "steps done"},
		"HELD":  {"no clock", "nothing happens until somebody acts", "held by oz: I look"},
		"PAUSE": {"paused by oz: no clock runs", "clocks stand still by oz: storm"},
		"DOUBT": {"in doubt", "the connection broke", "somebody must say whether it happened"},
		"ABORT": {"aborted", "wrong host", "abort asked by oz"},
		"BACK":  {"2 of 2 targets back", "1 target drifted", `href="/drift/sha256:abc"`, "healthy but drifted", "1 package differs", `data-tone="quiet"`, "backout report BACK"},
		"EXH":   {"exhausted", "0 of 1 target back", `data-tone="wait"`},
		"HAND":  {"started by ann: checkout fails", "ann started it by hand: checkout fails", "about to start", "waiting"},
	} {
		page := site.page("vic", "/rollbacks/"+id+"-r1")
		wants(t, page, parts...)
		if id != "BACK" {
			lacks(t, page, "drifted:")
		}
	}
	lacks(t, site.page("vic", "/rollbacks/BACK-r1"), "data-lead", `class="actions"`, "backout rollback hold")
}

// TestABrokenGlassIsSeen: who broke it, and whether anybody has looked at it since.
func TestABrokenGlassIsSeen(t *testing.T) {
	r := running("CHG1-r1")
	r.Reviews = []backout.Review{
		{Level: 1, By: "ann", Reason: "alone at night", At: taleStart},
		{Level: 0, By: "bob", Reason: "nobody there", At: taleStart, ReviewedBy: "eve", ReviewedAt: taleStart, Finding: "rightly"},
	}
	page := siteOf(t, &fake{rollbacks: []backout.Rollback{r}}).page("vic", "/rollbacks/CHG1-r1")
	wants(t, page, "The glass was broken", "nobody has reviewed it: ann started L2 alone", "alone at night", "bob started L1 alone", "eve looked at it", "rightly")
}

// TestNobodyCanBeTold: a clock that stands still is none.
func TestNobodyCanBeTold(t *testing.T) {
	r := deciding("CHG1-r1")
	r.Ask.Deadline, r.Ask.DownAt, r.Ask.DownReason = time.Now().Add(time.Hour), time.Now(), "slack does not answer"
	page := siteOf(t, &fake{rollbacks: []backout.Rollback{r}}).page("vic", "/rollbacks/CHG1-r1")
	wants(t, page, "no clock", "stands still until somebody can be told: slack does not answer")
	lacks(t, page, `class="count"`)
}

// TestWhoWasTold: what arrived, what waits, and what never will.
func TestWhoWasTold(t *testing.T) {
	at := taleStart
	notice := func(m backout.Moment, audience string) backout.Notice {
		return backout.Notice{Moment: m, Audience: audience, At: at}
	}
	f := &fake{rollbacks: []backout.Rollback{running("CHG1-r1")}, notices: map[string][]handlers.NoticeStatus{"CHG1-r1": {
		{Channel: "ops-slack", Delivered: true, At: at, Tries: 1, Notice: notice(backout.MomentRed, "ops")},
		{Channel: "mail", GivenUp: true, At: at, Tries: 9, Error: "451 greylisted", Notice: notice(backout.MomentEscalated, "stakeholders")},
		{Channel: "pager", Tries: 2, At: at, Error: "connection refused", Notice: notice(backout.MomentApproval, "on-call")},
	}}}
	s := siteOf(t, f)
	page := s.page("vic", "/rollbacks/CHG1-r1")
	wants(t, page, "delivered", "ops-slack", "given up", "9 tries", "451 greylisted", "waiting", "approval needed", "on-call", "connection refused")
	if strings.Index(page, "on-call") > strings.Index(page, "ops-slack") {
		t.Error("the newest does not stand first")
	}
	f.errs = map[string]error{"RollbackNotices": backout.ErrUnavailable}
	wants(t, s.page("vic", "/rollbacks/CHG1-r1"), "Not known: "+backout.ErrUnavailable.Error())
	f.errs = nil
	for i := range 100 {
		f.notices["CHG1-r1"] = append(f.notices["CHG1-r1"], handlers.NoticeStatus{Channel: fmt.Sprint("c", i)})
	}
	page = s.page("vic", "/rollbacks/CHG1-r1")
	wants(t, page, "and 53 older")
}

// TestEverythingThatHappened: newest first, each with its record, and what is left out is
// counted.
func TestEverythingThatHappened(t *testing.T) {
	s := askingTale(t, taleStart)
	for i := range 300 {
		s.now = s.now.Add(time.Second)
		s.log = append(s.log, handlers.LogEntry{ID: s.r.ID, Seq: s.r.Revision + uint64(i) + 1, Record: backout.Record{At: s.now, Events: []backout.Event{backout.ChannelsUp{Deadline: s.now}}}})
	}
	s.r.Revision += 300
	site := siteOf(t, tell(&fake{}, s))
	page := site.page("vic", "/rollbacks/CHG1-r1")
	first := s.log[len(s.log)-1].Seq
	wants(t, page, fmt.Sprintf(`<a href="/rollbacks/CHG1-r1/records/%d">#%d</a>`, first, first), "somebody can be told again, until <time", `href="/rollbacks/CHG1-r1?all=true#log"`)
	if n := strings.Count(page, "/records/"); n != logLines {
		t.Errorf("%d lines, want %d", n, logLines)
	}
	lacks(t, page, "opened for CHG1")
	left := 0
	for _, e := range s.log {
		left += len(told.Record(e.Record, nil))
	}
	wants(t, page, fmt.Sprintf("and %d older", left-logLines))
	// A record of several lines may be cut in its middle.
	if cut := linesOf("x", s.log, nil, 302); len(cut.Lines) != 302 || cut.More != left-302 {
		t.Errorf("%d lines and %d more, want %d", len(cut.Lines), cut.More, left)
	}
	page = site.page("vic", "/rollbacks/CHG1-r1?all=true")
	wants(t, page, "opened for CHG1 on web-0001, web-0002, web-0003: rule CheckoutErrorsAfterPatch on CheckoutErrors", "web-0001, L1 step 2 (dnf.undo) done: exit code 0", "L1 did not bring back web-0001, web-0002: its time was up")
	if order := []int{strings.Index(page, "L1 did not bring back"), strings.Index(page, "L1 has run"), strings.Index(page, "opened for CHG1 on")}; order[0] > order[1] || order[1] > order[2] {
		t.Errorf("the newest does not stand first: %v", order)
	}
}

// TestAPageWithoutItsLog: it says so, and is of use without it.
func TestAPageWithoutItsLog(t *testing.T) {
	s := askingTale(t, time.Now().Add(-40*time.Minute))
	f := tell(&fake{errs: map[string]error{"FollowRollback": backout.ErrUnavailable}}, s)
	page := siteOf(t, f).page("vic", "/rollbacks/CHG1-r1")
	wants(t, page, "Not known: "+backout.ErrUnavailable.Error(), "May L2 start?", "web-0001", "recovered")
}

// TestALogIsReadOnce, and then what is new of it; by whoever may.
func TestALogIsReadOnce(t *testing.T) {
	s := askingTale(t, time.Now().Add(-40*time.Minute))
	s.r.Revision, s.log = s.log[len(s.log)-2].Seq, s.log[:len(s.log)-1]
	f := tell(&fake{}, s)
	site := siteOf(t, f)
	site.page("vic", "/rollbacks/CHG1-r1")
	site.page("ann", "/rollbacks/CHG1-r1")
	if got := site.heard("FollowRollback"); len(got) != 1 || got[0] != "FollowRollback CHG1-r1 from 0" {
		t.Errorf("read %q", got)
	}
	last := s.r.Revision
	next := handlers.LogEntry{ID: s.r.ID, Seq: last + 7, Record: backout.Record{At: time.Now(), Events: []backout.Event{backout.Paused{By: "oz", Reason: "a storm"}}}}
	f.set(func() {
		f.logs[s.r.ID] = append(f.logs[s.r.ID], next)
		f.rollbacks[0].Revision = next.Seq
	})
	wants(t, site.page("vic", "/rollbacks/CHG1-r1"), "clocks stand still by oz: a storm")
	if got := site.heard("FollowRollback"); len(got) != 2 || got[1] != fmt.Sprint("FollowRollback CHG1-r1 from ", last) {
		t.Errorf("read %q", got)
	}
	if w := site.get("wendy", "/rollbacks/CHG1-r1"); w.Code != http.StatusForbidden {
		t.Errorf("who may not see it: answered %d", w.Code)
	}
}

// TestLogsAreKeptWithinBounds.
func TestLogsAreKeptWithinBounds(t *testing.T) {
	var l logs
	for i := range 3 * keptLogs {
		k := l.of(fmt.Sprint("r", i))
		k.entries = make([]handlers.LogEntry, keptRecords/4)
		k.records.Store(keptRecords / 4)
		l.bound()
	}
	if len(l.kept) != 4 || l.kept[3].id != fmt.Sprint("r", 3*keptLogs-1) {
		t.Errorf("%d logs are kept", len(l.kept))
	}
	if again := l.of("r23"); again != l.kept[len(l.kept)-1] || len(again.entries) == 0 {
		t.Error("what was kept is not used again")
	}
	l = logs{}
	for i := range 3 * keptLogs {
		l.of(fmt.Sprint("r", i))
	}
	if len(l.kept) != keptLogs {
		t.Errorf("%d logs are kept", len(l.kept))
	}
}

// TestARollbackThatIsNotThereLeadsOn, and one that is not theirs tells nothing.
func TestARollbackThatIsNotThereLeadsOn(t *testing.T) {
	s := siteOf(t, tell(&fake{}, askingTale(t, taleStart)))
	for path, code := range map[string]int{"/rollbacks/CHG9-r1": 404, "/rollbacks/CHG9-r1/live": 404, "/rollbacks/a%2fb": 400, "/rollbacks/CHG1-r1?x=1": 400, "/rollbacks/CHG1-r1?all=maybe": 400} {
		w := s.get("vic", path)
		if w.Code != code {
			t.Errorf("%s: answered %d", path, w.Code)
		}
		wants(t, w.Body.String(), `href="/rollbacks"`)
	}
	w := s.get("wendy", "/rollbacks/CHG1-r1")
	if w.Code != http.StatusForbidden {
		t.Errorf("answered %d", w.Code)
	}
	lacks(t, w.Body.String(), "Checkout fails", "web-0001", "openssl")
}

// TestARefusedAnswerStandsOnThePageOfTheRollback.
func TestARefusedAnswerStandsOnThePageOfTheRollback(t *testing.T) {
	f := tell(&fake{}, askingTale(t, time.Now()))
	f.onVote = func(handlers.Actor, string, string, backout.Choice, string) error {
		return fmt.Errorf("already decided by bob: %w", backout.ErrStale)
	}
	w := siteOf(t, f).post("ann", "/rollbacks/CHG1-r1/answer", "answer", "approve", "ask_id", "q1")
	if w.Code != http.StatusConflict {
		t.Errorf("answered %d", w.Code)
	}
	wants(t, w.Body.String(), "already decided by bob", "May L2 start?", `hx-sse:connect="/rollbacks/CHG1-r1/live"`)
}

// TestThePageOfARollbackStandsStillWhileNothingHappens: its clocks are the reader's to
// count; and it is sent once something has.
func TestThePageOfARollbackStandsStillWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tale := askingTale(t, time.Now().Add(-40*time.Minute))
		f := tell(&fake{
			offers:  map[string][]handlers.Offer{tale.r.ID: everyOffer()},
			outputs: map[string][]byte{"CHG1-r1.L1.s2.t1.a1": []byte("removing")},
			notices: map[string][]handlers.NoticeStatus{tale.r.ID: {{Channel: "mail", At: time.Now(), Notice: backout.Notice{At: time.Now()}}}},
		}, tale)
		s := siteOf(t, f)
		o, closeIt := s.followAs("ann", "/rollbacks/CHG1-r1/live?attempt=L1.s2.t1.a1&show=done")
		defer closeIt()
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "removing") {
			t.Fatalf("it was sent %d times: %q", len(pages), pages)
		}
		time.Sleep(20 * time.Minute)
		if pages := o.pages(); len(pages) != 0 {
			t.Errorf("nothing has happened, and it was sent %d times: %q", len(pages), pages[0])
		}
		s.set(func() { f.outputs["CHG1-r1.L1.s2.t1.a1"] = []byte("removing\nremoved") })
		time.Sleep(time.Second)
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "removed") {
			t.Errorf("the step has printed more, and it was sent %d times", len(pages))
		}
	})
}

// TestWhatTheRuleSaw: in its conditions, asked for once.
func TestWhatTheRuleSaw(t *testing.T) {
	tale := askingTale(t, taleStart)
	f := tell(&fake{changes: []backout.Change{aChange("CHG1", backout.ChangeBackingOut, names(3)...)}}, tale)
	f.explain = func(r handlers.ExplainRequest) (handlers.Explained, error) {
		if !r.At.Equal(tale.r.Trigger.Verdict.At) {
			t.Errorf("asked as of %s", r.At)
		}
		return handlers.Explained{Rules: []handlers.ExplainedRule{{Rule: "Another", Why: "not this"}, {
			Rule: r.Rule, Group: "web-tier", Matched: true, Follows: "open", Why: "it matches: a rollback opens",
			Parts: []handlers.ExplainPart{{Text: "severity is critical", Held: true, Parts: []handlers.ExplainPart{{Text: "inner <condition>", Failed: true}}}},
		}}}, nil
	}
	s := siteOf(t, f)
	for range 3 {
		page := s.page("ann", "/rollbacks/CHG1-r1")
		wants(t, page, "web-tier/CheckoutErrorsAfterPatch", "evidence.red_share_patched &gt; 2", "✔ acts", "it matches: a rollback opens", "severity is critical", "inner &lt;condition&gt;", "← this one",
			`href="/rules/rule?name=CheckoutErrorsAfterPatch"`, "5 % of checkouts fail")
		lacks(t, page, "not this")
	}
	if got := s.heard("Explain"); len(got) != 1 || got[0] != "Explain c0ffee CheckoutErrorsAfterPatch [CHG1]" {
		t.Errorf("asked %q", got)
	}
	// It tells of alerts that came in, which not everybody may read who may see this.
	f.labels = map[string]map[string]string{"web-0001": {"team": "web"}}
	page := s.page("wendy", "/rollbacks/CHG1-r1")
	wants(t, page, "What the rule saw is not known: it tells of alerts")
	lacks(t, page, "severity is critical")
}

// TestWhatTheRuleSawIsNotAskedForAllTheTime: neither when it cannot be told.
func TestWhatTheRuleSawIsNotAskedForAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tell(&fake{changes: []backout.Change{aChange("CHG1", backout.ChangeBackingOut, names(3)...)}}, askingTale(t, time.Now()))
		f.errs = map[string]error{"Explain": fmt.Errorf("alert c0ffee: %w", backout.ErrNotFound)}
		s := siteOf(t, f)
		for range 5 {
			wants(t, s.page("ann", "/rollbacks/CHG1-r1"), "What the rule saw is not known: alert c0ffee: not found")
		}
		if n := len(s.heard("Explain")); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(tryAgain)
		f.errs = nil
		f.explain = func(r handlers.ExplainRequest) (handlers.Explained, error) {
			return handlers.Explained{Rules: []handlers.ExplainedRule{{Rule: r.Rule, Why: "it matches"}}}, nil
		}
		for range 3 {
			wants(t, s.page("ann", "/rollbacks/CHG1-r1"), "it matches")
			time.Sleep(2 * tryAgain) // the past does not change
		}
		if n := len(s.heard("Explain")); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestExplanationsAreKeptWithinBounds.
func TestExplanationsAreKeptWithinBounds(t *testing.T) {
	f := &fake{}
	for i := range 2 * keptExplained {
		id := fmt.Sprintf("CHG%d", i)
		r := running(id + "-r1")
		r.ChangeID, r.Trigger.Verdict = id, &backout.Verdict{Rule: "R"}
		f.rollbacks = append(f.rollbacks, r)
		f.changes = append(f.changes, aChange(id, backout.ChangeBackingOut, "web-1"))
	}
	f.explain = func(handlers.ExplainRequest) (handlers.Explained, error) {
		return handlers.Explained{Rules: []handlers.ExplainedRule{{Rule: "R"}}}, nil
	}
	d := New(Options{Services: f.services()})
	defer d.Close()
	ann := handlers.Actor{Name: "ann", Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}}
	ctx := handlers.WithActor(context.Background(), ann)
	for i := range f.rollbacks {
		if rule, why := d.explainedOf(ctx, &query{by: ann, now: taleStart.Add(time.Duration(i) * time.Second)}, &f.rollbacks[i]); rule == nil {
			t.Fatal(why)
		}
	}
	_, newest := d.explanations.kept[f.rollbacks[len(f.rollbacks)-1].ID]
	_, oldest := d.explanations.kept[f.rollbacks[0].ID]
	if len(d.explanations.kept) != keptExplained || !newest || oldest {
		t.Errorf("%d are kept", len(d.explanations.kept))
	}
}

// TestWhatAnAttemptPrinted: its end, readable, with a way to the whole.
func TestWhatAnAttemptPrinted(t *testing.T) {
	tale := askingTale(t, taleStart)
	const attempt = "CHG1-r1.L1.s2.t1.a1"
	f := tell(&fake{outputs: map[string][]byte{attempt: []byte("\x1b[32mok\x1b[0m 10%\r100%\r\n<b>done</b>\n")}}, tale)
	s := siteOf(t, f)
	page := s.page("vic", "/rollbacks/CHG1-r1?attempt=L1.s2.t1.a1")
	wants(t, page, "What it printed on web-0001", "L1: dnf.undo", "ok 10%\n100%\n&lt;b&gt;done&lt;/b&gt;", `href="/api/v1/rollbacks/CHG1-r1/output/`+attempt+`"`, "done")
	lacks(t, page, "[32m", "stand before")

	long := strings.Repeat("a line that the step prints, again and again\n", 1000)
	f.outputs[attempt] = []byte("the first line\n" + long + "the last line\n")
	page = s.page("vic", "/rollbacks/CHG1-r1?attempt=L1.s2.t1.a1")
	wants(t, page, "the last line", "bytes stand before", "Read the whole")
	lacks(t, page, "the first line", "\n line that")
	for text, path := range map[string]string{
		"It has printed nothing": "/rollbacks/CHG1-r1?attempt=L1.s1.t1.a1",
		"Not known: ":            "/rollbacks/CHG1-r1?attempt=L1.s1.t1.a9",
		"Not known:  ":           "/rollbacks/CHG1-r1?attempt=" + url.QueryEscape("../../secret"),
	} {
		wants(t, s.page("vic", path), strings.TrimSpace(text))
	}
	if got := s.heard("StepOutput CHG1-r1..."); len(got) > 0 {
		t.Errorf("it asked for %q", got)
	}
}

// TestTheEndOfAnOutput is cut neither within a character nor within a line.
func TestTheEndOfAnOutput(t *testing.T) {
	for _, data := range []string{strings.Repeat("é", 20_000), strings.Repeat("é", 20_000) + "x", strings.Repeat("x", 100_000), strings.Repeat("a line\n", 10_000), "", "short"} {
		tail := string(tailOf([]byte(data)))
		if len(tail) > outputTail || !strings.HasSuffix(data, tail) || len(data) > 0 && tail == "" || strings.ToValidUTF8(tail, "?") != tail {
			t.Errorf("the end of %d bytes is %.20q, %d bytes", len(data), tail, len(tail))
		}
	}
}
