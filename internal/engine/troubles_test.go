package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/rules"
)

// TestTroubles: a rule that fails is told for an hour, with what it failed on; a step
// that waits for as long as it does; and that the store refuses.
func TestTroubles(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		if got := e.Troubles(t.Context()); got.Refused != "" || len(got.Rules) > 0 || len(got.Steps) > 0 {
			t.Errorf("at first: %+v", got)
		}
		w.opened(e, "C1")
		failing := firing("Failing", "web1")
		w.send(e, failing)
		synctest.Wait()
		got := e.Troubles(t.Context())
		if len(got.Rules) != 1 || got.Rules[0].Rule != "Failing" || got.Rules[0].Times == 0 || !strings.Contains(got.Rules[0].Error, "zero") {
			t.Fatalf("a rule that failed: %+v", got.Rules)
		}
		w.send(e, over(failing)) // or else the pulse judges it again
		time.Sleep(failingFor - time.Minute)
		if got := e.Troubles(t.Context()); len(got.Rules) != 1 {
			t.Errorf("within the hour: %+v", got.Rules)
		}
		set, problems := rules.Load(map[string][]byte{"r.yaml": []byte(strings.ReplaceAll(explainRules, "rule: Failing", "rule: Another"))})
		if err := problems.Fatal(); err != nil {
			t.Fatal(err)
		}
		other := *w.cfg
		other.Rules = set
		e.Reconfigure(&other)
		if got := e.Troubles(t.Context()); len(got.Rules) != 0 {
			t.Errorf("one that is gone: %+v", got.Rules)
		}
		e.Reconfigure(w.cfg)
		time.Sleep(2 * time.Minute)
		if got := e.Troubles(t.Context()); len(got.Rules) != 0 {
			t.Errorf("after the hour: %+v", got.Rules)
		}
		r, err := e.StartRollback(t.Context(), alice, handlers.StartRequest{ChangeID: "C1", Targets: []string{"web1"}, Level: "L1", Reason: "broken"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r, _ = e.rollbacks.get(r.ID)
		id := r.Targets[0].Attempt.ID
		e.waits(id, "no runner is there")
		if diff := cmp.Diff([]StepWaiting{{r.ID, "web1", "no runner is there"}}, e.Troubles(t.Context()).Steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		e.waitsNoMore(id)
		e.rollbacks.noteRefusal(backout.ErrUnavailable, time.Now())
		if got := e.Troubles(t.Context()); len(got.Steps) != 0 || !strings.Contains(got.Refused, "takes no writes") {
			t.Errorf("%+v", got)
		}
	})
}
