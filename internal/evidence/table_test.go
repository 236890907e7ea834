package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

var t0 = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return t0.Add(time.Duration(minutes * float64(time.Minute))) }

// firingSince is a webhook's firing: it names no end.
func firingSince(fingerprint string, start float64) *backout.Alert {
	return &backout.Alert{Fingerprint: fingerprint, Firing: true, Labels: map[string]string{"alertname": "A-" + fingerprint}, StartsAt: at(start)}
}

func until(a *backout.Alert, end float64) *backout.Alert {
	copied := *a
	copied.EndsAt = at(end)
	return &copied
}

func resolved(fingerprint string, start, end float64) *backout.Alert {
	a := until(firingSince(fingerprint, start), end)
	a.Firing = false
	return a
}

func red(table *Table, target string) []string {
	var list []string
	for _, a := range table.Red(target) {
		list = append(list, fmt.Sprintf("%s@%v", a.Fingerprint, a.StartsAt.Sub(t0).Minutes()))
	}
	return list
}

func wantRed(t *testing.T, table *Table, target string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, red(table, target)); diff != "" {
		t.Errorf("red on %s (-want +got):\n%s", target, diff)
	}
}

// TestObserve tells stories of deliveries: each step, whether it changes
// anything, and who is red after it.
func TestObserve(t *testing.T) {
	type step struct {
		alert   *backout.Alert
		at      float64
		changed bool
		red     []string
	}
	for name, steps := range map[string][]step{
		"fires and resolves": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{resolved("a", 1, 5), 6, true, nil},
		},
		"repetitions count once": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{firingSince("a", 1), 3, false, []string{"a@1"}},
			{until(firingSince("a", 1), 9), 4, false, []string{"a@1"}},
			{resolved("a", 1, 5), 6, true, nil},
			{resolved("a", 1, 5), 7, false, nil},
		},
		"a late duplicate of what has ended": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{resolved("a", 1, 5), 6, true, nil},
			{firingSince("a", 1), 7, false, nil},
		},
		"the ending comes first": {
			{resolved("a", 1, 5), 6, false, nil},
			{firingSince("a", 1), 6.5, false, nil},
		},
		"fires again": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{resolved("a", 1, 5), 6, true, nil},
			{firingSince("a", 6), 6.5, true, []string{"a@6"}},
		},
		"an ending older than a newer firing does not clear it": {
			{firingSince("a", 6), 7, true, []string{"a@6"}},
			{resolved("a", 1, 5), 8, false, []string{"a@6"}},
		},
		"an ending clears the older of two firings": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{firingSince("a", 6), 7, false, []string{"a@1"}},
			{resolved("a", 1, 5), 8, true, []string{"a@6"}},
			{resolved("a", 6, 9), 10, true, nil},
		},
		"two replicas see the same failure seconds apart": {
			{firingSince("a", 1.5), 2, true, []string{"a@1.5"}},
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{resolved("a", 1.5, 5), 5, true, nil},
			{resolved("a", 1, 5.2), 6, false, nil},
		},
		"red again with the old start, after the ending is forgotten": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{resolved("a", 1, 5), 5, true, nil},
			{firingSince("a", 1), 6.9, false, nil},
			{firingSince("a", 1), 7, true, []string{"a@1"}},
		},
		"a repeated ending is not remembered longer": {
			{resolved("a", 1, 5), 5, false, nil},
			{resolved("a", 1, 5), 6.9, false, nil},
			{firingSince("a", 1), 7, true, []string{"a@1"}},
		},
		"an ending without a time ends on arrival": {
			{firingSince("a", 1), 2, true, []string{"a@1"}},
			{&backout.Alert{Fingerprint: "a", StartsAt: at(1)}, 5, true, nil},
			{firingSince("a", 5.5), 6, true, []string{"a@5.5"}},
		},
		"several alerts, oldest first": {
			{firingSince("b", 3), 3, true, []string{"b@3"}},
			{firingSince("c", 1), 3, true, []string{"c@1", "b@3"}},
			{firingSince("a", 3), 3, true, []string{"c@1", "a@3", "b@3"}},
			{resolved("c", 1, 4), 4, true, []string{"a@3", "b@3"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := New(Options{})
			for i, s := range steps {
				if got := table.Observe("web-1", s.alert, at(s.at)); got != s.changed {
					t.Errorf("step %d: changed = %v, want %v", i, got, s.changed)
				}
				if diff := cmp.Diff(s.red, red(table, "web-1")); diff != "" {
					t.Errorf("step %d: red (-want +got):\n%s", i, diff)
				}
				check(t, table)
			}
			wantRed(t, table, "web-2")
		})
	}
}

