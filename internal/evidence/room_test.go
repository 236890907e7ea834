package evidence

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func wordy(fingerprint string, start float64, text string) *backout.Alert {
	a := firingSince(fingerprint, start)
	a.Annotations, a.GeneratorURL = map[string]string{"summary": text}, text
	a.Labels["pod"] = "p"
	return a
}

func TestStrangersCostLittle(t *testing.T) {
	table := New(Options{Keep: func(target string) bool { return target == "known" }})
	long := strings.Repeat("x", 1<<20)
	for _, target := range []string{"known", "stranger"} {
		table.Observe(target, wordy("a", 1, long), at(1))
	}
	whole := table.Red("known")[0]
	if diff := cmp.Diff(wordy("a", 1, long), whole); diff != "" {
		t.Errorf("on a known target (-want +got):\n%s", diff)
	}
	want := &backout.Alert{Fingerprint: "a", Firing: true, Labels: map[string]string{"alertname": "A-a"}, StartsAt: at(1)}
	if diff := cmp.Diff(want, table.Red("stranger")[0]); diff != "" {
		t.Errorf("on a stranger (-want +got):\n%s", diff)
	}
	table.Observe("stranger", until(wordy("a", 1, long), 30), at(2))
	want.EndsAt = at(30)
	if diff := cmp.Diff(want, table.Red("stranger")[0]); diff != "" {
		t.Errorf("on a stranger, with an end (-want +got):\n%s", diff)
	}
	check(t, table)
}

// TestNothingOfARequestStays gives alerts whose strings are parts of large
// requests, as a decoder that copies nothing would.
func TestNothingOfARequestStays(t *testing.T) {
	const requests, size = 50, 4 << 20
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	table := New(Options{Keep: func(string) bool { return false }})
	before := heap()
	for i := range requests {
		words := strings.Fields(fmt.Sprintf("host-%d %016x name pod %s", i, i, strings.Repeat("x", size)))
		table.Observe(words[0], &backout.Alert{
			Fingerprint: words[1], Firing: true, Labels: map[string]string{"alertname": words[2], "pod": words[3]},
			Annotations: map[string]string{"summary": words[4]}, StartsAt: at(1),
		}, at(1))
		if i%2 == 0 {
			table.Observe(words[0], &backout.Alert{Fingerprint: words[1], EndsAt: at(2)}, at(2))
		}
	}
	if grown := int64(heap()) - int64(before); grown > size {
		t.Errorf("%d requests of %d bytes left %d bytes behind", requests, size, grown)
	}
	runtime.KeepAlive(table)
}

func TestBytesAreBounded(t *testing.T) {
	const budget = 1 << 20
	table := New(Options{MaxBytes: budget})
	text := strings.Repeat("x", 50<<10)
	for i := range 100 {
		table.Observe(fmt.Sprint("h", i), until(wordy("a", 1, text), float64(10+i)), at(1))
		if check(t, table); table.Bytes() > budget {
			t.Fatalf("after %d alerts: %d bytes, more than %d", i+1, table.Bytes(), budget)
		}
	}
	if n := table.Len(); n < 5 || n > 10 || table.Evicted() != 100-n {
		t.Errorf("%d alerts remembered, %d evicted", n, table.Evicted())
	}
	wantRed(t, table, "h99", "a@1")
	// One that is known already grows at the cost of the others.
	table.Observe("h99", until(wordy("a", 1, strings.Repeat("x", 450<<10)), 9), at(2))
	if check(t, table); table.Bytes() > budget {
		t.Errorf("%d bytes, more than %d", table.Bytes(), budget)
	}
	wantRed(t, table, "h99", "a@1")
	wantRed(t, table, "h98", "a@1")
}

func TestAnEndedAlertMakesRoomFirst(t *testing.T) {
	text := strings.Repeat("x", 300)
	table := New(Options{MaxBytes: 3900})
	table.Observe("ended", resolved("a", 1, 2), at(2))
	table.Observe("ended too", resolved("a", 1, 2), at(2))
	for i := range 3 {
		table.Observe(fmt.Sprint("h", i), wordy("a", 1, text), at(2))
	}
	if table.Evicted() != 0 || table.Len() != 3 {
		t.Errorf("%d evicted, %d remembered, want 0 and the 3 that fire", table.Evicted(), table.Len())
	}
	check(t, table)
}
