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

const everyDay = 24 * time.Hour

// planned is a change whose window opens then, for two hours, with as long a watch.
func planned(id string, opens time.Time, targets ...string) backout.Change {
	c := backout.Change{State: backout.ChangePlanned, Revision: 1, ChangeSpec: backout.ChangeSpec{
		ID: id, Plan: "web", Owner: "amy", Targets: targets, Window: backout.Window{Opens: opens, Watch: backout.Duration(2 * time.Hour)},
	}}
	if !opens.IsZero() {
		c.Window.Closes, c.PlannedAt = opens.Add(2*time.Hour), opens.Add(-9*everyDay)
	}
	return c
}

// ended is one that is over.
func ended(id string, opened time.Time, state backout.ChangeState, targets ...string) backout.Change {
	c := planned(id, opened, targets...)
	c.State, c.OpenedAt, c.EndedAt = state, opened, opened.Add(3*time.Hour)
	return c
}

// someChanges are of each kind, around now.
func someChanges(now time.Time) []backout.Change {
	live := planned("LIVE", now.Add(-time.Hour), "web-1")
	live.State, live.OpenedAt, live.Title = backout.ChangeOpen, now.Add(-time.Hour), "openssl 3.0.14"
	broken := planned("BROKEN", now.Add(-10*everyDay), "web-2")
	broken.State, broken.OpenedAt, broken.NotReady = backout.ChangeBackingOut, now.Add(-10*everyDay), []backout.Violation{{Check: "lvm", Target: "web-2", Level: "L2", Reason: "the snapshot is full", Fix: "extend it"}}
	yes := planned("YES", now.Add(5*time.Hour), "db-1", "db-2")
	yes.State, yes.ValidUntil, yes.Patch.CVEs = backout.ChangeReady, now.Add(20*time.Hour), []string{"CVE-2026-1"}
	stale := planned("STALE", now.Add(6*time.Hour), "db-2", "db-3")
	stale.State, stale.Stale, stale.Labels = backout.ChangeReady, "its plan has changed", map[string]string{"tier": "db"}
	no := planned("NO", now.Add(3*everyDay), "app-1")
	no.GateAt, no.Violations = now, []backout.Violation{{Check: "dnf", Target: "app-1", Level: "L1", Reason: "the old package is gone", Fix: "mirror it"}}
	withdrawn := planned("GONE", now.Add(2*everyDay), "db-1")
	withdrawn.State, withdrawn.EndedAt = backout.ChangeCancelled, now.Add(-time.Hour)
	return []backout.Change{
		no, planned("FAR", now.Add(40*everyDay), "x"), yes, live, stale, broken, planned("ANYTIME", time.Time{}, "y"), withdrawn,
		ended("DONE", now.Add(-2*everyDay), backout.ChangeClosed, "web-1"), ended("OLD", now.Add(-90*everyDay), backout.ChangeBackedOut, "web-9"),
	}
}

// idsIn are the changes of the list, in its order.
func idsIn(page string) string {
	_, list, _ := strings.Cut(page, `id="list"`)
	list, _, _ = strings.Cut(list, `id="held"`)
	var out []string
	for _, row := range strings.Split(list, `<th scope="row"><a href="/changes/`)[1:] {
		id, _, _ := strings.Cut(row, `"`)
		out = append(out, id)
	}
	return strings.Join(out, " ")
}

