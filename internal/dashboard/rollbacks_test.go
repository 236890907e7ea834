package dashboard

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/ui"
)

var inList = regexp.MustCompile(`<th scope="row"><a href="/rollbacks/([^"]+)">`)

func shownIn(page string) (out []string) {
	for _, m := range inList.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// endedAfter is a rollback that is over, within its first level.
func endedAfter(id string, opened time.Time, took time.Duration) backout.Rollback {
	r := running(id)
	r.Status, r.OpenedAt, r.LevelStartedAt, r.EndedAt = backout.RollbackRecovered, opened, opened, opened.Add(took)
	r.Frozen.Plan.Levels[0].EscalateAfter = backout.Duration(30 * time.Minute)
	r.Targets[0].Phase = backout.TargetRecovered
	return r
}

// TestAllRollbacks: those under way first, then the newest.
func TestAllRollbacks(t *testing.T) {
	f := &fake{rollbacks: []backout.Rollback{
		endedAfter("OLD-r1", taleStart, 12*time.Minute), endedAfter("NEW-r1", taleStart.Add(time.Hour), 42*time.Minute), running("RUN-r1"),
	}}
	f.rollbacks[2].ChangeID, f.rollbacks[2].Targets[0].Name = "CHG7", "db-1"
	f.rollbacks[2].LevelDeadline = time.Now().Add(time.Hour)
	s := siteOf(t, f)
	page := s.page("vic", "/rollbacks")
	if diff := cmp.Diff([]string{"RUN-r1", "NEW-r1", "OLD-r1"}, shownIn(page)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wants(t, page, "<title>(1) rollbacks ·", `data-tone="bad"`)
	wants(t, s.page("vic", "/rollbacks?status=recovered"), "<title>rollbacks ·", `data-tone="quiet"`)
	wants(t, page, "3 rollbacks: those under way first", "recovered", "42m", "next <time", "1 of 1", "<svg", "over by 12m", `href="/rollbacks/OLD-r1"`, "The same in words", "escalate_after", `aria-current="page">Rollbacks`)
	for query, want := range map[string][]string{
		"?change=chg7": {"RUN-r1"}, "?target=DB": {"RUN-r1"}, "?status=recovered": {"NEW-r1", "OLD-r1"}, "?change=CHG1&target=web-1": {"NEW-r1", "OLD-r1"}, "?target=nobody": nil,
	} {
		page := s.page("vic", "/rollbacks"+query)
		if diff := cmp.Diff(want, shownIn(page)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
		wants(t, page, "Show all")
	}
	wants(t, s.page("vic", "/rollbacks?status=recovered&target=web"), `<option value="recovered" selected>`, `value="web"`, "2 rollbacks of 3")
	for _, bad := range []string{"status=fine", "page=0", "page=x", "x=1"} {
		if w := s.get("vic", "/rollbacks?"+bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", bad, w.Code)
		}
	}
	wants(t, siteOf(t, &fake{}).page("vic", "/rollbacks"), "Nothing has been rolled back yet")
	down := siteOf(t, &fake{errs: map[string]error{"ListAllRollbacks": backout.ErrUnavailable}})
	if w := down.get("vic", "/rollbacks"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", w.Code)
	}
}

// TestAllRollbacksAreShownPageByPage, and to nobody what is not theirs.
func TestAllRollbacksAreShownPageByPage(t *testing.T) {
	f := &fake{labels: map[string]map[string]string{"mine": {"team": "web"}, "theirs": {"team": "db"}}}
	for i := range 120 {
		r := endedAfter(fmt.Sprintf("CHG%03d-r1", i), taleStart.Add(time.Duration(i)*time.Minute), time.Minute)
		r.Targets[0].Name = []string{"mine", "theirs"}[i%2]
		f.rollbacks = append(f.rollbacks, r)
	}
	s := siteOf(t, f)
	page := s.page("vic", "/rollbacks")
	if got := shownIn(page); len(got) != rollbackRows || got[0] != "CHG119-r1" {
		t.Errorf("%d rows, first %v", len(got), got[:1])
	}
	wants(t, page, "1 to 50 of 120 rollbacks", `href="?page=2"`, "and 70 more")
	if len(page) > 100<<10 {
		t.Errorf("%d bytes", len(page))
	}
	page = s.page("vic", "/rollbacks?page=3&target=i")
	if got := shownIn(page); len(got) != 20 || got[19] != "CHG000-r1" {
		t.Errorf("%d rows", len(got))
	}
	wants(t, page, "101 to 120 of 120 rollbacks", `href="?page=2&amp;target=i"`)
	page = s.page("wendy", "/rollbacks")
	if got := shownIn(page); len(got) != 50 {
		t.Errorf("%d rows", len(got))
	}
	wants(t, page, "1 to 50 of 60 rollbacks")
	lacks(t, page, "CHG119-r1")
}

// TestAllRollbacksStayFresh: an open list is sent again when something happened to what was
// chosen, and the clock alone makes a bar grow every few seconds, without a log being read.
func TestAllRollbacksStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := running("RUN-r1")
		r.Level, r.Revision, r.LevelDeadline = 1, 3, time.Now().Add(time.Hour)
		f := &fake{rollbacks: []backout.Rollback{r, endedAfter("OLD-r1", taleStart, time.Minute)}, logs: map[string][]handlers.LogEntry{"RUN-r1": {
			logEntry("RUN-r1", 1, backout.Record{At: time.Now(), Events: []backout.Event{backout.LevelEntered{}, backout.ClockStarted{}}}),
			logEntry("RUN-r1", 2, backout.Record{At: time.Now(), Events: []backout.Event{backout.LevelFailed{Cause: "time"}, backout.LevelEntered{Level: 1}, backout.ClockStarted{Level: 1}}}),
		}}}
		s := siteOf(t, f)
		wants(t, s.page("vic", "/rollbacks?status=running"), `hx-sse:connect="/live/rollbacks?status=running"`)
		o, closeIt := s.followAs("vic", "/live/rollbacks?status=running")
		defer closeIt()
		synctest.Wait()
		pages := o.pages()
		if len(pages) != 1 || !slices.Equal(shownIn(pages[0]), []string{"RUN-r1"}) {
			t.Fatalf("%d pages", len(pages))
		}
		wants(t, pages[0], "next <time", "<svg")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(o.pages()); n < 3 || n > 5 {
			t.Errorf("in a minute it was sent %d times, want about four", n)
		}
		if n := len(s.heard("RollbackLog")); n != 1 {
			t.Errorf("the log was read %d times, and nothing had happened", n)
		}
		for range 20 { // many steps within the rest of a log
			f.move(0, func(r *backout.Rollback) { r.Revision++; r.Targets[0].Tries++ })
			time.Sleep(settle)
		}
		if n := len(s.heard("RollbackLog")); n > 2 {
			t.Errorf("the log was read %d times in 3 s", n)
		}
		f.move(0, func(r *backout.Rollback) { r.Status, r.EndedAt = backout.RollbackRecovered, time.Now() })
		time.Sleep(time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) == 0 || len(shownIn(pages[len(pages)-1])) != 0 {
			t.Errorf("%d pages after its end", len(pages))
		}
	})
}

