package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestNoticesOfARollback are those that the relay handed over, told again from the log,
// by any server and after a restart.
func TestNoticesOfARollback(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.ExternalURL = "https://backout.example.com"
		w.cfg.Plans["web"].Levels[1].Audience = []string{"ops", "bosses"}
		e := w.serve("me", w.store)
		if _, err := e.NoticesOf(t.Context(), "CHG1-r1"); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("of a rollback that is not there: %v", err)
		}
		r := w.asks(e)
		if _, err := e.Act(t.Context(), alice, r.ID, handlers.Action{Verb: handlers.VerbAbort, Reason: "wrong"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		told := w.mouth.told()[1:] // the window's came first
		check := func(e *Engine) {
			t.Helper()
			list, err := e.NoticesOf(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			var last time.Time
			for _, n := range list {
				ids = append(ids, n.ID)
				if !n.HandedOver || n.RollbackID != r.ID || n.URL != "https://backout.example.com/rollbacks/"+r.ID || n.At.Before(last) {
					t.Errorf("%+v", n)
				}
				last = n.At
			}
			if diff := cmp.Diff(told, ids); diff != "" || len(ids) < 4 {
				t.Errorf("notices (-handed over +told again):\n%s", diff)
			}
			if first := list[0]; first.Moment != backout.MomentRed || first.Audience != "ops" || list[1].Audience != "bosses" || list[1].ID != first.ID {
				t.Errorf("first %+v, then %+v", first.Notice, list[1].Notice)
			}
		}
		check(e)
		e.Close()
		e = w.serve("me", w.store)
		defer e.Close()
		check(e)
	})
}

// TestNoticesThatTheOutboxHasNotHad are told of too.
func TestNoticesThatTheOutboxHasNotHad(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		away := make([]error, 100)
		for i := range away {
			away[i] = backout.ErrUnavailable
		}
		w.mouth.fail = map[string][]error{"CHG1-r1.1.1": away} // what asks; the opening goes out
		r := w.asks(e)
		list, err := e.NoticesOf(t.Context(), r.ID)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		for _, n := range list {
			if n.HandedOver {
				t.Errorf("%s %s counts as handed over", n.ID, n.Moment)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if list, err = e.NoticesOf(t.Context(), r.ID); err != nil || !list[len(list)-1].HandedOver {
			t.Errorf("once the outbox takes them: %+v, %v", list, err)
		}
	})
}
