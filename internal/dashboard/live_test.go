package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// followAs opens the stream of a page as somebody, until close is called.
func (s *site) followAs(as, path string) (o *open, closeIt func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	o = s.follow(request(as, http.MethodGet, path, nil).WithContext(ctx))
	return o, func() {
		cancel()
		<-o.done
	}
}

// running is a rollback that is under way.
func running(id string) backout.Rollback {
	return backout.Rollback{
		ID: id, ChangeID: "CHG1", Status: backout.RollbackRunning, Reason: "red", Level: 0, OpenedAt: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC),
		Frozen:  backout.FrozenPlan{Plan: backout.Plan{Levels: []backout.Level{{Name: "L1", Summary: "uninstall the patch"}, {Name: "L2"}}}},
		Targets: []backout.TargetState{{Name: "web-1", Phase: backout.TargetRunning}},
	}
}

// TestAnOpenPageIsKeptUpToDate: it is sent once, then whenever it looks different, and
// never for nothing; the server says every few seconds what time it is.
func TestAnOpenPageIsKeptUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		synctest.Wait()
		first := o.events()
		if o.code != http.StatusOK || o.header.Get("Content-Type") != "text/event-stream" || o.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("answered %d %v", o.code, o.header)
		}
		if len(first) != 2 || first[0].name != "beat" || first[0].data != strconv.FormatInt(time.Now().UnixMilli(), 10) || first[1].name != "message" {
			t.Fatalf("began with %v", first)
		}
		wants(t, first[1].data, "<title>all quiet · backout</title>", "All quiet")
		lacks(t, first[1].data, "<html", "<script", "nonce")

		s.set(func() {}) // somebody says that something has changed, and nothing has
		time.Sleep(time.Second)
		if more := o.events(); len(more) > 0 {
			t.Errorf("nothing has changed, and it sent %v", more)
		}
		s.set(func() { s.rollbacks = []backout.Rollback{running("CHG1-r1")} })
		time.Sleep(settle + time.Millisecond)
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "1 rollback under way") {
			t.Errorf("something has changed, and it sent %q", pages)
		}
		o.events()
		time.Sleep(3 * beat)
		synctest.Wait()
		if beats := o.events(); len(beats) != 3 || beats[0].name != "beat" {
			t.Errorf("in three beats it sent %v", beats)
		}
	})
}

// TestWhatComesInBurstsIsShownOnce: two hundred news make two pages at most, the last of
// them as it is.
func TestWhatComesInBurstsIsShownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		time.Sleep(time.Second)
		o.events()
		for i := range 200 {
			s.set(func() { s.rollbacks = append(s.rollbacks, running(fmt.Sprintf("CHG%d-r1", i))) })
		}
		time.Sleep(2 * settle)
		synctest.Wait()
		pages := o.pages()
		if len(pages) == 0 || len(pages) > 2 || !strings.Contains(pages[len(pages)-1], "200 rollbacks under way") {
			t.Errorf("%d pages", len(pages))
		}
	})
}

// TestWhatPassesWithoutNewsIsSeenWithTheNextBeat: what changes by the clock alone is seen with the
// next beat.
func TestWhatPassesWithoutNewsIsSeenWithTheNextBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := siteOf(t, f)
		o, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		time.Sleep(time.Second)
		o.events()
		f.mu.Lock() // and nobody is told
		f.monitoring = handlers.MonitoringStatus{Watched: true, Blind: true, BlindSince: time.Now()}
		f.mu.Unlock()
		time.Sleep(beat + time.Second)
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(pages[0], "Monitoring is blind") {
			t.Errorf("it sent %q", pages)
		}
	})
}

// TestAnEndedSessionEndsThePage, and the page is told to go and ask again.
func TestAnEndedSessionEndsThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		gone, _ := s.followAs("ann", "/live")
		stays, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		time.Sleep(time.Second)
		gone.events()
		s.leave("ann")
		s.set(func() { s.rollbacks = []backout.Rollback{running("CHG1-r1")} })
		time.Sleep(beat)
		<-gone.done
		if last := gone.events(); len(last) == 0 || last[len(last)-1].name != "anew" {
			t.Errorf("it ended with %v", last)
		}
		select {
		case <-stays.done:
			t.Error("another's page ended too")
		default:
		}
	})
}

// TestARightThatWasTakenAwayEndsThePage.
func TestARightThatWasTakenAwayEndsThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, _ := s.followAs("ann", "/live")
		time.Sleep(time.Second)
		s.join(handlers.Actor{Name: "ann"})
		time.Sleep(beat)
		<-o.done
		if last := o.events(); last[len(last)-1].name != "anew" {
			t.Errorf("it ended with %v", last)
		}
	})
}

// TestLessRightsEndThePage: who may still look, and at less than when they began, begins
// anew.
func TestLessRightsEndThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, _ := s.followAs("vic", "/live")
		time.Sleep(time.Second)
		s.join(handlers.Actor{Name: "vic", Grants: []backout.Grant{{Role: backout.RoleViewer, Labels: map[string]string{"team": "web"}}}})
		time.Sleep(beat)
		<-o.done
		if last := o.events(); last[len(last)-1].name != "anew" {
			t.Errorf("it ended with %v", last)
		}
	})
}

// TestPagesEndWithTheServer.
func TestPagesEndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, _ := s.followAs("vic", "/live")
		synctest.Wait()
		s.h.EndStreams()
		<-o.done
	})
}