// TestFewLogsAreReadForThePicture: a rollback that left no level behind says by itself how
// long it took; of others a few logs are read, each once.
func TestFewLogsAreReadForThePicture(t *testing.T) {
	f := &fake{logs: map[string][]handlers.LogEntry{}}
	at := taleStart
	for i := range 25 {
		r := endedAfter(fmt.Sprintf("CHG%03d-r1", i), at, time.Hour)
		r.Level, r.Revision = 1, 4
		f.rollbacks = append(f.rollbacks, r)
		f.logs[r.ID] = []handlers.LogEntry{
			logEntry(r.ID, 1, backout.Record{At: at, Events: []backout.Event{backout.LevelEntered{}, backout.ClockStarted{}}}),
			logEntry(r.ID, 2, backout.Record{At: at.Add(31 * time.Minute), Events: []backout.Event{backout.LevelFailed{Cause: "time"}, backout.LevelEntered{Level: 1}}}),
			logEntry(r.ID, 3, backout.Record{At: at.Add(40 * time.Minute), Events: []backout.Event{backout.ClockStarted{Level: 1}}}),
			logEntry(r.ID, 4, backout.Record{At: at.Add(time.Hour), Events: []backout.Event{backout.Ended{Status: backout.RollbackRecovered}}}),
		}
	}
	f.rollbacks = append(f.rollbacks, endedAfter("ONE-r1", at, time.Minute))
	s := siteOf(t, f)
	page := s.page("vic", "/rollbacks")
	wants(t, page, "Not in the picture yet: 15 rollbacks of these", "L1 took 31m, 1m over its 30m (did not help); L2 took 20m without a limit (recovered).", "ONE-r1")
	for range 3 {
		page = s.page("vic", "/rollbacks")
	}
	lacks(t, page, "Not in the picture")
	read := map[string]int{}
	for _, call := range s.heard("RollbackLog") {
		read[call]++
	}
	if len(read) != 25 || read["RollbackLog CHG000-r1"] != 1 || strings.Contains(fmt.Sprint(read), "ONE") {
		t.Errorf("read %v", read)
	}
	// A log that cannot be read is left out, and nothing else.
	f.rollbacks = append(f.rollbacks, f.rollbacks[0])
	f.rollbacks[len(f.rollbacks)-1].ID = "LOST-r1"
	wants(t, s.page("vic", "/rollbacks"), "Not in the picture yet: 1 rollback of these", "CHG000-r1")
}

