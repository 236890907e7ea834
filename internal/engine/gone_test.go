package engine

import (
	"strings"
	"testing"
	"testing/synctest"
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