// TestChangesAroundNow: what is live first, then what comes, then what is over; the week
// before and the two after, unless somebody asks for others.
func TestChangesAroundNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := siteOf(t, &fake{changes: someChanges(now)})
		for query, want := range map[string]string{
			"":                               "BROKEN LIVE ANYTIME YES STALE NO GONE DONE",
			"?state=ready":                   "YES STALE",
			"?target=db-2":                   "YES STALE",
			"?target=db":                     "",
			"?text=OPENSSL":                  "LIVE",
			"?text=cve-2026-1":               "YES",
			"?text=tier%3Ddb":                "STALE",
			"?text=nothing":                  "",
			"?from=1999-09-01&to=1999-10-15": "OLD",
			"?from=2000-02-01":               "FAR",
			"?to=1999-10-10":                 "OLD",
			"?state=closed&target=web-1":     "DONE",
		} {
			if got := idsIn(s.page("vic", "/changes"+query)); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		page := s.page("vic", "/changes")
		wants(t, page, "2 windows open or watched, 4 not opened yet, 2 ended, from 1999-12-25 to 2000-01-15",
			"the way back would not work", "1 reason", "passed", "stale", "its plan has changed", "refused", "never asked", "no time planned",
			`href="/changes?from=1999-12-03&amp;to=1999-12-24"`, `href="/changes?from=2000-01-16&amp;to=2000-02-06"`,
			"2 other changes before or after this time", `href="/readiness?change=NO"`, "<svg", "The same in words", `data-tone="wait"`)
		if calls := s.heard("ListChanges"); len(calls) != 13 {
			t.Errorf("13 pages listed the changes %d times", len(calls))
		}
		// A filter that finds nothing here says where there is something.
		lacks(t, s.page("vic", "/changes?text=old"), "Overlaps")
		wants(t, s.page("vic", "/changes?text=old"), "None as sought in this time", "1 other change as sought", `from=1999-09-26&amp;text=old&amp;to=1999-10-17`)
		wants(t, s.page("vic", "/changes?text=%22%3E%3Cb%3E"), `value="&#34;&gt;&lt;b&gt;"`)
	})
}

// TestOverlapsAreMarkedInWords: in a list of their own and with each change.
func TestOverlapsAreMarkedInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := siteOf(t, &fake{changes: someChanges(time.Now())}).page("vic", "/changes")
		wants(t, page, "2 changes share a target with another at the same time", `<a href="/changes/YES">YES</a> and <a href="/changes/STALE">STALE</a> on <strong>db-2</strong>`,
			`overlaps</strong> <a href="/changes/STALE">STALE</a> on db-2`, "overlaps STALE on db-2")
		lacks(t, page, "GONE</a> on")
	})
}

// TestAWindowThatWasPatchedEarlyIsWatchedFromThen: its bar ends with the patching and the
// watch is drawn behind it, so that it overlaps nothing that begins after that.
func TestAWindowThatWasPatchedEarlyIsWatchedFromThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now() // midnight
		early := planned("EARLY", now.Add(-time.Hour), "web-1")
		early.State, early.OpenedAt, early.PatchedAt, early.WatchUntil = backout.ChangeWatching, now.Add(-time.Hour), now.Add(-20*time.Minute), now.Add(10*time.Minute)
		next := planned("NEXT", now.Add(30*time.Minute), "web-1")
		page := siteOf(t, &fake{changes: []backout.Change{early, next}}).page("vic", "/changes")
		wants(t, page, "window 31 Dec 1999 23:00 to 23:40, watch until 1 Jan 2000 00:10")
		lacks(t, page, "overlaps NEXT", "overlaps EARLY")
	})
}

// TestChangesSayWhatIsWrongWithTheQuestion: a filter that is none chooses nothing.
func TestChangesSayWhatIsWrongWithTheQuestion(t *testing.T) {
	s := siteOf(t, &fake{})
	for query, want := range map[string]string{
		"from=yesterday": "from: want a day", "to=1.1.2026": "to: want a day", "from=2026-02-02&to=2026-02-01": "not before from",
		"from=2026-01-01&to=2027-01-02": "a year", "state=broken": "state: want one", "page=0": "page: want a number", "page=x": "page: want a number", "targets=x": "unknown query parameter",
	} {
		if w := s.get("vic", "/changes?"+query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: answered %d %s", query, w.Code, w.Body)
		}
	}
	if w := s.get("nobody", "/changes"); w.Code != http.StatusSeeOther {
		t.Errorf("without a role: answered %d", w.Code)
	}
}

// TestChangesWithoutAnything: an empty page leads on, and what cannot be known is said.
func TestChangesWithoutAnything(t *testing.T) {
	f := &fake{errs: map[string]error{}}
	s := siteOf(t, f)
	page := s.page("vic", "/changes")
	wants(t, page, "0 windows open or watched", "None in this time", "backout change create", "No patch is kept from coming back", `data-tone="quiet"`)
	lacks(t, page, "<svg", "Overlaps")
	f.errs["Holds"] = errors.New("the store is slow")
	wants(t, s.page("vic", "/changes"), "Not known: the store is slow")
	f.errs["ListChanges"] = fmt.Errorf("store: %w", backout.ErrUnavailable)
	if w := s.get("vic", "/changes"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a store: answered %d", w.Code)
	}
}

