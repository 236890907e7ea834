package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// nginx makes captures find a package of this version, and more.
func nginx(version string, more ...func(*backout.Inventory)) func(*backout.Inventory) {
	return func(i *backout.Inventory) {
		i.Packages = backout.PackageState{Manager: "rpm", Tool: "dnf 4.14.0", Installed: []backout.Package{{Name: "nginx", Version: version, Arch: "x86_64"}}}
		for _, edit := range more {
			edit(i)
		}
	}
}

const old, patched = "0:1.2-1", "0:1.2-2"

// patchedAndRed is a change whose target was patched, is red, and is green again
// after L1, whatever its inventory says.
func patchedAndRed(w *World) *Host {
	h := w.Host("web-1")
	h.On("L1", Script{Takes: time.Minute, Heals: true})
	h.Looks(nginx(old))
	w.OpenChange("CHG1", "web-1")
	h.Looks(nginx(patched))
	w.Break("web-1")
	w.Fire("WebErrors", "web-1")
	w.Resolve("WebErrors", "web-1")
	return h
}

func TestTarget_is_back_only_when_its_patch_is_gone(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		w.Advance(10 * time.Minute)
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackVerifying)
		if state := r.Targets[0]; !strings.Contains(state.Red, "not back to its baseline") || !strings.Contains(state.Red, patched) || state.Drift == nil {
			t.Errorf("red %q, drift %+v", state.Red, state.Drift)
		}
		before := h.Captures()
		w.Advance(time.Minute)
		if n := h.Captures() - before; n < 1 || n > 4 {
			t.Errorf("compared %d times in a minute, looked at every 15 s", n)
		}
		records := w.Logs().Records("CHG1-r1")
		w.Advance(time.Minute)
		if n := w.Logs().Records("CHG1-r1") - records; n != 0 {
			t.Errorf("%d records say again that it is not back", n)
		}

		h.Looks(nginx(old))
		w.Advance(time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackVerifying) // it has to hold again
		w.Advance(3 * time.Minute)
		r = w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackRecovered)
		found := r.Targets[0].Drift
		if found == nil || found.Verdict != backout.DriftNone {
			t.Fatalf("drift %+v", found)
		}
		report, err := w.Server().Engine().DriftReport(t.Context(), found.Report)
		if err != nil || report.Target != "web-1" || report.Verdict != found.Verdict || report.Baseline != r.Targets[0].Baseline {
			t.Errorf("report %+v %v", report, err)
		}
	})
}

func TestPatch_that_stays_is_escalated(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		patchedAndRed(w)
		w.Host("web-1").On("L2", Script{Takes: time.Minute, Heals: true})
		w.Advance(31 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		w.Host("web-1").Looks(nginx(old))
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

func TestTarget_that_cannot_be_captured_is_red(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		h.SetUnread("rpmdb: database is locked")
		w.Advance(10 * time.Minute)
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackVerifying)
		var reds []string
		for _, entry := range w.Logs().Rollbacks {
			for _, ev := range entry.Record.Events {
				if red, ok := ev.(backout.TargetRed); ok {
					reds = append(reds, red.Reason)
				}
			}
		}
		if said := strings.Join(reds, "; "); !strings.Contains(said, "its drift cannot be told") || !strings.Contains(said, "rpmdb") {
			t.Errorf("red of %q", said)
		}
		h.Looks(nginx(old))
		h.SetUnread("")
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
	})
}

func TestTarget_that_drifted_is_back_and_people_are_told(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		h.Looks(nginx(old, func(i *backout.Inventory) {
			i.Packages.Installed = append(i.Packages.Installed, backout.Package{Name: "strace", Version: "0:6.1-1", Arch: "x86_64"})
		}))
		w.Advance(10 * time.Minute)
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackRecovered)
		if found := r.Targets[0].Drift; found == nil || found.Verdict != backout.DriftSome || !strings.Contains(found.Summary, "strace") {
			t.Errorf("drift %+v", found)
		}
		if told := strings.Join(w.Inbox("web-team").Moments(), ", "); !strings.Contains(told, "drift L1") {
			t.Errorf("web-team read %s", told)
		}
	})
}

func TestHealthy_target_is_compared_once_when_it_has_held(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		h.Looks(nginx(old))
		w.Advance(2 * time.Minute)
		before := h.Captures()
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		if n := h.Captures() - before; n != 1 {
			t.Errorf("compared %d times", n)
		}
	})
}

func TestDrift_by_hand_works_after_the_end(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		h.Looks(nginx(old))
		w.Advance(10 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		h.Looks(nginx(patched))
		found, err := w.Server().Engine().Drift(t.Context(), as("ann"), "CHG1", nil)
		if err != nil || len(found) != 1 || found[0].Verdict != backout.DriftNotBack {
			t.Fatalf("%+v %v", found, err)
		}
		h.SetUnread("rpmdb: database is locked")
		if found, err := w.Server().Engine().Drift(t.Context(), as("ann"), "CHG1", []string{"web-1"}); err == nil {
			t.Errorf("an unreadable target gave %+v", found)
		}
		if _, err := w.Server().Engine().Drift(t.Context(), as("ann"), "CHG1", []string{"db-1"}); err == nil {
			t.Error("a target of no baseline was compared")
		}
	})
}

func TestStep_that_undoes_the_delta_begins_when_it_is_known(t *testing.T) {
	Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
		h := patchedAndRed(w)
		h.Looks(nginx(old))
		w.Advance(10 * time.Minute)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		var known, began time.Time
		for _, entry := range w.Logs().Changes {
			for _, ev := range entry.Record.Events {
				if _, ok := ev.(backout.DeltaCaptured); ok && known.IsZero() {
					known = entry.Record.At
				}
			}
		}
		for _, entry := range w.Logs().Rollbacks {
			for _, ev := range entry.Record.Events {
				if _, ok := ev.(backout.StepStarted); ok && began.IsZero() {
					began = entry.Record.At
				}
			}
		}
		if known.IsZero() || began.Before(known) {
			t.Errorf("the step began at %v, the delta was known at %v", began, known)
		}
		found, err := w.Server().Engine().Delta(t.Context(), "CHG1", "web-1")
		if err != nil || len(found.Packages) != 1 || found.Packages[0].To != patched {
			t.Errorf("delta %+v %v", found, err)
		}
	})
}

func TestStep_waits_for_the_delta_of_a_target_that_is_away(t *testing.T) {
	Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
		h := w.Host("web-1")
		h.On("L1", Script{Heals: true})
		h.Looks(nginx(old))
		w.OpenChange("CHG1", "web-1")
		h.Looks(nginx(patched))
		h.SetOffline(true)
		w.Fire("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		equal(t, "did while it was away", []string{}, w.Did())
		h.SetOffline(false)
		w.Advance(time.Minute)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestStep_without_a_delta_to_be_had_fails_at_once(t *testing.T) {
	Story(t, Setup{WantsDelta: true}, func(t *testing.T, w *World) {
		h := w.Host("web-1")
		h.On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		h.Looks(nginx("no version"))
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		equal(t, "did", []string{}, w.Did())
		r := w.Rollback("CHG1-r1")
		is(t, r, backout.RollbackExhausted)
		if why := r.Targets[0].Failure; !strings.Contains(why, "not begun, what the patch changed is not known") {
			t.Errorf("failed of %q", why)
		}
	})
}
