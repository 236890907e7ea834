package simtest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// covered is how many records of both logs the snapshot that stands covers.
func (w *World) covered() uint64 {
	w.t.Helper()
	doc, err := w.Server().Store().Control.Get(w.t.Context(), "fold-snapshot")
	if err != nil {
		w.t.Fatal(err)
	}
	var at struct {
		Changes, Rollbacks struct{ Seq uint64 }
	}
	if err := json.Unmarshal(doc.Value, &at); err != nil {
		w.t.Fatal(err)
	}
	return at.Changes.Seq + at.Rollbacks.Seq
}

// twoLevels is a story through both levels, which a restart may come into after
// any of its minutes. Its end must be the same, and the laws hold: nothing lost,
// nothing twice, and every server thinks what the logs say.
func twoLevels(t *testing.T, every int, restart func(w *World, minute int)) {
	Story(t, Setup{SnapshotEvery: every}, func(t *testing.T, w *World) {
		w.Host("web-1").On("L1", Script{Takes: 3 * time.Minute})
		w.Host("web-1").On("L2", Script{Takes: 3 * time.Minute, Heals: true})
		w.OpenChange("CHG1", "web-1")
		w.OpenChange("CHG2", "web-2")
		w.Break("web-1")
		w.Fire("WebErrors", "web-1")
		for minute := range 40 {
			w.Advance(time.Minute)
			restart(w, minute)
		}
		w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
		w.Advance(10 * time.Minute)
		is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
		equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
		if w.covered() == 0 {
			t.Error("no snapshot was taken")
		}
	})
}

func TestSnapshot_of_any_moment_goes_on_as_the_logs_would(t *testing.T) {
	for _, every := range []int{1, 2, 5} {
		for name, again := range map[string]func(*World){
			"graceful": func(w *World) { w.Restart() },
			"crash":    func(w *World) { w.Crash(); w.Start() },
		} {
			t.Run(fmt.Sprint(name, " every ", every), func(t *testing.T) {
				twoLevels(t, every, func(w *World, minute int) {
					if minute%3 == 0 {
						again(w)
					}
				})
			})
		}
	}
}

func TestSnapshot_of_one_server_is_begun_from_by_another(t *testing.T) {
	twoLevels(t, 2, func(w *World, minute int) {
		switch minute {
		case 5, 25:
			s := w.Join(fmt.Sprint("server-", minute))
			if got := s.Engine().Ready(); got != nil {
				w.t.Error(got)
			}
		case 30:
			w.Restart()
		}
	})
}

func TestSnapshot_across_a_crash_at_any_append_loses_and_doubles_nothing(t *testing.T) {
	for n := range writes {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			Story(t, Setup{SnapshotEvery: 1}, func(t *testing.T, w *World) {
				w.Host("web-1").On("L2", Script{Takes: time.Minute, Heals: true})
				w.OpenChange("CHG1", "web-1")
				w.Break("web-1")
				w.Server().RefuseFrom(n + 1)
				w.Server().Post(Alert{Name: "WebErrors", Target: "web-1"})
				for range 33 {
					w.Advance(time.Minute)
					if w.Server().Stuck() {
						w.Crash()
						w.Start()
					}
				}
				w.Server().Post(Alert{Name: "WebErrors", Target: "web-1", Resolved: true})
				w.Advance(10 * time.Minute)
				w.Restart()
				w.Advance(10 * time.Minute)
				is(t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)
				equal(t, "did", []string{"web-1 L1", "web-1 L2"}, w.Did())
			})
		})
	}
}
