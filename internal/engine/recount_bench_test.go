package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// BenchmarkReload counts the control group for a new inventory while 100,000 of its
// targets are red: matching waits that long at a reload.
func BenchmarkReload(b *testing.B) {
	set, _ := rules.Load(map[string][]byte{"r.yaml": []byte("groups: [{name: g, rules: [{rule: R, match: ['alertname=\"A\"']}]}]\n")})
	cfg := &Config{Rules: set, Inventory: map[string]backout.Target{}}
	w := newWorld(func() *Config { return cfg })
	now := time.Now()
	for i := range 100_000 {
		name := fmt.Sprintf("db-%d", i)
		cfg.Inventory[name] = backout.Target{Name: name}
		w.observe(&backout.Alert{
			Fingerprint: name, Firing: true, StartsAt: now.Add(-time.Duration(i%7919) * time.Second),
			Labels: map[string]string{"alertname": "DiskSlow", "instance": name + ":9100"},
		}, now)
	}
	for b.Loop() {
		w.countAgain(cfg)
	}
}
