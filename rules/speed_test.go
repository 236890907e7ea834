package rules

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/bench"
)

// TestMatchAllocates counts what a match takes from the heap. All verdicts of an
// alert need three: the list of them, the list of their reasons, and one text that
// all reasons are parts of. What the expressions work on is one more, and each
// result of arithmetic another: these rules multiply once.
func TestMatchAllocates(t *testing.T) {
	w := newBenchChanges(20)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			set := loadAll(t, manyRules(1000, k.each))
			alerts := w.alerts(1000, k.alert, k.host)
			got, most := fewest(matching(t, set, w, alerts, k.verdicts)), 0
			if k.verdicts > 0 {
				most = 3 + 1 + k.verdicts
			}
			if got > most {
				t.Errorf("%d allocations, at most %d are needed", got, most)
			}
		})
	}
}

// fewest is how much one run allocates. Under the race detector the pool loses
// things on purpose, so the best of many counts.
func fewest(f func()) int {
	counts := make([]float64, 50)
	for i := range counts {
		counts[i] = testing.AllocsPerRun(1, f)
	}
	return int(slices.Min(counts))
}

// TestMatchingGoesOnDuringALoad matches in one goroutine while another loads ten
// sets after one another and puts each in the place of the last.
func TestMatchingGoesOnDuringALoad(t *testing.T) {
	w := newBenchChanges(20)
	var current atomic.Pointer[Set]
	files := manyRules(300, 1)
	current.Store(loadAll(t, files))
	a, now := benchAlert("Alert7", touched(7)), opened.Add(time.Hour)
	var loading atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 10 {
			loading.Add(1)
			current.Store(loadAll(t, files))
		}
		loading.Store(-1)
	})
	during := map[int32]int{}
	for {
		n := loading.Load()
		if n < 0 {
			break
		}
		during[n]++
		if res := current.Load().Match(a, w, now); len(res.Verdicts) != 1 || res.Verdicts[0].Rule != "Rule7" {
			t.Fatalf("during load %d: %+v", n, res)
		}
	}
	wg.Wait()
	if len(during) < 5 {
		t.Errorf("matches during %d of 10 loads: something held them up", len(during))
	}
}

// BenchmarkMatchDuringLoad says how long one match takes while ten thousand rules
// are loaded beside it, in turn with how long it takes while nothing is: the longest
// but one in a thousand, and the longest. On one processor the load takes turns with
// matching, so it is for two.
func BenchmarkMatchDuringLoad(b *testing.B) {
	w := newBenchChanges(10_000)
	files := manyRules(10_000, 1)
	set := loadAll(b, files)
	match := matching(b, set, w, w.alerts(1000, alertOf, touched), 1)
	quiet, busy := []time.Duration{}, []time.Duration{}
	for b.Loop() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			loadAll(b, files)
		}()
		busy = append(busy, timesUntil(done, match)...)
		runtime.GC()
		nothing := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(nothing) })
		quiet = append(quiet, timesUntil(nothing, match)...)
	}
	slices.Sort(quiet)
	slices.Sort(busy)
	for _, at := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99.9", 0.999}, {"longest", 1}} {
		during, alone := quantile(busy, at.share), quantile(quiet, at.share)
		b.ReportMetric(float64(during)/1000, at.name+"-us")
		b.ReportMetric(float64(during)/float64(alone), at.name+"-to-quiet")
	}
}

func timesUntil(done <-chan struct{}, f func()) (list []time.Duration) {
	for {
		select {
		case <-done:
			return list
		default:
		}
		begin := time.Now()
		f()
		list = append(list, time.Since(begin))
	}
}

func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// BenchmarkMatchAfterCollection is a match that finds nothing in the pool of what it
// works on, as the first one after two collections of garbage.
func BenchmarkMatchAfterCollection(b *testing.B) {
	w := newBenchChanges(20)
	set := loadAll(b, manyRules(1000, 1))
	match := matching(b, set, w, w.alerts(1000, alertOf, touched), 1)
	bench.Against(b, "to-pooled", match, func() {
		set.scratch.Get()
		match()
	})
}