// TestALogThatCannotBeReadRests: it is not asked for again with every step of others, but
// after a while.
func TestALogThatCannotBeReadRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost, other := endedAfter("LOST-r1", taleStart, time.Hour), running("RUN-r1")
		lost.Level, lost.Revision, other.LevelStartedAt = 1, 4, time.Now()
		f := &fake{rollbacks: []backout.Rollback{lost, other}, errs: map[string]error{"RollbackLog": backout.ErrUnavailable}}
		s := siteOf(t, f)
		o, closeIt := s.followAs("vic", "/live/rollbacks")
		defer closeIt()
		for range 20 {
			f.move(1, func(r *backout.Rollback) { r.Targets[0].Tries++ })
			time.Sleep(settle)
		}
		synctest.Wait()
		pages := o.pages()
		wants(t, pages[len(pages)-1], "Not in the picture yet: 1 rollback of these")
		if n := len(s.heard("RollbackLog")); n != 1 {
			t.Errorf("the log was asked for %d times in 3 s", n)
		}
		f.set(func() {
			f.errs, f.logs = nil, map[string][]handlers.LogEntry{"LOST-r1": {
				logEntry("LOST-r1", 1, backout.Record{At: taleStart, Events: []backout.Event{backout.LevelEntered{}, backout.ClockStarted{}}}),
			}}
		})
		time.Sleep(spansRest + beat)
		synctest.Wait()
		pages = o.pages()
		lacks(t, pages[len(pages)-1], "Not in the picture")
	})
}

// TestALevelThatJustBeganRunsForSoMuch: what is rounded, so that an open page is sent
// seldom, is never less than it is.
func TestALevelThatJustBeganRunsForSoMuch(t *testing.T) {
	r := running("RUN-r1")
	r.Frozen.Plan.Levels[0].EscalateAfter = backout.Duration(100 * time.Second)
	for ran, want := range map[time.Duration]string{0: "runs for 0s", 14 * time.Second: "runs for 15s", 15 * time.Second: "runs for 15s", 61 * time.Second: "runs for 1m15s", 99 * time.Second: "runs for 1m40s of 1m40s", 101 * time.Second: "runs for 1m45s, 5s over its 1m40s"} {
		now := time.Now()
		timed := (&Dashboard{}).timed(&r, []ui.Span{{Started: now.Add(-ran)}}, now)
		if words := (chart.Durations{Rollbacks: []chart.Timed{timed}}).Words(); !strings.Contains(words[1], want) {
			t.Errorf("after %v: %q", ran, words)
		}
	}
}
