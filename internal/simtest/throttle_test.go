package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// throttled is [AutoRule] with a throttle, and further keys.
func throttled(throttle string, keys ...string) string {
	rule := AutoRule + "        throttle: {" + throttle + "}\n"
	for _, key := range keys {
		rule += "        " + key + "\n"
	}
	return rule
}

// records counts the records of the logs, those of notices not among them.
func (w *World) records() int {
	logs := w.Logs()
	return len(logs.Changes) + len(logs.Rollbacks)
}

func TestStorm_opens_once_when_there_are_enough(t *testing.T) {
	Story(t, Setup{Rules: throttled("at_least: 3, within: 10m", "scope: change")}, func(t *testing.T, w *World) {
		targets := []string{"web-1", "web-2", "web-3", "web-4"}
		w.OpenChange("CHG1", targets...)
		w.Break(targets...)
		w.Fire("Errors0", "web-1")
		w.Advance(time.Minute)
		w.Fire("Errors0", "web-1", "web-2")
		w.Advance(time.Minute)
		if n, v := len(w.Rollbacks()), w.verdicts(); n != 0 || v != 2 {
			t.Fatalf("%d rollbacks, %d verdicts after two alerts", n, v)
		}
		var storm []Alert
		for i := range 1000 {
			storm = append(storm, Alert{Name: fmt.Sprintf("Errors%d", i/4), Target: targets[i%4], Since: time.Now()})
		}
		w.Server().Post(storm...)
		w.Advance(time.Second)
		if n := len(w.Rollbacks()); n != 1 {
			t.Fatalf("%d rollbacks, want one", n)
		}
		if v := w.Rollback("CHG1-r1").Trigger.Verdict; len(w.Rollback("CHG1-r1").Targets) != 4 || w.verdicts() != 2 {
			t.Errorf("opened by %+v, and %d verdicts", v, w.verdicts())
		}
		w.Advance(time.Minute)
		before := w.records()
		for range 5 {
			w.Server().Post(storm...)
			w.Advance(20 * time.Second)
		}
		if after := w.records(); after != before {
			t.Errorf("the storm goes on, and there are %d records more", after-before)
		}
	})
}

// What a throttle stops is recorded once, however often it comes.
func TestStorm_that_is_stopped_costs_a_record_for_each_alert(t *testing.T) {
	Story(t, Setup{Rules: throttled("once_within: 1h")}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		// Both at once: which is first is not known when they are judged.
		for range 20 {
			w.Fire("WebErrors", "web-1", "web-2")
			w.Advance(7 * time.Second)
		}
		if n, v := len(w.Rollbacks()), w.verdicts(); n != 1 || v != 1 {
			t.Errorf("%d rollbacks, %d verdicts", n, v)
		}
	})
}

func TestOnce_within_holds_over_a_restart(t *testing.T) {
	Story(t, Setup{Rules: throttled("once_within: 30m"), SnapshotEvery: 5}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		w.Restart()
		w.Fire("WebErrors", "web-2")
		w.Advance(24 * time.Minute)
		if n := len(w.Rollbacks()); n != 1 {
			t.Fatalf("%d rollbacks, want one", n)
		}
		w.Advance(time.Minute + 10*time.Second)
		if n := len(w.Rollbacks()); n != 2 {
			t.Errorf("%d rollbacks after the half hour, want the second", n)
		}
	})
}

func TestOnce_within_of_all_changes_holds_over_a_restart(t *testing.T) {
	Story(t, Setup{Rules: throttled("once_within: 3h, per: rule"), SnapshotEvery: 5}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(100 * time.Minute) // CHG1 has ended, and is at rest
		w.Restart()
		w.Restart()
		w.OpenChange("CHG2", "web-2")
		w.Break("web-2")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n != 1 {
			t.Fatalf("%d rollbacks, want one", n)
		}
		w.Advance(80 * time.Minute)
		if n := len(w.Rollbacks()); n != 2 {
			t.Errorf("%d rollbacks after three hours, want the second", n)
		}
	})
}

func TestAt_least_counts_over_a_restart(t *testing.T) {
	Story(t, Setup{Rules: throttled("at_least: 3, within: 10m"), SnapshotEvery: 2}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2", "web-3")
		w.Break("web-3")
		w.Fire("WebErrors", "web-1")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		w.Resolve("WebErrors", "web-1")
		w.Advance(2 * time.Minute)
		w.Restart()
		w.Advance(time.Minute)
		w.Fire("WebErrors", "web-3")
		w.Advance(time.Second)
		if n := len(w.Rollbacks()); n == 0 {
			t.Error("what had matched before the restart does not count any more")
		}
	})
}

