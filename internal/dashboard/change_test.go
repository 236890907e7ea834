package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// wayBack has two levels: one that starts by itself, and one that destroys data.
func wayBack() *backout.FrozenPlan {
	return &backout.FrozenPlan{Hash: "sha256:7f3a9c001122334455", Plan: backout.Plan{Name: "web", Summary: "take openssl back", Author: "paul", Levels: []backout.Level{
		{Name: "L1", Summary: "uninstall the patch", Steps: []backout.Step{{Uses: "dnf.undo"}, {Uses: "service.restart"}}, EscalateAfter: backout.Duration(30 * time.Minute), Approval: backout.Approval{Mode: backout.ApprovalNone}},
		{
			Name: "L2", Summary: "restore the snapshot", Steps: []backout.Step{{Uses: "lvm.merge"}}, EscalateAfter: backout.Duration(time.Hour), Destructive: true, Loses: "orders since 02:00",
			Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, Expires: backout.Duration(time.Hour), OnExpiry: backout.ExpiryEscalate},
		},
	}}}
}

// backingOut is a change of which one target is being rolled back, with its log and that
// of the rollback.
func backingOut(now time.Time) *fake {
	opened := now.Add(-50 * time.Minute)
	c := planned("CHG1", opened, "web-1", "web-2", "db-1")
	c.State, c.Title, c.Requester, c.Stakeholders = backout.ChangeBackingOut, "openssl 3.0.14", "amy", []string{"shop"}
	c.Patch = backout.Patch{Kind: "advisory", IDs: []string{"RHSA-1"}, CVEs: []string{"CVE-2026-1"}}
	c.Labels, c.Window.TimeZone = map[string]string{"itsm": "CHG0099", "tier": "web"}, "Europe/Vienna"
	c.OpenedAt, c.PatchedAt, c.WatchUntil, c.Frozen, c.Revision = opened, opened.Add(10*time.Minute), opened.Add(130*time.Minute), wayBack(), 6
	c.Baselines, c.Deltas = map[string]string{"web-1": "sha256:b1", "web-2": "sha256:b2", "db-1": "sha256:b3"}, map[string]string{"web-1": "sha256:d1"}
	verdict := &backout.Verdict{Rule: "WebErrors", Mode: backout.ModeAuto, AlertName: "Errors", Target: "web-1", Reasons: []string{"0.2 > 0.1"}, At: opened.Add(15 * time.Minute), Annotations: map[string]string{"summary": "web-1 answers with errors"}}
	shadow := backout.Verdict{Rule: "Latency", Mode: backout.ModeShadow, AlertName: "Slow", Target: "web-2", Stopped: "it is a shadow rule", At: opened.Add(14 * time.Minute)}
	c.Rules = []backout.RuleRecord{
		{Rule: "WebErrors", Mode: backout.ModeAuto, Verdicts: 1, Targets: []string{"web-1"}, Last: verdict.At},
		{Rule: "Latency", Mode: backout.ModeShadow, Verdicts: 2, Moot: 1, Judged: &backout.Judgement{By: "ann", Reason: "it was the network"}},
	}
	c.Rollbacks = []backout.RollbackRef{{ID: "CHG1-r1", Targets: []string{"web-1"}, Status: backout.RollbackAwaiting}}
	r := backout.Rollback{
		ID: "CHG1-r1", ChangeID: "CHG1", Status: backout.RollbackAwaiting, OpenedAt: opened.Add(15 * time.Minute), Frozen: *wayBack(), Trigger: backout.Trigger{Verdict: verdict}, Revision: 2,
		Targets: []backout.TargetState{{Name: "web-1", Phase: backout.TargetFailed}}, Ask: &backout.Ask{ID: "q1", Level: 1, Deadline: now.Add(10 * time.Minute), Policy: wayBack().Plan.Levels[1].Approval},
	}
	rec := func(id string, seq uint64, at time.Duration, events ...backout.Event) handlers.LogEntry {
		return handlers.LogEntry{ID: id, Seq: seq, Record: backout.Record{At: opened.Add(at), Events: events}}
	}
	return &fake{
		changes: []backout.Change{c}, rollbacks: []backout.Rollback{r},
		labels: map[string]map[string]string{"web-1": {"team": "web"}, "web-2": {"team": "web"}, "db-1": {"team": "db"}},
		changeLogs: map[string][]handlers.LogEntry{"CHG1": {
			rec("CHG1", 1, -9*everyDay, backout.Planned{Spec: c.ChangeSpec, By: "amy"}),
			rec("CHG1", 2, -time.Hour, backout.GateRefused{By: "amy", Violations: []backout.Violation{{Check: "reachable", Target: "web-2", Reason: "it does not answer"}}}),
			rec("CHG1", 3, 0, backout.GatePassed{PlanHash: c.Frozen.Hash, ValidUntil: now.Add(9 * time.Hour)}, backout.WindowOpened{Frozen: *c.Frozen, By: "amy"}),
			rec("CHG1", 4, 10*time.Minute, backout.PatchEnded{ExitCode: 3, By: "amy"}, backout.WatchStarted{Until: c.WatchUntil}),
			rec("CHG1", 5, 14*time.Minute, backout.VerdictGiven{Verdict: shadow}),
			rec("CHG1", 6, 15*time.Minute, backout.RollbackRequested{Opened: backout.Opened{RollbackID: r.ID, Targets: []string{"web-1"}, Trigger: r.Trigger}}),
		}},
		logs: map[string][]handlers.LogEntry{"CHG1-r1": {
			rec("CHG1-r1", 1, 15*time.Minute+time.Second, backout.Opened{RollbackID: r.ID, ChangeID: "CHG1", Targets: []string{"web-1"}, Trigger: r.Trigger}, backout.LevelEntered{Targets: []string{"web-1"}}),
			rec("CHG1-r1", 2, 45*time.Minute, backout.LevelFailed{Cause: "time", Targets: []string{"web-1"}}, backout.Asked{Ask: *r.Ask}),
		}},
		reds: map[string]handlers.RedHistory{"CHG1": {From: opened.Add(-10 * time.Minute), Until: now, Cut: "alerts before 02:00 are not kept", Targets: []handlers.TargetHistory{
			{Target: "web-1", Red: []handlers.RedSpan{{From: opened.Add(13 * time.Minute), Alerts: []string{"Errors", "Slow"}}}},
			{Target: "web-2"},
			{Target: "db-1", Red: []handlers.RedSpan{{From: opened.Add(-5 * time.Minute), To: opened.Add(-2 * time.Minute), Alerts: []string{"Disk"}}}},
		}}},
		deltas: map[string]backout.Delta{"CHG1/web-1": {Packages: []backout.PackageChange{{Name: "openssl", From: "3.0.13", To: "3.0.14"}}}},
	}
}

