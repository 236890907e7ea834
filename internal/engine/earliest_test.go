package engine

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// TestTheEarliestStartOfSeveralSendersCounts: one Prometheus saw the alert before
// the window opened, another only after; it is no evidence against the patch.
func TestTheEarliestStartOfSeveralSendersCounts(t *testing.T) {
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n      - rule: R\n        match: [alertname=\"Down\"]\n")})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(func() *Config {
		return &Config{Rules: set, Inventory: map[string]backout.Target{"web-1": {Name: "web-1"}}}
	})
	opened := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	seen := func(starts time.Time) *backout.Alert {
		return &backout.Alert{
			Fingerprint: "f", Firing: true, StartsAt: starts, Labels: map[string]string{"alertname": "Down", "instance": "web-1:9100"},
		}
	}
	before, after := seen(opened.Add(-5*time.Second)), seen(opened.Add(5*time.Second))
	w.observe(before, opened)
	w.observe(after, opened.Add(6*time.Second))
	if got := w.earliest(after).StartsAt; !got.Equal(before.StartsAt) {
		t.Errorf("judged as red since %v, want %v", got, before.StartsAt)
	}
	if after.StartsAt.Equal(before.StartsAt) {
		t.Error("the alert that came in was changed")
	}
}
