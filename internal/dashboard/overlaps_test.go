package dashboard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

var someDay = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// windowOf is a change whose alerts count for so many hours.
func windowOf(id string, from, hours int, targets ...string) *backout.Change {
	opens := someDay.Add(time.Duration(from) * time.Hour)
	return &backout.Change{State: backout.ChangePlanned, ChangeSpec: backout.ChangeSpec{
		ID: id, Targets: targets, Window: backout.Window{Opens: opens, Closes: opens.Add(time.Duration(hours) * time.Hour)},
	}}
}

// TestOverlapsAreAllThereAre: whatever the windows, each change meets exactly those that
// share a target and a moment with it.
func TestOverlapsAreAllThereAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		var changes []*backout.Change
		for i := range rapid.IntRange(0, 12).Draw(t, "changes") {
			targets := rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(t, "targets")
			changes = append(changes, windowOf(fmt.Sprint("C", i), rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(1, 6).Draw(t, "hours"), targets...))
		}
		shared := func(x, y *backout.Change) (out []string) {
			if x == y || !x.Window.Opens.Before(y.Window.Closes) || !y.Window.Opens.Before(x.Window.Closes) {
				return nil
			}
			for _, name := range names {
				if slices.Contains(x.Targets, name) && slices.Contains(y.Targets, name) {
					out = append(out, name)
				}
			}
			return out
		}
		o := overlapsOf(changes, someDay)
		meeting, pairs, wanted := 0, 0, map[string]bool{}
		for _, c := range changes {
			wanted[c.ID] = true
		}
		for _, c := range changes {
			want, got := map[string]int{}, map[string]int{}
			for _, other := range changes {
				if n := len(shared(c, other)); n > 0 {
					want[other.ID] = n
				}
			}
			list, more := o.with(c.ID, 100)
			for _, overlap := range list {
				got[overlap.With] = len(overlap.Targets) + overlap.MoreTargets
			}
			if diff := cmp.Diff(want, got); diff != "" || more != 0 {
				t.Fatalf("%s (-want +got), %d more:\n%s", c.ID, more, diff)
			}
			if _, more := o.with(c.ID, 1); more != max(len(want)-1, 0) {
				t.Fatalf("%s: of %d overlaps %d are more than one", c.ID, len(want), more)
			}
			pairs += len(want)
			meeting += min(len(want), 1)
		}
		if got := o.count(wanted); got != meeting {
			t.Fatalf("%d changes overlap, want %d", got, meeting)
		}
		all, more := o.first(wanted, 1000)
		if len(all) != pairs/2 || more {
			t.Fatalf("%d pairs, want %d; more: %v", len(all), pairs/2, more)
		}
		if some, more := o.first(wanted, 1); len(some) != min(pairs/2, 1) || more != (pairs/2 > 1) {
			t.Fatalf("%d pairs of %d, more: %v", len(some), pairs/2, more)
		}
	})
}

// TestWhatCannotMeetDoesNotOverlap: a window that was withdrawn, or missed, is nobody's
// concern; one that is live lasts until now at least.
func TestWhatCannotMeetDoesNotOverlap(t *testing.T) {
	cancelled, missed, live := windowOf("X", 0, 4, "a"), windowOf("M", -9, 4, "a"), windowOf("L", -9, 1, "a")
	cancelled.State = backout.ChangeCancelled
	live.State, live.OpenedAt = backout.ChangeBackingOut, someDay.Add(-9*time.Hour)
	o := overlapsOf([]*backout.Change{cancelled, missed, live, windowOf("N", 1, 2, "a"), windowOf("P", -2, 3, "a"), {State: backout.ChangePlanned}, windowOf("I", -2, 0, "a")}, someDay)
	all, _ := o.first(map[string]bool{"P": true}, 10)
	if none, _ := o.first(map[string]bool{"N": true}, 10); len(none) != 0 || o.count(map[string]bool{"L": true, "N": true}) != 1 {
		t.Errorf("of others: %+v", none)
	}
	if len(all) != 1 || all[0].ID != "L" || all[0].With != "P" || !all[0].From.Equal(someDay.Add(-2*time.Hour)) || !all[0].Until.Equal(someDay) {
		t.Errorf("%+v", all)
	}
}
