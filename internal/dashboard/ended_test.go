package dashboard

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// manyEnded is what years leave behind, and two that are under way.
func manyEnded() *fake {
	f := &fake{rollbacks: []backout.Rollback{running("RUN-r1"), running("RUN-r2")}}
	f.rollbacks[0].OpenedAt, f.rollbacks[1].OpenedAt = taleStart.Add(2*time.Hour), taleStart.Add(time.Hour)
	for i := range 300 {
		f.rollbacks = append(f.rollbacks, endedAfter(fmt.Sprintf("OLD%03d-r1", i), taleStart.Add(-time.Duration(i)*time.Hour), time.Minute))
	}
	return f
}

// TestAnOpenListSeldomListsAll: what has ended is listed once for many news, and what ends
// meanwhile is among it at once.
func TestAnOpenListSeldomListsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := manyEnded()
		s := siteOf(t, f)
		o, closeIt := s.followAs("vic", "/live/rollbacks")
		defer closeIt()
		for i := range 40 {
			s.set(func() { f.rollbacks[0].Reason = fmt.Sprint("step ", i) })
			time.Sleep(settle)
		}
		s.set(func() { f.rollbacks[1].Status, f.rollbacks[1].EndedAt = backout.RollbackRecovered, time.Now() })
		time.Sleep(2 * settle)
		synctest.Wait()
		pages := o.pages()
		last := pages[len(pages)-1]
		if rows := shownIn(last); len(rows) != rollbackRows || rows[0] != "RUN-r1" || rows[1] != "RUN-r2" || rows[2] != "OLD000-r1" {
			t.Errorf("%d pages, the last with %v", len(pages), rows)
		}
		wants(t, last, "1 to 50 of 302 rollbacks")
		if all, active := len(s.heard("ListAllRollbacks")), len(s.heard("ListRollbacks")); all != 1 || active < 30 {
			t.Errorf("all rollbacks were listed %d times, those under way %d times", all, active)
		}
		time.Sleep(3 * time.Minute)
		if n := len(s.heard("ListAllRollbacks")); n < 3 || n > 4 {
			t.Errorf("all rollbacks were listed %d times in three minutes", n)
		}
	})
}

// TestAnOpenListKeepsNoOtherPageWaiting: while all rollbacks are listed for it, Now is made.
func TestAnOpenListKeepsNoOtherPageWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := manyEnded()
		var hangs bool
		hung := make(chan struct{}, 100)
		f.before = func(ctx context.Context, method string) {
			f.mu.Lock()
			wait := hangs && method == "ListAllRollbacks"
			f.mu.Unlock()
			if wait {
				hung <- struct{}{}
				<-ctx.Done()
			}
		}
		s := siteOf(t, f)
		_, closeList := s.followAs("vic", "/live/rollbacks")
		defer closeList()
		now, closeNow := s.followAs("vic", "/live")
		defer closeNow()
		time.Sleep(time.Second)
		s.set(func() { hangs = true })
		<-hung // after a minute
		now.pages()
		s.set(func() { f.rollbacks[0].ID = "NEWS-r1" })
		time.Sleep(2 * settle)
		synctest.Wait()
		if pages := now.pages(); len(pages) != 1 || !strings.Contains(pages[0], "NEWS-r1") {
			t.Errorf("while the list is made, Now was sent %d times", len(pages))
		}
	})
}

// TestWhatWasTakenAwayIsNotListed: of what somebody may not see any more no row is left.
func TestWhatWasTakenAwayIsNotListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := manyEnded()
		f.labels = map[string]map[string]string{"web-1": {"team": "web"}}
		f.rollbacks[6].Targets[0].Name, f.rollbacks[7].Targets[0].Name = "db-1", "db-2"
		f.rollbacks[5].Targets[0].Name, f.labels["mine"] = "mine", map[string]string{"team": "web"}
		s := siteOf(t, f)
		_, closeOther := s.followAs("vic", "/live/rollbacks?target=mine")
		defer closeOther()
		synctest.Wait()
		o, closeIt := s.followAs("wendy", "/live/rollbacks?target=mine")
		defer closeIt()
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || len(shownIn(pages[0])) != 1 || !strings.Contains(pages[0], "1 rollback of 300") {
			t.Fatalf("began with %q", pages)
		}
		s.set(func() { delete(f.labels, "mine") })
		time.Sleep(time.Second)
		if pages := o.pages(); len(pages) == 0 || len(shownIn(pages[len(pages)-1])) != 0 {
			t.Errorf("%d pages after the target was given to others", len(pages))
		}
	})
}
