package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestAnAudienceThatIsGoneIsNamed, by a reload and by a start, with what is open.
func TestAnAudienceThatIsGoneIsNamed(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Audiences = map[string][]string{"ops": {"chat"}}
		e := w.serve("me", w.store)
		r := w.asks(e)
		want := func(when string, times int) {
			t.Helper()
			synctest.Wait()
			said := w.logs.String()
			for _, line := range []string{"an open rollback names audiences that the config does not have any more\" rollback=" + r.ID + " audiences=[ops]", "an open change names audiences that the config does not have any more\" change=CHG1 audiences=[ops]"} {
				if n := strings.Count(said, line); n != times {
					t.Errorf("%s: %d times, want %d: %s\n%s", when, n, times, line, said)
				}
			}
		}
		same := *w.cfg
		e.Reconfigure(&same)
		want("while it is there", 0)
		other := *w.cfg
		other.Audiences = map[string][]string{"web-ops": {"chat"}}
		e.Reconfigure(&other)
		want("after a reload", 1)
		e.Close()
		w.cfg = &other
		e = w.serve("me", w.store)
		defer e.Close()
		want("after a start", 2)
	})
}

// TestNobodyIsWarnedOfWhatIsOver, a while ago or just now.
func TestNobodyIsWarnedOfWhatIsOver(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Audiences = map[string][]string{"ops": {"chat"}}
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		if _, err := e.Act(t.Context(), alice, r.ID, handlers.Action{Verb: handlers.VerbAbort, Reason: "no"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 2 { // its window, then its watch
			if _, err := e.CloseChange(t.Context(), alice, "CHG1", "done"); err != nil {
				t.Fatal(err)
			}
		}
		other := *w.cfg
		other.Audiences = map[string][]string{"web-ops": {"chat"}}
		e.Reconfigure(&other)
		synctest.Wait()
		if said := w.logs.String(); strings.Contains(said, "does not have any more") {
			t.Errorf("it warns of what is over: %s", said)
		}
	})
}

// TestNobodyIsPromisedInPlaceOfReaders, who are replaced by nobody.
func TestNobodyIsPromisedInPlaceOfReaders(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Audiences = map[string][]string{"ops": {"chat"}, "board": {"mail"}}
		w.cfg.Acts = func(audience string) bool { return audience != "board" }
		e := w.serve("me", w.store)
		defer e.Close()
		if _, err := e.PlanChange(t.Context(), alice, backout.ChangeSpec{
			ID: "C1", Plan: "web", Targets: []string{"web1"}, Window: backout.Window{Watch: backout.Duration(time.Hour)}, Stakeholders: []string{"board"},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		other := *w.cfg
		other.Audiences = map[string][]string{"ops": {"chat"}}
		e.Reconfigure(&other)
		synctest.Wait()
		said := w.logs.String()
		if !strings.Contains(said, "change=C1 audiences=[board]") || !strings.Contains(said, "nobody is told in their place") || strings.Contains(said, "goes to all who can act") {
			t.Errorf("it says %s", said)
		}
	})
}
