package simtest

import (
	"net/http"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

func TestStore_that_refuses_writes_asks_senders_to_come_again_and_loses_no_outcome(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Takes: 5 * time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Server().RefuseWrites(true)
		if code := w.Server().Post(Alert{Name: "WebErrors", Target: "web-2"}); code != http.StatusServiceUnavailable {
			t.Errorf("answer %d while nothing can be stored, want 503", code)
		}
		w.Advance(10 * time.Minute) // the step ends, and nobody can write it down
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		w.Server().RefuseWrites(false)
		if code := w.Server().Post(Alert{Name: "WebErrors", Target: "web-2"}); code != http.StatusOK {
			t.Errorf("answer %d", code)
		}
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1", "web-2 L1"}, w.Did())
	})
}

func TestStep_that_could_not_be_claimed_runs_when_the_store_returns(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().RefuseFrom(3) // requested, opened, and no claim
		w.Fire("WebErrors", "web-1")
		w.Advance(5 * time.Minute)
		equal(t, "did", []string{}, w.Did())
		w.Server().RefuseWrites(false)
		w.Advance(15 * time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestRollback_that_could_not_be_opened_opens_when_the_store_returns(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Server().RefuseFrom(2) // requested in the change's log, no log of its own
		w.Fire("WebErrors", "web-1")
		w.Advance(time.Minute)
		w.Server().RefuseWrites(false)
		w.Advance(15 * time.Second)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestDeadline_that_passes_while_the_store_refuses_fires_afterwards(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(25 * time.Minute)
		w.Server().RefuseWrites(true)
		w.Advance(10 * time.Minute)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
		w.Server().RefuseWrites(false)
		w.Advance(15 * time.Second)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
	})
}

func TestNotifier_that_is_down_delays_nothing_and_its_notices_arrive_later_in_order(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Inbox("web-team").SetDown(true)
		w.Host("web-1").On("L2", Script{Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Advance(30 * time.Minute)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		equal(t, "managers read", []string{"escalated L1", "level_started L2"}, w.Inbox("managers").Moments())
		equal(t, "web-team read", []string{}, w.Inbox("web-team").Moments())
		w.Restart() // what waits is on disk
		w.Inbox("web-team").SetDown(false)
		w.Advance(5 * time.Minute)
		equal(t, "web-team read", []string{"red", "level_started L1", "escalated L1"}, w.Inbox("web-team").Moments())
	})
}

func TestConnection_that_is_lost_is_attached_to_again(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Takes: 5 * time.Minute, Heals: true, Drops: 4})
		w.OpenChange("CHG1", "web-1")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		w.Resolve("WebErrors", "web-1")
		w.Advance(2 * time.Minute)
		w.Host("web-1").SetOffline(true)
		w.Advance(6 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRunning)
		w.Host("web-1").SetOffline(false)
		w.Advance(5 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1"}, w.Did())
	})
}

func TestTarget_that_cannot_be_reached_does_not_hold_up_the_others(t *testing.T) {
	Story(t, Setup{Rules: AutoRule + "        scope: change\n"}, func(t *testing.T, w *World) {
		w.Host("web-2").On("L1", Script{Heals: true})
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Host("web-1").SetOffline(true)
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-2")
		w.Resolve("WebErrors", "web-2")
		w.Advance(5 * time.Minute)
		r := w.Rollback("CHG1-r1")
		if p := r.Target("web-2").Phase; p != backout.TargetRecovered {
			t.Errorf("web-2 is %s", p)
		}
	})
}
