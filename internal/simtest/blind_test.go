package simtest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/rules"
)

// missingAfter is how long the watchdog of these stories may stay away.
const missingAfter = 10 * time.Minute

// dog is the dead-man's switch of these stories.
func dog(t *testing.T) *engine.Monitoring {
	t.Helper()
	watchdog, err := rules.ParseMatchers([]string{`alertname="Watchdog"`})
	if err != nil {
		t.Fatal(err)
	}
	return &engine.Monitoring{Watchdog: watchdog, MissingAfter: missingAfter, Audience: []string{"ops", "managers"}}
}

// bark lets the watchdog be heard by a server.
func bark(t *testing.T, s *Server) {
	t.Helper()
	if code := s.Post(Alert{Name: "Watchdog", Target: "prometheus"}); code != http.StatusOK {
		t.Fatalf("the watchdog was answered %d", code)
	}
}

func blind(t *testing.T, s *Server) handlers.MonitoringStatus {
	t.Helper()
	status, err := s.Engine().Monitoring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func wantBlind(t *testing.T, w *World, want bool) {
	t.Helper()
	for _, s := range w.servers {
		if got := blind(t, s).Blind; got != want {
			t.Errorf("%s: blind is %v, want %v", s.name, got, want)
		}
	}
}

// healed is a change whose target was red and is taken back by L1, which ends a
// minute from now.
func healed(w *World) {
	w.Host("web-1").On("L1", Script{Takes: time.Minute, Heals: true})
	w.OpenChange("CHG1", "web-1")
	w.Break("web-1")
	w.Fire("WebErrors", "web-1")
	w.Resolve("WebErrors", "web-1")
}

func TestBlind_monitoring_lets_nothing_recover(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		bark(t, w.Server())
		w.Advance(missingAfter - 30*time.Second)
		healed(w)
		w.Advance(20 * time.Minute)
		wantBlind(t, w, true)
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackVerifying)
		if !w.Host("web-1").Healthy() || !strings.Contains(r.Targets[0].Red, "monitoring is blind since") {
			t.Errorf("red because %q", r.Targets[0].Red)
		}
		for _, e := range w.Logs().Rollbacks {
			for _, ev := range e.Record.Events {
				if _, green := ev.(backout.TargetGreen); green {
					t.Error("the target was called green")
				}
			}
		}
		bark(t, w.Server())
		w.Advance(90 * time.Second)
		wantBlind(t, w, false)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		w.Advance(time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

func TestBlind_for_a_moment_begins_the_hold_anew(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		bark(t, w.Server())
		healed(w)
		w.Advance(2*time.Minute + 20*time.Second)
		if w.Rollback("CHG1-r1").Targets[0].GreenSince.IsZero() {
			t.Fatal("the target is not green")
		}
		w.Resolve("Watchdog", "prometheus") // its end is told: nobody waits for it
		wantBlind(t, w, true)
		w.Advance(2 * time.Second)
		w.Advance(time.Millisecond)
		bark(t, w.Server())
		wantBlind(t, w, false)
		w.Advance(time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying)
		w.Advance(90 * time.Second)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

// TestBlind_is_told_once: by two servers, of which each is restarted meanwhile and one
// only hears what the other is told.
func TestBlind_is_told_once(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		bark(t, second)
		w.Advance(missingAfter - time.Second)
		wantBlind(t, w, false)
		if seen := blind(t, w.Server()).LastSeen; time.Since(seen) > missingAfter {
			t.Errorf("the first server saw it at %v", seen)
		}
		w.Advance(10 * time.Second)
		wantBlind(t, w, true)
		w.Restart()
		wantBlind(t, w, true) // a start is no reason to see again
		w.Advance(time.Minute)
		w.ForgetReceipts()
		w.Restart()
		w.Advance(time.Hour)
		wantBlind(t, w, true)
		bark(t, w.servers[1])
		w.Advance(10 * time.Second)
		wantBlind(t, w, false)
		w.Restart()
		w.Advance(time.Minute)
		for _, audience := range []string{"ops", "managers"} {
			equal(t, audience, []string{"monitoring_blind", "monitoring_back"}, w.Inbox(audience).Moments())
		}
		notices := w.Inbox("ops").Notices()
		if n := notices[0]; n.ChangeID != "" || !strings.Contains(n.Reason, "seen last at 20") || n.IfNobodyActs == "" || n.URL != "https://backout.test/" {
			t.Errorf("told %+v", n)
		}
		if n := notices[1]; !strings.Contains(n.Reason, "monitoring was blind from") || !strings.Contains(n.Reason, "1h1m") {
			t.Errorf("told %+v", n)
		}
		w.Advance(missingAfter)
		if got := w.Inbox("ops").Moments(); len(got) != 3 {
			t.Errorf("a second blindness: told %v", got)
		}
	})
}

func TestBlind_monitoring_is_a_warning_of_the_gate(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		w.PlanChange(w.Spec("CHG1", "web-1"))
		warned := func() bool {
			t.Helper()
			r, err := w.Server().Engine().CheckGate(t.Context(), as("rita"), "CHG1")
			if err != nil || !r.Passed {
				t.Fatalf("%+v, %v", r, err)
			}
			return slices.ContainsFunc(r.Warnings, func(v backout.Violation) bool { return v.Check == "monitoring" })
		}
		if warned() {
			t.Error("warned too early")
		}
		w.Advance(missingAfter)
		if !warned() {
			t.Error("not warned")
		}
	})
}