// TestAChangeSaysWhatItIsAndWhatHappensNext: everything that somebody who has never seen
// it asks at night, and a link to each record.
func TestAChangeSaysWhatItIsAndWhatHappensNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, backingOut(time.Now()))
		page := s.page("vic", "/changes/CHG1")
		wants(t, page, "<h1>CHG1 openssl 3.0.14</h1>", "backing out", `>10:00</time> <span>until the next level is asked for (CHG1-r1)`, `data-tone="bad"`,
			"advisory RHSA-1", "CVE-2026-1", "2000-01-01 00:10 to 02:10 in Europe/Vienna", "2h after patching", "by amy", "shop", "<dt>ITSM record</dt><dd>CHG0099</dd>", "<dd>tier=web</dd>",
			"7f3a9c001122", "written by paul", "<strong>L1</strong> uninstall the patch: dnf.undo, then service.restart. It starts by itself. It has 30m; then L2 follows.",
			"It needs 1 approval of sre; if nobody answers within 1h, the next level is asked for. It has 1h; then the rollback is exhausted", "It destroys data:</strong> orders since 02:00",
			`href="/rollbacks/CHG1-r1"`, "web-1 answers with errors", "waits for a decision", "0 of 1 target back",
			"<svg", "web-1 is red since", "Errors, Slow", "db-1 was red", "alerts before 02:00 are not kept", "L1 started", "approval asked",
			`href="/api/v1/changes/CHG1/baseline/web-1"`, `<a href="/api/v1/changes/CHG1/delta/web-1">openssl 3.0.13 → 3.0.14</a>`, "not known yet",
			"nobody has said", "1 without any effect", "wrong", "says ann: it was the network", "stopped: it is a shadow rule",
			`href="/readiness?change=CHG1#CHG1"`)
		at := -1
		for _, link := range []string{"rollbacks/CHG1-r1/records/2", "rollbacks/CHG1-r1/records/1", "changes/CHG1/records/6", "changes/CHG1/records/5", "changes/CHG1/records/4", "changes/CHG1/records/3", "changes/CHG1/records/2", "changes/CHG1/records/1"} {
			next := strings.Index(page, `href="/`+link+`"`)
			if next <= at {
				t.Errorf("record %s stands at %d, behind %d", link, next, at)
			}
			at = next
		}
		wants(t, page, "patching ended with exit code 3 by amy", "gate refused by amy: reachable on web-2: it does not answer", "may L2 start?", "opened for web-1: rule WebErrors on Errors")
	})
}