func TestTheSameFingerprintOnTwoTargetsIsTwoAlerts(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", firingSince("a", 1), at(1))
	table.Observe("web-2", firingSince("a", 1), at(1))
	table.Observe("web-1", resolved("a", 1, 2), at(2))
	wantRed(t, table, "web-1")
	wantRed(t, table, "web-2", "a@1")
	if table.RedTargets() != 1 {
		t.Errorf("%d red targets, want 1", table.RedTargets())
	}
}

func TestAnAlertOnNoTargetIsNotKept(t *testing.T) {
	table := New(Options{})
	if table.Observe("", firingSince("a", 1), at(1)) || table.Len() != 0 {
		t.Error("kept an alert on no target")
	}
}

func TestFiringSinceAndResolved(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", firingSince("a", 2), at(3))
	table.Observe("web-1", firingSince("a", 1), at(3))
	table.Observe("web-1", resolved("b", 1, 2), at(3))
	if since, ok := table.FiringSince("web-1", "a"); !ok || !since.Equal(at(1)) {
		t.Errorf("a is firing since %v, %v", since, ok)
	}
	if _, ok := table.FiringSince("web-1", "b"); ok {
		t.Error("b is firing")
	}
	for _, test := range []struct {
		target       string
		fingerprints []string
		want         bool
	}{
		{"web-1", []string{"a"}, false},
		{"web-1", []string{"b", "a"}, false},
		{"web-1", []string{"b", "never seen"}, true},
		{"web-1", nil, false},
		{"web-2", nil, true},
		{"web-2", []string{"a"}, true},
	} {
		if got := table.Resolved(test.target, test.fingerprints); got != test.want {
			t.Errorf("Resolved(%s, %v) = %v, want %v", test.target, test.fingerprints, got, test.want)
		}
	}
}

func TestExpire(t *testing.T) {
	table := New(Options{StaleAfter: 10 * time.Minute})
	table.Observe("web-1", until(firingSince("v2", 0), 4), at(0))
	table.Observe("web-2", firingSince("hook", 0), at(0))
	table.Observe("web-3", until(firingSince("both", 0), 4), at(0))
	table.Observe("web-3", firingSince("both", 0), at(1))
	table.Observe("web-4", until(firingSince("kept", 0), 4), at(0))
	table.Observe("web-4", until(firingSince("kept", 0), 8), at(3))
	for _, step := range []struct {
		at   float64
		want []string
	}{{3.9, nil}, {4, []string{"web-1"}}, {8, []string{"web-4"}}, {10, []string{"web-2"}}, {11, []string{"web-3"}}, {99, nil}} {
		if diff := cmp.Diff(step.want, table.Expire(at(step.at))); diff != "" {
			t.Errorf("expired at %v (-want +got):\n%s", step.at, diff)
		}
		check(t, table)
	}
	if table.Len() != 0 {
		t.Errorf("%d alerts left", table.Len())
	}
	if !table.Observe("web-1", until(firingSince("v2", 0), 120), at(100)) {
		t.Error("an expired alert that is confirmed again, with the old start, is not red")
	}
}

func TestAnEndingShortensTheExpiryToWhatIsLeft(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", until(firingSince("a", 1), 60), at(1))
	table.Observe("web-1", until(firingSince("a", 6), 10), at(7))
	table.Observe("web-1", resolved("a", 1, 5), at(8))
	if diff := cmp.Diff([]string{"web-1"}, table.Expire(at(10))); diff != "" {
		t.Errorf("expired (-want +got):\n%s", diff)
	}
}