// What opened a rollback counts after a restart, from its first match on.
func TestAt_least_counts_what_was_opened_over_a_restart(t *testing.T) {
	for second, want := range map[time.Duration]int{6 * time.Minute: 4, 4 * time.Minute: 3} {
		t.Run(second.String(), func(t *testing.T) {
			Story(t, Setup{Rules: throttled("at_least: 3, within: 10m")}, func(t *testing.T, w *World) {
				w.OpenChange("CHG1", "web-1", "web-2", "web-3", "web-4")
				w.Break("web-1", "web-2", "web-3", "web-4")
				w.Fire("WebErrors", "web-1")
				w.Advance(second)
				w.Fire("WebErrors", "web-2")
				w.Advance(7*time.Minute - second)
				w.Fire("WebErrors", "web-3")
				w.Advance(time.Minute)
				if n := len(w.Rollbacks()); n != 3 {
					t.Fatalf("%d rollbacks, want three", n)
				}
				w.Advance(7 * time.Minute)
				w.Restart()
				w.Fire("WebErrors", "web-4") // of web-2's ten minutes one is left, or they are over
				w.Advance(30 * time.Second)
				if n := len(w.Rollbacks()); n != want {
					t.Errorf("web-2 after %s: %d rollbacks, want %d", second, n, want)
				}
			})
		})
	}
}

func TestAt_least_does_not_count_again_what_fires_on_over_a_restart(t *testing.T) {
	Story(t, Setup{Rules: throttled("at_least: 3, within: 10m")}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2", "web-3")
		w.Fire("WebErrors", "web-1")
		w.Fire("WebErrors", "web-2")
		for range 6 {
			w.Advance(4 * time.Minute)
			w.Fire("WebErrors", "web-1", "web-2")
		}
		w.Restart()
		w.Advance(time.Minute)
		w.Fire("WebErrors", "web-3")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n != 0 {
			t.Errorf("%d rollbacks: two of three alerts are old", n)
		}
	})
}

func TestLatch_asks_before_a_level_begins_a_second_time(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}, Rules: throttled("latch: true")}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2", "web-3")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Restart()
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		is(t, w.Rollback("CHG1-r2"), backout.RollbackPending)
		if why := w.Rollback("CHG1-r2").Ask.Why; !strings.Contains(why, "latch: a rollback of CHG1 has begun with L1 before") {
			t.Errorf("asks because %q", why)
		}
		equal(t, "did", []string{"web-1 L1"}, w.Did())
		w.Vote("CHG1-r2", "ann", backout.ChoiceApprove)
		w.Advance(time.Second)
		equal(t, "did", []string{"web-1 L1", "web-2 L1"}, w.Did())
	})
}

// Two servers that hear of two alerts at the same moment open one rollback, whether
// the throttle counts for the change or for all.
func TestTwo_servers_never_open_twice(t *testing.T) {
	for throttle, changes := range map[string][2]string{"once_within: 30m": {"CHG1", "CHG1"}, "once_within: 30m, per: rule": {"CHG1", "CHG2"}} {
		t.Run(throttle, func(t *testing.T) {
			Story(t, Setup{Rules: throttled(throttle)}, func(t *testing.T, w *World) {
				second := w.Join("server-2")
				if changes[0] == changes[1] {
					w.OpenChange("CHG1", "web-1", "web-2")
				} else {
					w.OpenChange("CHG1", "web-1")
					w.OpenChange("CHG2", "web-2")
				}
				w.Break("web-1", "web-2")
				w.Together(map[*Server]Alert{
					w.Server(): {Name: "WebErrors", Target: "web-1", Since: time.Now()}, second: {Name: "WebErrors", Target: "web-2", Since: time.Now()},
				})
				w.Advance(10 * time.Minute)
				if n := len(w.Rollbacks()); n != 1 {
					t.Errorf("%d rollbacks, want one", n)
				}
				w.Advance(21 * time.Minute)
				if n := len(w.Rollbacks()); n != 2 {
					t.Errorf("%d rollbacks after the half hour, want the second", n)
				}
			})
		})
	}
}

// TestAt_least_begins_anew_with_other_content: what a rule matched by what it said before
// says nothing of what it says now, and what still fires is said anew.
func TestAt_least_begins_anew_with_other_content(t *testing.T) {
	Story(t, Setup{Rules: throttled("at_least: 3, within: 1h")}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1", "web-2", "web-3")
		w.Fire("WebErrors", "web-1")
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		w.Resolve("WebErrors", "web-1")
		w.Reconfigure(func(s *Setup) { s.Rules = throttled("at_least: 3, within: 1h", "for: 1s") })
		w.Advance(time.Minute)
		if said := w.Change("CHG1").Rules; len(said) != 2 || said[1].Verdicts != 1 || said[1].Targets[0] != "web-2" {
			t.Errorf("the rule as it is now said %+v", said)
		}
		w.Restart()
		w.Fire("WebErrors", "web-3")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n != 0 {
			t.Errorf("%d rollbacks: of three alerts the rule as it is now matched two", n)
		}
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n == 0 {
			t.Error("no rollback after the third")
		}
	})
}
