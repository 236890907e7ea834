package evidence

import (
	"fmt"
	"testing"
	"time"
)

func TestFlaps(t *testing.T) {
	for name, test := range map[string]struct {
		alerts    []func(table *Table)
		at        float64
		wantFlaps int
	}{
		"red once":          {sent(fires(1), ends(1, 5)), 6, 0},
		"back once":         {sent(fires(1), ends(1, 5), fires(6)), 6, 1},
		"gone again counts": {sent(fires(1), ends(1, 5), fires(6), ends(6, 7)), 8, 1},
		"back twice":        {sent(fires(1), ends(1, 5), fires(6), ends(6, 7), fires(8)), 9, 2},
		"two replicas see the same": {
			sent(fires(1), fires(1.2), ends(1, 5), ends(1.2, 5.2), fires(6), fires(6.2)), 7, 1,
		},
		"repetitions count once":             {sent(fires(1), fires(1), ends(1, 5), ends(1, 5), fires(6), fires(6), ends(1, 5)), 7, 1},
		"the ending comes late":              {sent(fires(6), fires(1), ends(1, 5)), 7, 1},
		"only endings arrive":                {sent(ends(1, 5), ends(6, 7)), 8, 1},
		"a confirmed firing is none":         {sent(fires(1), fires(1), fires(1)), 7, 0},
		"an hour later it is not worth much": {sent(fires(1), ends(1, 5), fires(6), ends(6, 50), fires(51)), 66, 1},
		"two hours later, nothing":           {sent(fires(1), ends(1, 5), fires(6)), 126, 0},
		"the memory of an ending is shorter": {sent(fires(1), ends(1, 5), expires(9), fires(10)), 10, 1},
	} {
		t.Run(name, func(t *testing.T) {
			table := New(Options{})
			for _, send := range test.alerts {
				send(table)
				check(t, table)
			}
			if got := table.Flaps("web-1", "a", at(test.at)); got != test.wantFlaps {
				t.Errorf("%d flaps, want %d", got, test.wantFlaps)
			}
			if table.Flaps("web-2", "a", at(test.at)) != 0 || table.Flaps("web-1", "b", at(test.at)) != 0 {
				t.Error("another target, or another alert, flaps too")
			}
		})
	}
}

func sent(list ...func(*Table)) []func(*Table) { return list }

func fires(start float64) func(*Table) {
	return func(table *Table) { table.Observe("web-1", firingSince("a", start), at(start)) }
}

func ends(start, end float64) func(*Table) {
	return func(table *Table) { table.Observe("web-1", resolved("a", start, end), at(end)) }
}

func expires(minute float64) func(*Table) {
	return func(table *Table) { table.Expire(at(minute)) }
}

func wantFirst(t *testing.T, table *Table, since, want float64) {
	t.Helper()
	got, ok := table.FirstSince("web-1", at(since))
	if !ok || !got.Equal(at(want)) {
		t.Errorf("first red since minute %v: %v, %v, want minute %v", since, got, ok, want)
	}
}

func TestTheFirstRedIsRememberedWhateverBecameOfIt(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", firingSince("early", 1), at(1))
	table.Watch("web-1", at(2), at(10), at(10))
	table.Observe("web-1", resolved("brief", 11, 12), at(12))
	table.Observe("web-1", firingSince("during", 3), at(13))
	table.Observe("web-1", firingSince("after", 14), at(14))
	for _, minute := range []float64{14, 200, 3000} {
		table.Expire(at(minute))
		check(t, table)
		wantFirst(t, table, 2, 3)
		wantFirst(t, table, 10, 11)
	}
	if table.Len() != 0 || table.pasts.order.Len() != 0 {
		t.Errorf("%d alerts and %d pasts are left", table.Len(), table.pasts.order.Len())
	}
	table.Watch("web-1", at(10), at(14))
	wantFirst(t, table, 10, 11)
	if _, ok := table.FirstSince("web-1", at(2)); ok {
		t.Error("what is not watched any more is remembered")
	}
	table.Watch("web-1")
	if len(table.watched) != 0 {
		t.Error("a target that nobody watches is kept")
	}
}

func TestWatchingBeginsWithWhatIsKnown(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", firingSince("red", 9), at(9))
	table.Observe("web-1", resolved("brief", 5, 6), at(6))
	table.Expire(at(20)) // the ending itself is forgotten
	table.Watch("web-1", at(4), at(7))
	wantFirst(t, table, 4, 5)
	wantFirst(t, table, 7, 9)
	wantFirst(t, table, 6, 9)
}

func TestWhatHasBeenIsBounded(t *testing.T) {
	table := New(Options{MaxPasts: 3})
	for i := range 50 {
		minute := float64(i)
		table.Observe("web-1", firingSince("a", minute), at(minute))
		table.Observe("web-1", resolved("a", minute, minute+0.5), at(minute+0.5))
		check(t, table)
	}
	if got := table.Flaps("web-1", "a", at(50)); got != maxTurns/2-1 {
		t.Errorf("%d flaps, want as many as are remembered, %d", got, maxTurns/2-1)
	}
	for i := range 5 {
		table.Observe("web-1", resolved(fmt.Sprint("b", i), 1, 2), at(51))
		check(t, table)
	}
	if table.Flaps("web-1", "a", at(51)) != 0 {
		t.Error("the oldest past was not the one that made room")
	}
}

func TestStrangersHaveNoPast(t *testing.T) {
	table := New(Options{Keep: func(string) bool { return false }})
	for _, send := range sent(fires(1), ends(1, 5), fires(6)) {
		send(table)
	}
	if table.Flaps("web-1", "a", at(7)) != 0 || table.pasts.order.Len() != 0 {
		t.Error("a past is kept")
	}
}

// TestConfirmingIsNotRemembering: what comes every minute leaves no trace but the
// alert itself.
func TestConfirmingIsNotRemembering(t *testing.T) {
	table := New(Options{})
	a := firingSince("a", 1)
	table.Observe("web-1", a, at(1))
	if n := testing.AllocsPerRun(100, func() { table.Observe("web-1", a, at(2)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if _, ok := table.FirstSince("web-1", at(1).Add(time.Nanosecond)); ok {
		t.Error("red since a moment at which it was red already")
	}
}
