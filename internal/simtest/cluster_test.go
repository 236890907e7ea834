package simtest

import (
	"errors"
	"sync"
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

func TestStep_of_a_server_that_is_gone_is_taken_over(t *testing.T) {
	for name, c := range map[string]struct {
		script Script
		during func(w *World)
		want   backout.RollbackStatus
	}{
		"it runs on":           {script: Script{Takes: 10 * time.Minute, Heals: true}, want: backout.RollbackRecovered},
		"it has ended by then": {script: Script{Takes: time.Second, Heals: true}, want: backout.RollbackRecovered},
		"nobody knows its end": {script: Script{Hangs: true}, during: func(w *World) { w.Host("web-1").Reboot() }, want: backout.RollbackHeld},
		"its target is away":   {script: Script{Takes: 10 * time.Minute, Heals: true}, during: func(w *World) { w.Host("web-1").SetOffline(true) }, want: backout.RollbackRecovered},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{}, func(t *testing.T, w *World) {
				second := w.Join("server-2")
				w.Host("web-1").On("L1", c.script)
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				second.Post(Alert{Name: "WebErrors", Target: "web-1"})
				second.Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
				// Both have heard of the alert; one of them was faster.
				stays, goes := w.Server(), second
				if w.Rollback("CHG1-r1").Targets[0].Attempt.Runner == stays.name {
					stays, goes = goes, stays
				}
				goes.Close()
				if c.during != nil {
					c.during(w)
				}
				w.Advance(time.Minute)
				w.Host("web-1").SetOffline(false)
				w.Advance(15 * time.Minute)
				r, err := stays.Engine().Rollback(t.Context(), "CHG1-r1")
				if err != nil || r.Targets[0].Attempt.Runner != stays.name {
					t.Errorf("looked after by %s (%v)", r.Targets[0].Attempt.Runner, err)
				}
				is(t, r, c.want)
				equal(t, "did", []string{"web-1 L1"}, w.Did())
			})
		})
	}
}

func TestStep_that_a_dead_server_had_asked_for_is_run_by_another(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		second.RefuseFrom(3) // asked for, opened, and no claim
		second.Post(Alert{Name: "WebErrors", Target: "web-1"})
		second.Close()
		w.Advance(10 * time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestRollback_is_verified_when_its_verifier_is_gone(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		servers := []*Server{w.Server(), w.Join("server-2"), w.Join("server-3")}
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"})
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		w.Advance(time.Minute)
		w.Host("web-1").SetHealthy(true)
		w.Advance(time.Minute)
		// Whoever looks now is among these two.
		servers[1].Close()
		servers[2].Close()
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

// A server that others wrongly think gone finds its step in other hands: it lets
// go, and the step still has happened once.
func TestServer_that_is_wrongly_thought_gone_lets_go(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-1").On("L1", Script{Takes: 10 * time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		second.Post(Alert{Name: "WebErrors", Target: "web-1"})
		second.Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		muted, other := second, w.Server()
		if w.Rollback("CHG1-r1").Targets[0].Attempt.Runner == other.name {
			muted, other = other, muted
		}
		muted.Mute(true)
		w.Advance(time.Minute)
		if by := w.Rollback("CHG1-r1").Targets[0].Attempt.Runner; by != other.name {
			t.Errorf("looked after by %s", by)
		}
		muted.Mute(false)
		w.Advance(15 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestWindows_that_overlap_opened_at_once_on_two_servers(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.PlanChange(w.Spec("CHG1", "web-1", "web-2"))
		w.PlanChange(w.Spec("CHG2", "web-2", "web-3"))
		w.Advance(time.Second)
		answers := make(chan error, 2)
		for id, on := range map[string]*Server{"CHG1": w.Server(), "CHG2": second} {
			go func() {
				_, err := on.engine.OpenChange(t.Context(), as("rita"), id)
				answers <- err
			}()
		}
		first, other := <-answers, <-answers
		if first != nil {
			first, other = other, first
		}
		if first != nil || !errors.Is(other, backout.ErrRefused) {
			t.Errorf("one window opens and the other is refused: %v, %v", first, other)
		}
		w.Advance(time.Second)
		live := 0
		for _, id := range []string{"CHG1", "CHG2"} {
			if w.Change(id).State.Live() {
				live++
			}
		}
		equal(t, "open windows", 1, live)
	})
}

func TestLimit_counts_the_rollbacks_of_every_server(t *testing.T) {
	plan := Plan()
	plan.Limits.ActiveRollbacks = 1
	plan.Levels[1].Approval = backout.Approval{Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, OnExpiry: backout.ExpiryDeny}
	Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-1").On("L1", Script{Hangs: true})
		w.Host("web-2").On("L1", Script{Hangs: true})
		w.OpenChange("CHG1", "web-1")
		w.OpenChange("CHG2", "web-2")
		var both sync.WaitGroup
		for change, on := range map[string]*Server{"CHG1": w.Server(), "CHG2": second} {
			both.Go(func() {
				request := handlers.StartRequest{ChangeID: change, Targets: w.Change(change).Targets, Reason: "by hand"}
				if _, err := on.engine.StartRollback(t.Context(), as("ann"), request); err != nil {
					t.Errorf("start on %s: %v", change, err)
				}
			})
		}
		both.Wait()
		w.Advance(time.Minute)
		equal(t, "steps that run", 1, w.Host("web-1").Running()+w.Host("web-2").Running())
	})
}

// A step whose server cannot reach the target is given to one that can.
func TestStep_goes_to_a_server_that_reaches_the_target(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().Cut("web-1", true)
		second.Cut("web-1", true)
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"})
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		w.Advance(10 * time.Second)
		first := w.Rollback("CHG1-r1").Targets[0].Attempt.Runner
		for _, s := range []*Server{w.Server(), second} {
			if s.name != first {
				s.Cut("web-1", false)
			}
		}
		w.Advance(2 * time.Minute)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
		if by := w.Rollback("CHG1-r1").Targets[0].Attempt.Runner; by == first {
			t.Errorf("still looked after by %s", by)
		}
	})
}

// Servers come and go all night. The target that L1 has healed stays green, and
// nobody escalates for their sake.
func TestServers_that_come_and_go_do_not_keep_a_target_from_recovering(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		for range 8 {
			second := w.Join("server-2")
			w.Advance(15 * time.Second)
			second.Close()
			w.Drop(second)
			w.Advance(15 * time.Second)
		}
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

// All servers are away for an hour: nobody has looked, so green begins again.
func TestGreen_begins_again_when_no_server_was_there(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Join("server-2")
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(30 * time.Second)
		if w.Rollback("CHG1-r1").Targets[0].GreenSince.IsZero() {
			t.Fatal("not green yet")
		}
		w.Crash()
		w.Advance(20 * time.Minute)
		w.Start()
		w.Advance(time.Minute)
		if r := w.Rollback("CHG1-r1"); r.Status.Final() {
			t.Errorf("%s, though nobody had looked for most of the time", r.Status)
		}
		w.Advance(3 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

// One server has read the new inventory, the other not yet.
func TestStep_waits_for_a_server_that_knows_the_target(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.Host("web-4").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-4")
		w.Break("web-4")
		w.Advance(10 * time.Second)
		second.ForgetTarget("web-4")
		second.Post(Alert{Name: "WebErrors", Target: "web-4"})
		w.Advance(time.Minute)
		equal(t, "did", []string{"web-4 L1"}, w.Did())
		second.Post(Alert{Name: "WebErrors", Target: "web-4", Resolved: true})
		second.engine.Reconfigure(second.engineConfig()) // it reads the new one too
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}