func TestBlind_never_before_the_watchdog_had_its_time(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		w.Advance(missingAfter - 10*time.Second)
		wantBlind(t, w, false)
		w.Advance(20 * time.Second)
		wantBlind(t, w, true)
		if n := w.Inbox("ops").Notices(); len(n) != 1 || !strings.Contains(n[0].Reason, "has not come since this server started") {
			t.Errorf("told %+v", n)
		}
		bark(t, w.Server())
		w.Advance(missingAfter - time.Minute)
		w.stop()
		time.Sleep(time.Hour) // nobody could hear it
		w.Start()
		w.Advance(missingAfter - 10*time.Second)
		wantBlind(t, w, false)
		w.Advance(20 * time.Second)
		wantBlind(t, w, true)
	})
}

// TestBlind_when_the_alerts_own_end_passes: Prometheus names one; all its alerts seem
// to be over then.
func TestBlind_when_the_alerts_own_end_passes(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		w.Advance(missingAfter - time.Minute)
		w.Server().PostDirect(Alert{Name: "Watchdog", Target: "prometheus"})
		w.Advance(4*time.Minute - 10*time.Second)
		wantBlind(t, w, false)
		w.Advance(20 * time.Second)
		wantBlind(t, w, true)
		bark(t, w.Server()) // through Alertmanager it has no end
		w.Server().PostDirect(Alert{Name: "Watchdog", Target: "prometheus"})
		w.Advance(missingAfter - 10*time.Second)
		wantBlind(t, w, false)
	})
}

func TestBlind_only_when_every_watchdog_is_gone(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		other := func() { w.Fire("Watchdog", "prometheus-b") }
		bark(t, w.Server())
		other()
		w.Advance(time.Minute)
		w.Resolve("Watchdog", "prometheus")
		w.Server().Post(Alert{Name: "Watchdog", Target: "prometheus", Since: time.Now().Add(-time.Minute)}) // a late duplicate
		w.Advance(missingAfter - 2*time.Minute)
		wantBlind(t, w, false)
		other()
		w.Resolve("Watchdog", "prometheus-b")
		wantBlind(t, w, true)
	})
}

func TestWatchdog_is_no_evidence(t *testing.T) {
	Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Fire("Watchdog", "web-1")
		w.Advance(time.Minute)
		w.Restart()
		w.Advance(time.Minute)
		if len(w.Rollbacks()) > 0 {
			t.Errorf("did %v", w.Did())
		}
	})
}

// TestBlind_while_alerts_counted_is_said_at_the_end: nobody may take a quiet watch for
// a good one.
func TestBlind_while_alerts_counted_is_said_at_the_end(t *testing.T) {
	for name, tt := range map[string]struct {
		barks []time.Duration
		want  []string
	}{
		"all the time":        {[]time.Duration{9, 18, 27, 36, 45, 54, 63, 69}, nil},
		"for a while":         {[]time.Duration{9, 18, 39, 48, 57, 63, 69}, []string{"the watch is over; monitoring was blind from ", "(11m"}},
		"at the end":          {[]time.Duration{9, 18, 27, 36, 45}, []string{"the watch is over; monitoring is blind since "}},
		"twice, and at last":  {[]time.Duration{9, 30, 50}, []string{"monitoring was blind 2 times, for 21m", ", and monitoring is blind since"}},
		"never seen, no more": {nil, []string{"monitoring is blind since "}},
	} {
		t.Run(name, func(t *testing.T) {
			Story(t, Setup{Monitoring: dog(t)}, func(t *testing.T, w *World) {
				begin := time.Now()
				w.Advance(30 * time.Second)
				w.OpenChange("CHG1", "web-1")
				if _, err := w.Server().Engine().PatchEnded(t.Context(), as("rita"), "CHG1", 0); err != nil {
					t.Fatal(err)
				}
				for _, minute := range tt.barks {
					w.Advance(time.Until(begin.Add(minute * time.Minute)))
					bark(t, w.Server())
				}
				w.Advance(time.Until(begin.Add(70 * time.Minute)))
				is := w.Change("CHG1").State
				var closing backout.Notice
				for _, n := range w.Inbox("ops").Notices() {
					if n.Moment == backout.MomentWindowClosed {
						closing = n
					}
				}
				if is != backout.ChangeClosed || closing.ID == "" {
					t.Fatalf("%s, told %v", is, w.Inbox("ops").Moments())
				}
				if tt.want == nil && (closing.Reason != "the watch is over" || closing.IfNobodyActs != "") {
					t.Errorf("told %+v", closing)
				}
				for _, part := range tt.want {
					if !strings.Contains(closing.Reason, part) || !strings.Contains(closing.IfNobodyActs, "look at the targets") {
						t.Errorf("%q is not in %q; %s", part, closing.Reason, closing.IfNobodyActs)
					}
				}
			})
		})
	}
}

func TestMonitoring_that_is_configured_later_has_its_time_too(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Advance(time.Hour)
		if status := blind(t, w.Server()); status.Watched || status.Blind {
			t.Errorf("%+v", status)
		}
		w.Reconfigure(func(s *Setup) { s.Monitoring = dog(t) })
		w.Advance(missingAfter - 10*time.Second)
		wantBlind(t, w, false)
		w.Reconfigure(func(s *Setup) { s.Monitoring = dog(t) }) // the same again
		w.Advance(30 * time.Second)
		wantBlind(t, w, true)
		w.Reconfigure(func(s *Setup) { s.Monitoring = nil })
		w.Advance(time.Minute)
		wantBlind(t, w, false)
	})
}