func TestExpireForgetsEndings(t *testing.T) {
	table := New(Options{})
	table.Observe("web-1", resolved("a", 1, 2), at(2))
	table.Observe("web-1", resolved("b", 1, 2), at(3))
	table.Expire(at(4))
	if table.Len() != 1 {
		t.Errorf("%d remembered, want 1", table.Len())
	}
	table.Expire(at(5))
	if table.Len() != 0 {
		t.Errorf("%d remembered, want 0", table.Len())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	table := New(Options{MaxAlerts: 3})
	table.Observe("t", resolved("old", 1, 2), at(2))
	table.Observe("t", firingSince("a", 1), at(2))
	table.Observe("t", resolved("newer", 1, 2), at(2))
	table.Observe("t", firingSince("b", 1), at(2))
	wantRed(t, table, "t", "a@1", "b@1")
	if _, kept := table.alerts[key{"t", "old"}]; kept || table.Len() != 3 || table.Evicted() != 0 {
		t.Errorf("the oldest ending is kept: %v; %d alerts, %d evicted", kept, table.Len(), table.Evicted())
	}
	table.Observe("t", firingSince("c", 1), at(2))
	wantRed(t, table, "t", "a@1", "b@1", "c@1")
	table.Observe("t", resolved("d", 1, 2), at(2))
	wantRed(t, table, "t", "a@1", "b@1", "c@1")
	table.Observe("t", until(firingSince("e", 1), 3), at(2))
	table.Observe("t", firingSince("f", 1), at(2))
	if table.Evicted() != 2 || table.Len() != 3 || !table.Resolved("t", []string{"e"}) {
		t.Errorf("%d evicted, %d alerts, red %v", table.Evicted(), table.Len(), red(table, "t"))
	}
	check(t, table)
}

func TestManyStartsOfOneAlertAreBounded(t *testing.T) {
	table := New(Options{})
	for i := 20; i > 0; i-- {
		table.Observe("t", firingSince("a", float64(i)), at(30))
	}
	wantRed(t, table, "t", "a@1")
	table.Observe("t", firingSince("a", 50), at(50))
	table.Observe("t", resolved("a", 1, 49), at(50))
	wantRed(t, table, "t", "a@50")
}

// check holds the table's parts against each other.
func check(t interface {
	Helper()
	Errorf(string, ...any)
}, table *Table,
) {
	t.Helper()
	firing, bytes := 0, 0
	for k, e := range table.alerts {
		bytes += e.bytes()
		for _, f := range e.firings {
			if bytes += f.bytes; f.bytes != alertSize(f.alert) {
				t.Errorf("%v: counted %d bytes, has %d", k, f.bytes, alertSize(f.alert))
			}
		}
		inList := e.place < len(table.targets[e.target]) && table.targets[e.target][e.place] == e
		inHeap := e.heapPlace >= 0 && e.heapPlace < len(table.due) && table.due[e.heapPlace] == e
		isRed := len(e.firings) > 0
		if k != e.key || inList != isRed || inHeap != isRed || e.chained == isRed {
			t.Errorf("%v: red %v, in list %v, in heap %v, chained %v", k, isRed, inList, inHeap, e.chained)
		}
		if isRed {
			firing++
			if e.dueAt.After(e.expires()) {
				t.Errorf("%v is looked at %v, after it expires %v", k, e.dueAt, e.expires())
			}
		}
	}
	if table.Bytes() != bytes {
		t.Errorf("%d bytes counted, %d there", table.Bytes(), bytes)
	}
	listed := 0
	for target, list := range table.targets {
		if listed += len(list); len(list) == 0 {
			t.Errorf("empty target %s", target)
		}
	}
	if firing != listed || firing != len(table.due) {
		t.Errorf("%d firing, %d listed, %d due", firing, listed, len(table.due))
	}
	checkPasts(t, table)
	chained, previous := 0, (*entry)(nil)
	for e := table.ended.oldest; e != nil; previous, e = e, e.newer {
		if chained++; e.older != previous {
			t.Errorf("%v: the chain of endings is broken backwards", e.key)
		}
	}
	if chained != len(table.alerts)-firing || table.ended.newest != previous {
		t.Errorf("%d chained, %d ended", chained, len(table.alerts)-firing)
	}
}

// checkPasts holds what has been against itself.
func checkPasts(t interface {
	Helper()
	Errorf(string, ...any)
}, table *Table,
) {
	t.Helper()
	listed := 0
	for target, on := range table.pasts.byTarget {
		if listed += len(on); len(on) == 0 {
			t.Errorf("empty past of %s", target)
		}
		for fingerprint, p := range on {
			if p.place.Value != p || p.key != (key{target, fingerprint}) || len(p.turns) > maxTurns || !slices.IsSortedFunc(p.turns, turn.compare) {
				t.Errorf("past of %v is wrong: %+v", p.key, p)
			}
		}
	}
	if n := table.pasts.order.Len(); n != listed || n > table.opts.MaxPasts {
		t.Errorf("%d pasts in order, %d by target, at most %d", n, listed, table.opts.MaxPasts)
	}
}

// TestAlertsAboutBackoutMakeNothingRed: a rollback that was told to an Alertmanager and
// comes back from it is no evidence, and keeps no target from counting as recovered.
func TestAlertsAboutBackoutMakeNothingRed(t *testing.T) {
	table := New(Options{})
	a := firingSince("own", 1)
	a.Labels["alertname"] = backout.OwnAlertPrefix + "RollbackHeld"
	if table.Observe("web1", a, at(2)) || len(table.Red("web1")) != 0 {
		t.Errorf("it is red: %v", red(table, "web1"))
	}
	a.Labels["alertname"] = "NotBackout"
	if !table.Observe("web1", a, at(2)) || len(table.Red("web1")) != 1 {
		t.Error("another alert makes nothing red")
	}
}
