package dashboard

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// mixedTale is a rollback of so many targets that stand everywhere: some in doubt, some
// failed, some running, some waiting for their checks, some back.
func mixedTale(t *testing.T, start time.Time, targets int) *tale {
	s := taleOf(t, "CHG2", start, names(targets))
	var back []string
	for i, name := range names(targets) {
		switch i % 7 {
		case 0:
			s.steps(name, 3)
			back = append(back, name)
		case 1:
			s.steps(name, 1)
			s.fails(name, "package openssl-3.0.7-1 is not in the repository", 1)
		case 2:
			s.steps(name, 1)
			s.starts(name)
		case 3:
			s.steps(name, 3)
			s.checked(name, "HTTP 500")
		case 4:
			s.steps(name, 3)
			s.checked(name, "")
		}
		s.now = start.Add(time.Duration(i) * 100 * time.Millisecond)
	}
	s.isBack(back...)
	s.starts(names(targets)[5])
	s.give(rollback.Doubt{AttemptID: s.r.Target(names(targets)[5]).Attempt.ID, Reason: "the connection broke"})
	return s
}

var rows = regexp.MustCompile(`<tr><th scope="row">([^<]+)</th><td><span class="state (\w+)"><i aria-hidden="true">[^<]*</i> ([^<]+)</span>`)

// TestTheWorstTargetsStandFirst.
func TestTheWorstTargetsStandFirst(t *testing.T) {
	s := siteOf(t, tell(&fake{}, mixedTale(t, time.Now().Add(-10*time.Minute), 14)))
	page := s.page("vic", "/rollbacks/CHG2-r1")
	var got []string
	for _, m := range rows.FindAllStringSubmatch(page, -1) {
		got = append(got, m[1]+" "+m[3])
	}
	want := []string{
		"web-0006 in doubt", "web-0002 failed", "web-0009 failed",
		"web-0003 rolling back", "web-0007 rolling back", "web-0010 rolling back", "web-0013 rolling back", "web-0014 rolling back",
		"web-0004 steps done", "web-0011 steps done", "web-0005 steps done", "web-0012 steps done",
		"web-0001 recovered", "web-0008 recovered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wants(t, page,
		`<caption>14 targets, worst first</caption>`, "the connection broke", "package openssl-3.0.7-1 is not in the repository",
		`<th scope="col">take out of the pool</th><th scope="col">dnf.undo</th><th scope="col">restart the shop</th>`,
		`<a class="state bad" href="/rollbacks/CHG2-r1?attempt=L1.s2.t2.a1#output"><i aria-hidden="true">✖</i> failed</a> 1s exit 1`,
		`<a class="state wait" href="/rollbacks/CHG2-r1?attempt=L1.s2.t3.a1#output"><i aria-hidden="true">▶</i> running</a> <time class="rel"`,
		"HTTP 500", "if it stays", "not run", "not yet", "waits for a runner",
		`?show=failed#targets"`, `?show=in_doubt#targets"`, "all 14",
	)
}

// TestAnotherTryIsSeen: after a person said that it did not happen.
func TestAnotherTryIsSeen(t *testing.T) {
	tale := taleOf(t, "CHG3", time.Now().Add(-time.Minute), names(1))
	tale.starts("web-0001")
	tale.give(rollback.Doubt{AttemptID: tale.r.Target("web-0001").Attempt.ID, Reason: "gone"})
	tale.give(rollback.Resolve{AttemptID: tale.r.Target("web-0001").Attempt.ID, Verdict: "did_not", By: "ann"})
	if tale.r.Status == backout.RollbackHeld {
		tale.give(rollback.Release{By: "ann", Reason: "seen"})
	}
	tale.starts("web-0001")
	wants(t, siteOf(t, tell(&fake{}, tale)).page("vic", "/rollbacks/CHG3-r1"), `href="/rollbacks/CHG3-r1?attempt=L1.s1.t1.a2#output"`, "try 2", "resolved as did_not by ann")
}

