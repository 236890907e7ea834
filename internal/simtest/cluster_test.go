package simtest

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestTwo_engines_on_one_store_do_everything_once(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		for _, target := range []string{"web-1", "web-2"} {
			a := Alert{Name: "WebErrors", Target: target, Since: time.Now()}
			w.Server().Post(a)
			second.Post(a)
		}
		w.Advance(31 * time.Minute)
		did := map[string]int{}
		for _, d := range w.Did() {
			did[d]++
		}
		equal(t, "did", map[string]int{"web-1 L1": 1, "web-2 L1": 1, "web-1 L2": 1, "web-2 L2": 1}, did)
	})
}

func TestRollback_goes_on_when_its_server_is_gone(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L2", Script{Heals: true})
		second := w.Join("server-2")
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		second.Post(Alert{Name: "WebErrors", Target: "web-1"})
		w.Advance(5 * time.Minute)
		second.Close()
		w.Advance(26 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestPerson_on_one_server_stops_a_step_that_runs_on_the_other(t *testing.T) {
	plan := Plan()
	plan.Levels[0].Steps[0].OnOverdue = backout.OverdueStop
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"})
		w.Advance(time.Minute)
		r := w.Rollback("CHG1-r1")
		on := w.Server()
		if r.Targets[0].Attempt.Runner == on.name {
			on = second
		}
		if _, err := on.Engine().Act(t.Context(), as("ann"), "CHG1-r1", handlers.Action{Verb: handlers.VerbAbort, Reason: "enough"}); err != nil {
			t.Fatal(err)
		}
		w.Advance(10 * time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackAborted)
	})
}
