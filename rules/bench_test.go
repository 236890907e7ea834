package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bench"
)

// benchChanges is a world of n open changes of ten targets each.
type benchChanges struct {
	world
	n      int
	labels map[string]string
}

func newBenchChanges(n int) *benchChanges {
	w := &benchChanges{world: world{changes: make(map[string][]*backout.Change, 10*n)}, n: n, labels: map[string]string{"role": "web"}}
	for i := range n {
		targets := make([]string, 10)
		for j := range targets {
			targets[j] = fmt.Sprintf("host-%d-%d", i, j)
		}
		list := []*backout.Change{change(fmt.Sprintf("CHG%d", i), targets...)}
		for _, t := range targets {
			w.changes[t] = list
		}
	}
	return w
}

func (w *benchChanges) Target(name string) (backout.Target, bool) {
	return backout.Target{Name: name, OS: "debian-12", Site: "fra", Labels: w.labels}, true
}

func (w *benchChanges) Evidence(*backout.Change) backout.Evidence {
	return backout.Evidence{RedTargets: 5, RedSharePatched: 0.5, RedShareUnpatched: 0.1}
}

func benchAlert(name, instance string) *backout.Alert {
	return alert("alertname", name, "severity", "critical", "instance", instance, "job", "node",
		"team", "web", "cluster", "prod-1", "namespace", "shop", "service", "checkout")
}

// alerts are a thousand different ones, on hosts and of names that lie far apart,
// so that no figure is that of one alert whose path is warm.
func (w *benchChanges) alerts(rules int, name func(i int) string, host func(change int) string) []*backout.Alert {
	list := make([]*backout.Alert, 1000)
	for i := range list {
		list[i] = benchAlert(name(i*7%rules), host(i*max(1, w.n/len(list))%w.n))
	}
	return list
}

func touched(change int) string { return fmt.Sprintf("host-%d-%d:9100", change, change%10) }

func untouched(change int) string { return fmt.Sprintf("elsewhere-%d:9100", change) }

// matching is Match on one alert after the other, each of which must give that
// many verdicts.
func matching(tb testing.TB, set *Set, w World, alerts []*backout.Alert, verdicts int) func() {
	now := opened.Add(time.Hour)
	for _, a := range alerts {
		if got := set.Match(a, w, now); len(got.Verdicts) != verdicts || got.Errors != nil {
			tb.Fatalf("%s on %s: %d verdicts, %v, want %d", a.Name(), a.Labels["instance"], len(got.Verdicts), got.Errors, verdicts)
		}
	}
	i := 0
	return func() {
		if i++; i == len(alerts) {
			i = 0
		}
		set.Match(alerts[i], w, now)
	}
}

func alertOf(i int) string { return fmt.Sprintf("Alert%d", i) }

func otherName(i int) string { return fmt.Sprintf("Other%d", i) }

// kinds are what an alert can meet, with the verdicts that come of it.
var kinds = []struct {
	name     string
	alert    func(int) string
	host     func(int) string
	each     int // how many rules want the same alert
	verdicts int
}{
	{"no change touched", alertOf, untouched, 1, 0},
	{"change touched, no rule", otherName, touched, 1, 0},
	{"one verdict", alertOf, touched, 1, 1},
	{"eight verdicts", func(i int) string { return alertOf(i / 8) }, touched, 8, 8},
}

// BenchmarkMatch judges alerts with ten thousand rules and as many open changes.
func BenchmarkMatch(b *testing.B) {
	w := newBenchChanges(10_000)
	for _, k := range kinds {
		set := loadAll(b, manyRules(10_000, k.each))
		b.Run(k.name, func(b *testing.B) {
			bench.Loop(b, matching(b, set, w, w.alerts(9000, k.alert, k.host), k.verdicts))
			if k.verdicts > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*k.verdicts), "ns/verdict")
			}
		})
	}
}

// BenchmarkMatchGrowth is ten times as many open changes beside one.
func BenchmarkMatchGrowth(b *testing.B) {
	little, much := newBenchChanges(10_000), newBenchChanges(100_000)
	set := loadAll(b, manyRules(10_000, 1))
	for _, k := range kinds {
		if k.each > 1 || k.name == "change touched, no rule" {
			continue
		}
		b.Run(k.name, func(b *testing.B) {
			bench.Growth(b, matching(b, set, little, little.alerts(9000, k.alert, k.host), k.verdicts), matching(b, set, much, much.alerts(9000, k.alert, k.host), k.verdicts))
		})
	}
}

