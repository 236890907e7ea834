package rules

import (
	"fmt"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// benchWorld has n open changes of ten targets each.
func benchWorld(n int) world {
	changes := make([]*backout.Change, n)
	for i := range changes {
		targets := make([]string, 10)
		for j := range targets {
			targets[j] = fmt.Sprintf("host-%d-%d", i, j)
		}
		changes[i] = change(fmt.Sprintf("CHG%d", i), targets...)
	}
	w := worldOf(changes...)
	for _, c := range changes {
		w.evidence[c.ID] = backout.Evidence{RedTargets: 5, RedSharePatched: 0.5, RedShareUnpatched: 0.1}
	}
	return w
}

func benchAlert(name, instance string) *backout.Alert {
	return alert("alertname", name, "severity", "critical", "instance", instance, "job", "node",
		"team", "web", "cluster", "prod-1", "namespace", "shop", "service", "checkout")
}

func benchMatch(b *testing.B, nRules, nChanges int, a *backout.Alert, want int) {
	set := loadAll(b, manyRules(nRules))
	var w World = benchWorld(nChanges)
	now := opened.Add(time.Hour)
	if got := len(set.Match(a, w, now).Verdicts); got != want {
		b.Fatalf("got %d verdicts, want %d", got, want)
	}
	b.ReportAllocs()
	for b.Loop() {
		set.Match(a, w, now)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, size := range []struct{ rules, changes int }{{10, 10}, {1000, 10_000}, {10_000, 10_000}} {
		name := fmt.Sprintf("rules=%d/changes=%d", size.rules, size.changes)
		b.Run(name+"/no change touched", func(b *testing.B) {
			benchMatch(b, size.rules, size.changes, benchAlert("Alert3", "elsewhere:9100"), 0)
		})
		b.Run(name+"/change touched, no rule", func(b *testing.B) {
			benchMatch(b, size.rules, size.changes, benchAlert("Other", "host-3-3:9100"), 0)
		})
		b.Run(name+"/one match", func(b *testing.B) {
			benchMatch(b, size.rules, size.changes, benchAlert("Alert3", "host-3-3:9100"), 1)
		})
	}
}

func BenchmarkMatchParallel(b *testing.B) {
	set := loadAll(b, manyRules(1000))
	var w World = benchWorld(10_000)
	a, now := benchAlert("Alert3", "host-3-3:9100"), opened.Add(time.Hour)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			set.Match(a, w, now)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		files := manyRules(n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := Load(files); problems.Fatal() != nil {
					b.Fatal(problems)
				}
			}
		})
	}
}