// TestOnlyWhatOneMaySee: the web team sees its changes, and their holds.
func TestOnlyWhatOneMaySee(t *testing.T) {
	now := time.Now()
	s := siteOf(t, &fake{
		changes: []backout.Change{planned("WEB", now, "web-1"), planned("DB", now, "db-1")}, labels: map[string]map[string]string{"web-1": {"team": "web"}, "db-1": {"team": "db"}},
		holds: []backout.Hold{{ChangeID: "WEB0", Target: "web-1", Packages: []string{"openssl"}}, {ChangeID: "DB0", Target: "db-1"}},
	})
	page := s.page("wendy", "/changes")
	wants(t, page, `href="/changes/WEB"`, `href="/changes/WEB0"`, "openssl")
	lacks(t, page, "changes/DB", "db-1")
}

// crowd are many changes, each on a few of the targets.
func crowd(now time.Time, n, each, of int) []backout.Change {
	out := make([]backout.Change, n)
	for i := range out {
		targets := make([]string, each)
		for k := range targets {
			targets[k] = fmt.Sprintf("server-%05d.prod.example.org", (i*7+k)%of)
		}
		c := planned(fmt.Sprintf("CHG%07d", i), now.Add(time.Duration(i%400)*time.Hour), targets...)
		c.Title = "openssl 3.0.14 on the web tier of the shop"
		if i%3 == 0 {
			c.State, c.OpenedAt, c.WatchUntil = backout.ChangeWatching, now.Add(-time.Hour), now.Add(time.Duration(i)*time.Minute)
		}
		out[i] = c
	}
	return out
}

// TestAThousandChangesStaySmall: pages of 50, and a picture of those that concern most.
func TestAThousandChangesStaySmall(t *testing.T) {
	now := time.Now()
	for name, changes := range map[string][]backout.Change{"few targets": crowd(now, 1000, 10, 3000), "the same targets": crowd(now, 1000, 40, 40)} {
		s := siteOf(t, &fake{changes: changes})
		page := s.page("vic", "/changes")
		if len(page) > 110<<10 {
			t.Errorf("%s: the page takes %d bytes", name, len(page))
		}
		wants(t, page, "Changes 1 to 50 of", "more windows not drawn", "the next 50", "page=2")
		second := s.page("vic", "/changes?page=2")
		wants(t, second, "Changes 51 to 100 of", "the 50 before", "page=3")
		if first := idsIn(page); strings.Count(first, " ") != 49 || first == idsIn(second) {
			t.Errorf("%s: the first page has %s", name, first)
		}
		wants(t, s.page("vic", "/changes?page=999"), "the 50 before")
	}
}

// TestChangesStayFresh: an open page is sent again when something happened, and only
// then.
func TestChangesStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{changes: someChanges(time.Now())}
		s := siteOf(t, f)
		wants(t, s.page("vic", "/changes?state=ready"), `hx-sse:connect="/live/changes?state=ready"`)
		o, closeIt := s.followAs("vic", "/live/changes?state=ready")
		defer closeIt()
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || idsIn(pages[0]) != "YES STALE" {
			t.Fatalf("%d pages", len(pages))
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 0 {
			t.Errorf("%d pages though nothing happened", len(pages))
		}
		f.set(func() { f.changes = append(f.changes, ended("MORE", time.Now(), backout.ChangeReady, "x")) })
		time.Sleep(time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "MORE") {
			t.Errorf("%d pages after a change", len(pages))
		}
	})
}

// BenchmarkChanges: what it takes to build the page of 1,000 open changes, and to write
// it.
func BenchmarkChanges(b *testing.B) {
	f := &fake{changes: crowd(time.Now(), 1000, 20, 3000)}
	d := New(Options{Services: f.services()})
	defer d.Close()
	vic := handlers.Actor{Name: "vic", Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}}
	q := &query{by: vic, r: request("vic", "GET", "/changes", nil), get: func(string) string { return "" }, now: time.Now()}
	ctx := handlers.WithActor(b.Context(), vic)
	for b.Loop() {
		if _, err := d.changes(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
}
