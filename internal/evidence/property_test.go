package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// delivery is one arrival of an alert.
type delivery struct {
	target string
	alert  *backout.Alert
}

func drawDelivery(t *rapid.T) delivery {
	d := delivery{target: rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "target")}
	fingerprint := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "fingerprint")
	start := float64(rapid.IntRange(0, 6).Draw(t, "start"))
	if rapid.Bool().Draw(t, "firing") {
		d.alert = firingSince(fingerprint, start)
		if rapid.Bool().Draw(t, "v2") {
			d.alert.EndsAt = at(start + float64(rapid.IntRange(20, 25).Draw(t, "end")))
		}
		return d
	}
	d.alert = resolved(fingerprint, start, start+float64(rapid.IntRange(0, 3).Draw(t, "end")))
	return d
}

// picture is everything the table can be asked, as text.
func picture(table *Table, now time.Time) string {
	text := fmt.Sprintln(red(table, "t1"), red(table, "t2"), table.Evidence(opened(2, "t1"), []string{"t2"}, now))
	for _, target := range []string{"t1", "t2"} {
		text += fmt.Sprintln(table.Flaps(target, "a", now), table.Flaps(target, "b", now))
		for minute := range 8 {
			text += fmt.Sprintln(table.FirstSince(target, at(float64(minute))))
		}
	}
	for minute := 20.0; minute <= 40; minute++ {
		text += fmt.Sprintln(minute, table.Expire(at(minute)))
	}
	return text
}

// TestTheOrderOfDeliveriesDoesNotMatter delivers the same set of firings and
// endings twice, in any order and any number of times, within the memory of the
// table.
func TestTheOrderOfDeliveriesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(drawDelivery), 1, 12).Draw(t, "deliveries")
		more := append(append([]delivery(nil), list...), rapid.SliceOfN(rapid.SampledFrom(list), 0, 12).Draw(t, "duplicates")...)
		shuffled := rapid.Permutation(more).Draw(t, "order")
		one, two := New(Options{StaleAfter: 30 * time.Minute}), New(Options{StaleAfter: 30 * time.Minute})
		one.Watch("t1", at(2), at(4))
		for _, d := range list {
			one.Observe(d.target, d.alert, at(10))
			check(t, one)
		}
		for _, d := range shuffled {
			two.Observe(d.target, d.alert, at(10))
			check(t, two)
		}
		two.Watch("t2", at(3)) // late, and none at all on t1: all is within what an hour remembers
		if diff := cmp.Diff(picture(one, at(10)), picture(two, at(10))); diff != "" {
			t.Errorf("another order, another table:\n%s", diff)
		}
	})
}

// TestRedIsWhatNoEndingHasCleared compares the table with its definition.
func TestRedIsWhatNoEndingHasCleared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(Options{})
		list := rapid.SliceOfN(rapid.Custom(drawDelivery), 0, 20).Draw(t, "deliveries")
		for i, d := range list {
			before := fmt.Sprint(red(table, d.target))
			changed := table.Observe(d.target, d.alert, at(10))
			if moved := before != fmt.Sprint(red(table, d.target)); changed != moved {
				t.Errorf("delivery %d: changed = %v, but red moved = %v", i, changed, moved)
			}
		}
		for _, target := range []string{"t1", "t2"} {
			for _, fingerprint := range []string{"a", "b"} {
				since, firing := table.FiringSince(target, fingerprint)
				wantSince, wantFiring := firingByDefinition(list, target, fingerprint)
				if firing != wantFiring || !since.Equal(wantSince) {
					t.Errorf("%s on %s: firing %v since %v, want %v since %v", fingerprint, target, firing, since, wantFiring, wantSince)
				}
			}
		}
	})
}

