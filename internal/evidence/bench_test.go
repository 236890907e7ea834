package evidence

import (
	"fmt"
	"testing"

	"github.com/backout-io/backout"
)

// benchTable has 100,000 firing alerts on 10,000 targets.
func benchTable() (*Table, []string, []*backout.Alert) {
	table := New(Options{})
	targets, alerts := make([]string, 10_000), make([]*backout.Alert, 100_000)
	for i := range targets {
		targets[i] = fmt.Sprintf("host-%d", i)
	}
	for i := range alerts {
		alerts[i] = firingSince(fmt.Sprintf("%016x", i), 1)
		table.Observe(targets[i%len(targets)], alerts[i], at(1))
	}
	return table, targets, alerts
}

func BenchmarkObserve(b *testing.B) {
	b.Run("confirmed", func(b *testing.B) {
		table, targets, alerts := benchTable()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			table.Observe(targets[i%len(targets)], alerts[i%len(alerts)], at(2))
		}
	})
	b.Run("fires and ends", func(b *testing.B) {
		table, targets, _ := benchTable()
		a, over := firingSince("new", 3), resolved("new", 3, 4)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			target := targets[i%len(targets)]
			table.Observe(target, a, at(3))
			table.Observe(target, over, at(4))
			table.Expire(at(7))
		}
	})
}

func BenchmarkEvidence(b *testing.B) {
	table, targets, _ := benchTable()
	c := opened(0, targets[:10]...)
	b.Run("10 targets, control by name 1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Evidence(c, targets[10:1010], at(5))
		}
	})
	quiet := New(Options{})
	for i, target := range targets[:20] {
		quiet.Observe(target, firingSince(fmt.Sprint(i), 1), at(1))
	}
	b.Run("20 red targets, control of 10000 by question", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			quiet.EvidenceAmong(c, 10_000, func(string) bool { return true }, at(5))
		}
	})
}