// TestAChangeOfEveryState: each has its page, and says what is next or that nothing is.
func TestAChangeOfEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{changes: someChanges(time.Now()), changeLogs: map[string][]handlers.LogEntry{}, reds: map[string]handlers.RedHistory{}}
		for _, c := range f.changes {
			f.changeLogs[c.ID], f.reds[c.ID] = nil, handlers.RedHistory{}
		}
		s := siteOf(t, f)
		for id, parts := range map[string][]string{
			"NO":      {"3d 00:00", "until the window may be opened, if the gate says yes then", "the old package is gone", "What to do: mirror it", "The window stays shut"},
			"YES":     {"The yes is good until 2000-01-01 20:00:00 UTC", "for this plan, these targets and these baselines"},
			"STALE":   {"The yes is worth nothing any more: its plan has changed. Ask the gate again."},
			"FAR":     {"Nobody has asked whether its rollback would work.", "It is frozen by its hash when the window opens", "Ask it"},
			"ANYTIME": {"no time is planned: somebody opens the window"},
			"LIVE":    {"1:00:00", "until the window closes, and the watch begins", "nothing that was looked at since says otherwise", "<svg"},
			"BROKEN":  {"The way back would not work any more", "the snapshot is full", "What to do: extend it", `data-tone="bad"`},
			"GONE":    {"Its window never opened", "cancelled"},
			"DONE":    {"Its window opened with the gate", "closed", "1999-12-30 03:00:00 UTC", "<svg"},
		} {
			page := s.page("vic", "/changes/"+id)
			for _, part := range parts {
				if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(page, "</time>", ""), "&#39;", "'"), part) && !strings.Contains(plain(page), part) {
					t.Errorf("%s lacks %q:\n%s", id, part, page)
				}
			}
		}
		for _, id := range []string{"NO", "FAR", "GONE"} {
			lacks(t, s.page("vic", "/changes/"+id), "<svg")
		}
	})
}

// plain is the text of a page without its elements.
func plain(page string) string {
	var b strings.Builder
	for i, part := range strings.Split(page, "<") {
		if _, text, found := strings.Cut(part, ">"); found && i > 0 {
			part = text
		}
		b.WriteString(part)
	}
	return b.String()
}

// TestAChangeThatOneMaySeeAPartOf: whoever may see one target sees the change, and of the
// others what it says itself; nothing that is stored of them.
func TestAChangeThatOneMaySeeAPartOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backingOut(time.Now())
		f.changes[0].Deltas["db-1"] = "sha256:d3"
		f.deltas["CHG1/db-1"] = backout.Delta{Packages: []backout.PackageChange{{Name: "secret-db"}}}
		s := siteOf(t, f)
		wants(t, s.page("vic", "/changes/CHG1"), "secret-db") // who may see all has it read, and kept
		page := s.page("wendy", "/changes/CHG1")
		wants(t, page, "openssl 3.0.13", "not for you to see")
		lacks(t, page, "secret-db", "baseline/db-1", "delta/db-1")
		for path, code := range map[string]int{"/changes/CHG9": http.StatusNotFound, "/changes/a%20b": http.StatusBadRequest, "/changes/CHG1?records=0": http.StatusBadRequest, "/changes/CHG1?records=201": http.StatusBadRequest, "/changes/CHG1?all=true": http.StatusBadRequest} {
			if w := s.get("wendy", path); w.Code != code || !strings.Contains(w.Body.String(), "<h1>") {
				t.Errorf("%s: answered %d", path, w.Code)
			}
		}
		f.labels = map[string]map[string]string{"db-1": {"team": "db"}}
		if w := s.get("wendy", "/changes/CHG1"); w.Code != http.StatusForbidden {
			t.Errorf("of others: answered %d", w.Code)
		}
	})
}

// TestAChangeIsOfUseWithoutItsParts: what cannot be known is said, and the rest stands.
func TestAChangeIsOfUseWithoutItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backingOut(time.Now())
		f.errs = map[string]error{"RedHistory": errors.New("alerts are not read"), "FollowRollback": errors.New("its log is not read"), "Delta": fmt.Errorf("store: %w", backout.ErrUnavailable)}
		s := siteOf(t, f)
		wants(t, s.page("vic", "/changes/CHG1"), "Not known: alerts are not read", "Not all of it is known: its log is not read", "not known: store", "changes/CHG1/records/6")
		f.errs["Delta"] = backout.ErrNotFound
		wants(t, s.page("vic", "/changes/CHG1"), "not stored any more")
		f.errs["ChangeLog"] = fmt.Errorf("store: %w", backout.ErrUnavailable)
		f.changes[0].Revision++
		if w := s.get("vic", "/changes/CHG1"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("without its log: answered %d", w.Code)
		}
	})
}