// TestALevelThatIsOverCanBeSeen: as it left its targets.
func TestALevelThatIsOverCanBeSeen(t *testing.T) {
	tale := askingTale(t, time.Now().Add(-40*time.Minute))
	tale.vote("bob", "dba", backout.ChoiceApprove, "yes")
	tale.steps("web-0001", 1)
	s := siteOf(t, tell(&fake{}, tale))
	now := s.page("vic", "/rollbacks/CHG1-r1")
	wants(t, now, "Targets at L2", `href="/rollbacks/CHG1-r1?level=L1#targets"`, `<th scope="col">snapper.rollback</th><th scope="col">system.reboot</th>`, "by L1", "?attempt=L2.s1.t1.a1#output")
	lacks(t, now, `?level=L3#targets"`)
	before := s.page("vic", "/rollbacks/CHG1-r1?level=L1")
	wants(t, before, "Targets at L1", "dnf.undo", "not back when its time was up", `href="/rollbacks/CHG1-r1?attempt=L1.s2.t1.a1&amp;level=L1#output"`)
	var got []string
	for _, m := range rows.FindAllStringSubmatch(before, -1) {
		got = append(got, m[1]+" "+m[3])
	}
	if diff := cmp.Diff([]string{"web-0001 failed", "web-0002 failed", "web-0003 recovered"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wants(t, s.page("vic", "/rollbacks/CHG1-r1?level=L3"), "No target has come to it")
}

// TestTargetsAreChosen: by how they stand and by a part of their names, page by page.
func TestTargetsAreChosen(t *testing.T) {
	s := siteOf(t, tell(&fake{}, mixedTale(t, time.Now().Add(-10*time.Minute), 300)))
	count := func(path string) (n int, page string) {
		page = s.page("vic", path)
		return len(rows.FindAllString(page, -1)), page
	}
	n, page := count("/rollbacks/CHG2-r1?show=failed")
	if n != 43 {
		t.Errorf("%d have failed", n)
	}
	wants(t, page, "43 targets of 300, worst first", `<input type="hidden" name="show" value="failed">`, `href="/rollbacks/CHG2-r1?attempt=L1.s2.t2.a1&amp;show=failed#output"`)
	lacks(t, page, "</span> recovered</span>\n", ">Next<")
	n, page = count("/rollbacks/CHG2-r1?q=WEB-001")
	if n != 10 {
		t.Errorf("%d are called so", n)
	}
	wants(t, page, `value="WEB-001"`)
	n, page = count("/rollbacks/CHG2-r1")
	wants(t, page, "1 to 100 of 300 targets", `?page=2#targets"`, "and 200 more")
	if n != gridRows {
		t.Errorf("%d rows", n)
	}
	n, page = count("/rollbacks/CHG2-r1?page=3&q=web")
	wants(t, page, "201 to 300 of 300 targets", `?page=2&amp;q=web#targets"`)
	lacks(t, page, ">Next<")
	if n != 100 {
		t.Errorf("%d rows", n)
	}
	wants(t, s.page("vic", "/rollbacks/CHG2-r1?q=nobody"), "No target is so")
	wants(t, s.page("vic", "/rollbacks/CHG2-r1?page=99"), "201 to 300 of 300")
	for _, bad := range []string{"show=every", "page=0", "page=x", "level=L9", "level=x"} {
		if w := s.get("vic", "/rollbacks/CHG2-r1?"+bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", bad, w.Code)
		}
	}
}

// TestAThousandTargetsStayReadable: however they stand, the page is small, and soon there.
func TestAThousandTargetsStayReadable(t *testing.T) {
	tale := bigTale(t, time.Now().Add(-5*time.Minute), 1000)
	s := siteOf(t, tell(&fake{}, tale))
	for _, choice := range []string{"", "?show=failed", "?show=running", "?show=done", "?show=done&page=2&q=web", "?show=recovered"} {
		page := s.page("vic", "/rollbacks/BIG-r1"+choice)
		if len(page) > 110<<10 {
			t.Errorf("%q: %d bytes", choice, len(page))
		}
		if n := len(rows.FindAllString(page, -1)); n == 0 || n > gridRows {
			t.Errorf("%q: %d rows", choice, n)
		}
		if lines := strings.Count(page, "/records/"); lines > logLines {
			t.Errorf("%q: %d lines", choice, lines)
		}
	}
}

// bigTale is mixed, and made without asking the core a thousand times: its log has what
// the core would write for many targets at once.
func bigTale(t testing.TB, start time.Time, n int) *tale {
	s := &tale{now: start}
	targets := names(n)
	plan := shopPlan()
	write := func(events ...backout.Event) {
		s.now = s.now.Add(50 * time.Millisecond)
		rec := backout.Record{Op: fmt.Sprint("op-", len(s.log)), By: "server-1", At: s.now, Events: events}
		seq := uint64(len(s.log)) + 1
		s.r = rollback.Fold(s.r, seq, rec)
		s.log = append(s.log, logEntry(s.r.ID, seq, rec))
	}
	opened := backout.Opened{RollbackID: "BIG-r1", ChangeID: "BIG", Targets: targets, Frozen: backout.FrozenPlan{Plan: plan}, Trigger: backout.Trigger{By: "ann", Reason: "checkout fails"}}
	write(opened, backout.LevelEntered{Targets: targets})
	attempt := func(i, step int) string { return backout.AttemptID("BIG-r1", 0, step, i, 1) }
	for step := range 3 {
		var ask, started, done []backout.Event
		for i, target := range targets {
			if i%5 == 4 && step == 2 || i%20 == 3 && step > 1 {
				continue
			}
			ask = append(ask, backout.StepRequested{Step: step, Target: target, AttemptID: attempt(i, step), Number: 1})
			started = append(started, backout.StepStarted{Target: target, AttemptID: attempt(i, step), Runner: "server-1"})
			switch {
			case i%20 == 3 && step == 1:
				done = append(done, backout.StepFailed{Target: target, AttemptID: attempt(i, step), Outcome: backout.Outcome{ExitCode: 100}, Reason: "package openssl-3.0.7-1 is not in the repository"})
			case i%5 == 4 && step == 1: // still runs
			default:
				done = append(done, backout.StepDone{Target: target, AttemptID: attempt(i, step), Outcome: backout.Outcome{Summary: "exit code 0"}})
			}
		}
		write(ask...)
		for events := range slices.Chunk(append(started, done...), 25) {
			write(events...)
		}
	}
	var checks []backout.Event
	for i, target := range targets {
		switch i % 5 {
		case 0:
			checks = append(checks, backout.TargetGreen{Target: target, Since: s.now}, backout.TargetBack{Target: target, Drift: &backout.DriftFound{Verdict: backout.DriftSome, Report: "sha256:" + strings.Repeat("a", 64), Summary: "2 packages differ"}})
		case 1:
			checks = append(checks, backout.TargetRed{Target: target, Reason: "HTTP 500 from https://shop.example/health"})
		case 2:
			checks = append(checks, backout.TargetGreen{Target: target, Since: s.now})
		}
	}
	for events := range slices.Chunk(checks, 25) {
		write(events...)
	}
	if len(s.r.Targets) != n {
		t.Fatal("it is not as it should be")
	}
	return s
}

// BenchmarkTheRollbackPage: a rollback of 1,000 targets with everything on its page.
func BenchmarkTheRollbackPage(b *testing.B) {
	s := siteOf(b, tell(&fake{}, bigTale(b, time.Now().Add(-5*time.Minute), 1000)))
	for b.Loop() {
		if w := s.get("vic", "/rollbacks/BIG-r1"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