// BenchmarkMatchUnindexed has fifty rules among the ten thousand that have nothing
// to be found by.
func BenchmarkMatchUnindexed(b *testing.B) {
	w := newBenchChanges(10_000)
	files := manyRules(10_000-50, 1)
	plain := loadAll(b, files)
	var text strings.Builder
	text.WriteString("groups:\n  - name: unindexed\n    rules:\n")
	for i := range 50 {
		fmt.Fprintf(&text, "      - {rule: Unindexed%d, when: 'alert.age > duration(\"2m\") and evidence.red_targets > %d'}\n", i, 100+i)
	}
	files["unindexed.yaml"] = []byte(text.String())
	set := loadAll(b, files)
	for _, k := range kinds {
		if k.each > 1 {
			continue
		}
		b.Run(k.name, func(b *testing.B) {
			alerts := w.alerts(9000, k.alert, k.host)
			bench.Against(b, "to-none", matching(b, plain, w, alerts, k.verdicts), matching(b, set, w, alerts, k.verdicts))
		})
	}
}

// BenchmarkPeers finds the rule of an alert among ten thousand in the ways that
// others do it. None of them looks for the changes.
func BenchmarkPeers(b *testing.B) {
	w := newBenchChanges(10_000)
	set := loadAll(b, manyRules(10_000, 1))
	alerts := w.alerts(9000, alertOf, touched)
	ours := matching(b, set, w, alerts, 1)

	b.Run("matchers one after the other, as Alertmanager's routes", func(b *testing.B) {
		routes := make([]labels.Matchers, set.Len())
		for i := range routes {
			for _, text := range set.rules[i].Match {
				m, err := parse.Matcher(text)
				if err != nil {
					b.Fatal(err)
				}
				routes[i] = append(routes[i], m)
			}
		}
		sets := make([]model.LabelSet, len(alerts))
		for i, a := range alerts {
			sets[i] = model.LabelSet{}
			for name, value := range a.Labels {
				sets[i][model.LabelName(name)] = model.LabelValue(value)
			}
		}
		i, found := 0, 0
		bench.Against(b, "to-ours", ours, func() {
			i = (i + 1) % len(sets)
			for _, m := range routes {
				if m.Matches(sets[i]) {
					found++
				}
			}
		})
		if found == 0 {
			b.Fatal("no route matched")
		}
	})

	b.Run("expressions one after the other", func(b *testing.B) {
		list := make([]*vm.Program, set.Len())
		for i := range list {
			when := fmt.Sprintf(`alert.labels.alertname == "Alert%d" and alert.labels.severity in ["critical", "page"] and %s`, i, set.rules[i].When)
			program, err := expr.Compile(when, expr.Env(facts{}), expr.AsBool())
			if err != nil {
				b.Fatal(err)
			}
			list[i] = program
		}
		var machine vm.VM
		var f facts
		i, found := 0, 0
		bench.Against(b, "to-ours", ours, func() {
			i = (i + 1) % len(alerts)
			f.Alert.set(alerts[i], opened.Add(time.Hour))
			f.Evidence = w.Evidence(nil)
			for _, program := range list {
				if held, err := machine.Run(program, &f); err == nil && held.(bool) {
					found++
				}
			}
		})
		if found == 0 {
			b.Fatal("no expression held")
		}
	})
}

func BenchmarkMatchParallel(b *testing.B) {
	set := loadAll(b, manyRules(1000, 1))
	w := newBenchChanges(10_000)
	a, now := benchAlert("Alert3", "host-3-3:9100"), opened.Add(time.Hour)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			set.Match(a, w, now)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			files := manyRules(n, 1)
			load := func() {
				if _, problems := Load(files); problems.Fatal() != nil {
					b.Fatal(problems)
				}
			}
			if n == 1000 {
				bench.Loop(b, load)
				return
			}
			b.ReportAllocs()
			for b.Loop() {
				load()
			}
		})
	}
}

// manyRules are n rules in files of a thousand. Rule i wants the alertname
// Alert<i/each>, and no two have the same expression.
func manyRules(n, each int) map[string][]byte {
	files := map[string][]byte{}
	for start := 0; start < n; start += 1000 {
		var b strings.Builder
		b.WriteString("groups:\n  - name: many\n    rules:\n")
		for i := start; i < min(n, start+1000); i++ {
			fmt.Fprintf(&b, "      - rule: Rule%d\n", i)
			fmt.Fprintf(&b, "        match: [alertname=\"Alert%d\", severity=~\"critical|page\"]\n", i/each)
			fmt.Fprintf(&b, "        when: evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration(\"%dms\")\n", 120_000+i)
			b.WriteString("        mode: auto\n")
		}
		files[fmt.Sprintf("rules-%05d.yaml", start)] = []byte(b.String())
	}
	return files
}
