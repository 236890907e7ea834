package remote

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkStep is a whole step through a runner on this machine: offer, claim,
// start, its end; beside it the same step by the built-in runner.
func BenchmarkStep(b *testing.B) {
	w := newWorld(b)
	a := w.agent("fra-1")
	site := w.hub().Site("fra")
	built := a.o.Runner("built-in")
	number := 0
	for name, do := range map[string]func() time.Duration{
		"remote": func() time.Duration {
			j, _ := job(here, number, step("true"))
			began := time.Now()
			wantDone(b, run(b.Context(), site, j))
			return time.Since(began)
		},
		"built-in": func() time.Duration {
			j, _ := job(here, number, step("true"))
			began := time.Now()
			wantDone(b, built.Run(b.Context(), j))
			return time.Since(began)
		},
	} {
		b.Run(name, func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				number++
				all = append(all, do())
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms/p50")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms/p99")
		})
	}
}
