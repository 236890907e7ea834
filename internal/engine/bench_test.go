package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bench"
	"github.com/backout-io/backout/rules"
)

// BenchmarkMatch judges one alert with 1,000 rules, 10,000 live changes of ten
// targets each, and 10,000 other targets red.
func BenchmarkMatch(b *testing.B) {
	const changes, targets, strangers = 10_000, 10, 10_000
	var text strings.Builder
	text.WriteString("groups:\n  - name: bench\n    rules:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "      - rule: Rule%d\n        match: [alertname=\"Alert%d\", severity=~\"critical|page\"]\n"+
			"        when: evidence.red_share_patched > 0.05\n        mode: auto\n", i, i)
	}
	set, problems := rules.Load(map[string][]byte{"rules.yaml": []byte(text.String())})
	if err := problems.Fatal(); err != nil {
		b.Fatal(err)
	}
	cfg := &Config{Rules: set, Inventory: map[string]backout.Target{}}
	w := newWorld(func() *Config { return cfg })
	now := time.Now()
	for i := range changes {
		c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: fmt.Sprintf("CHG%d", i)}, State: backout.ChangeOpen, OpenedAt: now.Add(-time.Hour)}
		for j := range targets {
			name := fmt.Sprintf("web-%d-%d", i, j)
			c.Targets = append(c.Targets, name)
			cfg.Inventory[name] = backout.Target{Name: name}
		}
		w.changed(c)
	}
	alert := func(name, target string) *backout.Alert {
		labels := map[string]string{
			"alertname": name, "severity": "critical", "instance": target + ":9100", "job": "node",
			"team": "web", "cluster": "prod-1", "namespace": "shop", "service": "checkout",
		}
		return &backout.Alert{Fingerprint: target, Firing: true, Labels: labels, StartsAt: now.Add(-time.Minute)}
	}
	for i := range strangers {
		name := fmt.Sprintf("db-%d", i)
		cfg.Inventory[name] = backout.Target{Name: name}
		w.observe(alert("DiskSlow", name), now)
	}
	for _, c := range []struct {
		name, alert, target string
		verdicts            int
	}{
		{"no change touched", "Alert3", "elsewhere", 0},
		{"change touched, no rule", "Other", "web-3-3", 0},
		{"one match", "Alert3", "web-3-3", 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := alert(c.alert, c.target)
			w.observe(a, now)
			if got := len(cfg.Rules.Match(a, w, now).Verdicts); got != c.verdicts {
				b.Fatalf("%d verdicts, want %d", got, c.verdicts)
			}
			bench.Loop(b, func() {
				w.observe(a, now)
				cfg.Rules.Match(a, w, now)
			})
		})
	}
}