func firingByDefinition(list []delivery, target, fingerprint string) (since time.Time, firing bool) {
	var ended time.Time
	for _, d := range list {
		if d.target == target && d.alert.Fingerprint == fingerprint && !d.alert.Firing && d.alert.EndsAt.After(ended) {
			ended = d.alert.EndsAt
		}
	}
	for _, d := range list {
		if d.target != target || d.alert.Fingerprint != fingerprint || !d.alert.Firing || !d.alert.StartsAt.After(ended) {
			continue
		}
		if !firing || d.alert.StartsAt.Before(since) {
			since, firing = d.alert.StartsAt, true
		}
	}
	return since, firing
}

// TestFlapsAndFirstsAreWhatTheirDefinitionsSay compares what has been with a plain
// list of all deliveries.
func TestFlapsAndFirstsAreWhatTheirDefinitionsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(Options{})
		moment := at(float64(rapid.IntRange(0, 7).Draw(t, "moment")))
		table.Watch("t1", moment)
		list := rapid.SliceOfN(rapid.Custom(drawDelivery), 0, 16).Draw(t, "deliveries")
		for _, d := range list {
			table.Observe(d.target, d.alert, at(10))
		}
		for range rapid.IntRange(0, 2).Draw(t, "later") {
			table.Expire(at(float64(rapid.IntRange(10, 60).Draw(t, "expire"))))
		}
		var first time.Time
		for _, d := range list {
			if start := d.alert.StartsAt; d.target == "t1" && !start.Before(moment) && (first.IsZero() || start.Before(first)) {
				first = start
			}
		}
		if got, ok := table.FirstSince("t1", moment); !got.Equal(first) || ok == first.IsZero() {
			t.Errorf("first since %v: %v, %v, want %v", moment, got, ok, first)
		}
		for _, fingerprint := range []string{"a", "b"} {
			now := at(float64(rapid.IntRange(10, 69).Draw(t, "now")))
			if got, want := table.Flaps("t1", fingerprint, now), flapsByDefinition(list, "t1", fingerprint, now); got != want {
				t.Errorf("%d flaps of %s at %v, want %d", got, fingerprint, now, want)
			}
		}
	})
}

// flapsByDefinition counts the beginnings that follow an ending, with no other
// beginning between them.
func flapsByDefinition(list []delivery, target, fingerprint string, now time.Time) int {
	n := 0
	var turns []turn
	for _, d := range list {
		if d.target != target || d.alert.Fingerprint != fingerprint {
			continue
		}
		turns = append(turns, turn{at: d.alert.StartsAt})
		if !d.alert.Firing {
			turns = append(turns, turn{at: d.alert.EndsAt, end: true})
		}
	}
	turns = slices.DeleteFunc(turns, func(u turn) bool { return now.Sub(u.at) > time.Hour })
	slices.SortFunc(turns, turn.compare)
	turns = slices.Compact(turns)
	for i := 1; i < len(turns); i++ {
		n += count(turns[i-1].end && !turns[i].end)
	}
	return n
}

// TestTheTableHoldsTogether mixes everything, with a small memory and time going
// on.
func TestTheTableHoldsTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(Options{
			MaxAlerts: rapid.IntRange(2, 5).Draw(t, "alerts"), MaxPasts: rapid.IntRange(1, 3).Draw(t, "pasts"), MaxBytes: rapid.IntRange(300, 3000).Draw(t, "bytes"),
			Keep: func(string) bool { return rapid.Bool().Draw(t, "keep") }, StaleAfter: 5 * time.Minute,
		})
		now := 10.0
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			now += float64(rapid.IntRange(0, 2).Draw(t, "minutes"))
			if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
				table.Expire(at(now))
			} else {
				d := drawDelivery(t)
				table.Observe(d.target, d.alert, at(now))
			}
			if check(t, table); table.Len() > table.opts.MaxAlerts {
				t.Fatalf("%d alerts kept, more than %d", table.Len(), table.opts.MaxAlerts)
			}
			if table.Len() > 1 && table.Bytes() > table.opts.MaxBytes {
				t.Fatalf("%d bytes of %d alerts kept, more than %d", table.Bytes(), table.Len(), table.opts.MaxBytes)
			}
		}
	})
}