// TestDataMakesNoEvents: neither with a line feed nor with a carriage return, which ends
// a line of a stream too.
func TestDataMakesNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := running("CHG1-r1")
		r.Reason = "one\revent: anew\rdata: x\r\revent: beat\ndata: 0\n\ndata: y\r\n\r\nid: 7"
		s := siteOf(t, &fake{rollbacks: []backout.Rollback{r}})
		o, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		synctest.Wait()
		events := o.events()
		if len(events) != 2 || events[0].name != "beat" || events[1].name != "message" {
			t.Fatalf("it sent %d events: %v", len(events), events)
		}
		wants(t, events[1].data, "one", "event: anew", "id: 7")
	})
}

// TestThoseWhoSeeTheSameShareOneRendering: two pages of one person cost one rendering for
// each change, and nobody gets a page that was made for somebody else.
func TestThoseWhoSeeTheSameShareOneRendering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web, db := running("WEB-r1"), running("DB-r1")
		web.Targets[0].Name, db.Targets[0].Name = "web-1", "db-1"
		s := siteOf(t, &fake{
			rollbacks: []backout.Rollback{web, db},
			labels:    map[string]map[string]string{"web-1": {"team": "web"}, "db-1": {"team": "db"}},
		})
		one, closeOne := s.followAs("ann", "/live")
		defer closeOne()
		two, closeTwo := s.followAs("ann", "/live")
		defer closeTwo()
		other, closeOther := s.followAs("wendy", "/live")
		defer closeOther()
		time.Sleep(time.Second)
		for _, o := range []*open{one, two, other} {
			o.events()
		}
		before := len(s.heard("ListRollbacks"))
		s.set(func() { s.rollbacks[0].Reason, s.rollbacks[1].Reason = "still red", "still red" })
		time.Sleep(2 * settle)
		synctest.Wait()
		if n := len(s.heard("ListRollbacks")) - before; n != 2 {
			t.Errorf("three pages of two people cost %d renderings, want 2", n)
		}
		mine, same, theirs := one.pages(), two.pages(), other.pages()
		if len(mine) != 1 || len(same) != 1 || len(theirs) != 1 || mine[0] != same[0] {
			t.Fatalf("they were sent %d, %d and %d pages", len(mine), len(same), len(theirs))
		}
		wants(t, mine[0], "WEB-r1", "DB-r1")
		wants(t, theirs[0], "WEB-r1")
		lacks(t, theirs[0], "DB-r1", "db-1")
	})
}

// TestAReaderWhoGoesAwaySpoilsNothing: their rendering ends with them, and whoever shares
// it gets a page all the same.
func TestAReaderWhoGoesAwaySpoilsNothing(t *testing.T) {
	f := &fake{}
	s := siteOf(t, f)
	entered := make(chan struct{}, 1)
	var armed bool
	f.before = func(ctx context.Context, method string) {
		f.mu.Lock()
		wait := armed && method == "ListRollbacks"
		armed = armed && !wait // the first alone waits
		f.mu.Unlock()
		if wait {
			entered <- struct{}{}
			<-ctx.Done()
		}
	}
	goes, leave := s.followAs("ann", "/live")
	await(t, goes, "All quiet")
	s.set(func() {
		armed = true
		s.rollbacks = []backout.Rollback{running("CHG1-r1")}
	})
	<-entered
	stays, closeIt := s.followAs("ann", "/live")
	defer closeIt()
	<-stays.written // a beat; now it waits for the other's rendering
	leave()
	await(t, stays, "1 rollback under way")
}

// await waits until the page was sent with these words.
func await(t *testing.T, o *open, words string) {
	t.Helper()
	for t.Context().Err() == nil {
		for _, page := range o.pages() {
			if strings.Contains(page, words) {
				return
			}
		}
		select {
		case <-o.done:
			t.Fatalf("the page ended before it was sent with %q", words)
		case <-o.written:
		}
	}
}

// TestAPageThatCannotBeMadeIsNotSaidToBeFresh: while the store does not answer, no beat
// says that what stands there is how it is.
func TestAPageThatCannotBeMadeIsNotSaidToBeFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, &fake{})
		o, closeIt := s.followAs("vic", "/live")
		defer closeIt()
		time.Sleep(time.Second)
		o.events()
		s.set(func() { s.errs = map[string]error{"ListRollbacks": backout.ErrUnavailable} })
		time.Sleep(4 * beat)
		synctest.Wait()
		if sent := o.events(); len(sent) > 1 { // one may be on its way
			t.Errorf("it sent %v", sent)
		}
		s.set(func() { s.errs, s.rollbacks = nil, []backout.Rollback{running("CHG1-r1")} })
		time.Sleep(beat + time.Second)
		synctest.Wait()
		sent := o.events()
		if len(sent) < 2 || sent[0].name != "message" || sent[len(sent)-1].name != "beat" {
			t.Errorf("after it came back it sent %v", sent)
		}
	})
}

// TestAStreamOfWhatIsNotAllowedNeverBegins.
func TestAStreamOfWhatIsNotAllowedNeverBegins(t *testing.T) {
	s := siteOf(t, &fake{})
	for as, want := range map[string]int{"nobody": http.StatusForbidden, "": http.StatusUnauthorized} {
		if w := s.get(as, "/live"); w.Code != want || strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			t.Errorf("%q: answered %d %v", as, w.Code, w.Header())
		}
	}
	if w := s.get("vic", "/live?x=1"); w.Code != http.StatusBadRequest {
		t.Errorf("a parameter that the page does not know: %d", w.Code)
	}
}