// TestAChangeOfAThousandTargetsStaysSmall: with a log of thousands of records, of which
// the newest are shown; those of a live change are fewer, since they are sent often.
func TestAChangeOfAThousandTargetsStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		f := backingOut(now)
		c := &f.changes[0]
		red := handlers.RedHistory{From: c.OpenedAt, Until: now, MoreTargets: 7}
		c.Targets = nil
		for i := range 1000 {
			name := fmt.Sprintf("server-%05d.prod.example.org", i)
			c.Targets = append(c.Targets, name)
			h := handlers.TargetHistory{Target: name}
			if i%3 == 0 {
				h.Red = []handlers.RedSpan{{From: c.OpenedAt.Add(time.Duration(i) * time.Second), Alerts: []string{"Errors"}}}
			}
			red.Targets = append(red.Targets, h)
			f.logs["CHG1-r1"] = append(f.logs["CHG1-r1"], handlers.LogEntry{ID: "CHG1-r1", Seq: uint64(3 + i), Record: backout.Record{At: now, Events: []backout.Event{ //nolint:gosec // small
				backout.StepStarted{Target: name, AttemptID: "CHG1-r1.L1.s1.t" + fmt.Sprint(i) + ".a1", Runner: "backout-1"},
			}}})
		}
		f.reds["CHG1"], f.rollbacks[0].Revision = red, 1002
		s := siteOf(t, f)
		page := s.page("vic", "/changes/CHG1")
		if len(page) > 100<<10 {
			t.Errorf("the page takes %d bytes", len(page))
		}
		wants(t, page, "1000 targets", "and 980 more", "977 more targets without a row, 304 of them red", "948 older records", `href="/changes/CHG1?records=200#timeline"`)
		if n := strings.Count(page, "/records/"); n != recordsLive {
			t.Errorf("%d records", n)
		}
		more := s.page("vic", "/changes/CHG1?records=200")
		if n := strings.Count(more, "/records/"); n != 200 {
			t.Errorf("%d records of 200", n)
		}
		lacks(t, more, "#timeline")
		c.State, c.EndedAt = backout.ChangeBackedOut, now
		if n := strings.Count(s.page("vic", "/changes/CHG1"), "/records/"); n != 200 {
			t.Errorf("%d records of a change that has ended", n)
		}
	})
}

// TestAnOpenPageOfAChangeReadsOnlyWhatIsNew: logs are read when they have grown, and
// alerts now and then.
func TestAnOpenPageOfAChangeReadsOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backingOut(time.Now())
		s := siteOf(t, f)
		o, closeIt := s.followAs("vic", "/changes/CHG1/live")
		defer closeIt()
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 {
			t.Fatalf("%d pages", len(pages))
		}
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 0 {
			t.Errorf("%d pages though nothing happened", len(pages))
		}
		if n := len(s.heard("ChangeLog")); n != 1 {
			t.Errorf("the log was read %d times", n)
		}
		f.set(func() {
			f.changeLogs["CHG1"] = append(f.changeLogs["CHG1"], handlers.LogEntry{ID: "CHG1", Seq: 7, Record: backout.Record{At: time.Now(), Events: []backout.Event{backout.WindowExtended{Closes: time.Now(), By: "oz", Reason: "more time"}}}})
			f.changes[0].Revision = 7
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "by oz: more time") {
			t.Errorf("%d pages after a record", len(pages))
		}
		if n := len(s.heard("ChangeLog")); n != 2 {
			t.Errorf("the log was read %d times", n)
		}
	})
}

// TestAlertsOfAnEndedChangeAreReadOnce: they do not change any more.
func TestAlertsOfAnEndedChangeAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := backingOut(time.Now())
		s := siteOf(t, f)
		count := func(want int) {
			t.Helper()
			s.page("vic", "/changes/CHG1")
			if n := len(s.heard("RedHistory")); n != want {
				t.Errorf("alerts were read %d times, want %d", n, want)
			}
		}
		count(1)
		count(1)
		time.Sleep(2 * time.Second)
		count(2) // live: a moment later it may be red
		f.changes[0].State, f.changes[0].EndedAt, f.changes[0].Revision = backout.ChangeBackedOut, time.Now(), 9
		count(3)
		time.Sleep(time.Minute)
		count(3)
		time.Sleep(historyEnded)
		count(4)
	})
}
