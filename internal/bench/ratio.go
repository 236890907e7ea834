package bench

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

const (
	// ratioRounds are how often the two take turns; their median is what counts, so a
	// collection of garbage or a neighbour that wakes up spoils no figure.
	// Work that takes longer than slowTurn has fewer: it is its own mean.
	ratioRounds, slowRounds = 9, 3
	slowTurn                = 100 * time.Millisecond
	// turnTime is how long one turn takes at least, far above the clock's steps.
	turnTime = 5 * time.Millisecond
)

// Loop is a whole benchmark of work. Beside the usual figures it reports as
// "x-ref" how many runs of the reference one run of work is worth. That figure is
// as good with -benchtime=1x as with more.
func Loop(b *testing.B, work func()) {
	b.Helper()
	Against(b, "x-ref", newReference(), work)
}

// Growth is [Loop] for work on much, and reports as "x-growth" how many runs of the
// same work on little it is worth.
func Growth(b *testing.B, little, much func()) {
	b.Helper()
	Against(b, "x-growth", little, much)
}

// Against is [Loop] with a unit of its own, and reports the quotient as metric. Only
// ratios that get worse as they grow may have a metric that begins with "x-".
func Against(b *testing.B, metric string, unit, work func()) {
	b.Helper()
	quotient := ratio(unit, work)
	b.ReportAllocs()
	for b.Loop() {
		work()
	}
	b.ReportMetric(quotient, metric)
}

// ratio measures both in turn and returns the median of work over unit.
func ratio(unit, work func()) float64 {
	units, works := runsIn(turnTime, unit), runsIn(turnTime, work)
	rounds := ratioRounds
	if works == 1 && perRun(1, work) > float64(slowTurn) {
		rounds = slowRounds
	}
	quotients := make([]float64, rounds)
	for i := range quotients {
		before := perRun(units, unit)
		took := perRun(works, work)
		// Half of the unit's turn stands before the work's and half after it: what
		// changes slowly meanwhile touches both alike.
		quotients[i] = 2 * took / (before + perRun(units, unit))
	}
	slices.Sort(quotients)
	return quotients[len(quotients)/2]
}

// runsIn is how many runs take at least that long.
func runsIn(atLeast time.Duration, f func()) int {
	f()
	for n := 1; ; n *= 2 {
		begin := processorTime()
		repeat(n, f)
		if processorTime()-begin >= atLeast {
			return n
		}
	}
}

func perRun(n int, f func()) float64 {
	begin := processorTime()
	repeat(n, f)
	return float64(processorTime()-begin) / float64(n)
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

// processorTime is what this process has used; it cannot fail for the process
// itself.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
