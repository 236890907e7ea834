package engine

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// TestControlGroupIsCountedRight compares the kept count with one made anew, over
// alerts that come and go, changes that open and close, and another inventory.
func TestControlGroupIsCountedRight(t *testing.T) {
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups: [{name: g, rules: [{rule: R, match: ['alertname=\"A\"'], mode: auto}]}]\n")})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		name := func() string { return fmt.Sprintf("web-%d", rapid.IntRange(0, 5).Draw(t, "target")) }
		moment := func() time.Time {
			return start.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "minute")) * time.Minute)
		}
		config := func() *Config {
			inventory := map[string]backout.Target{}
			for range rapid.IntRange(1, 6).Draw(t, "size") {
				inventory[name()] = backout.Target{}
			}
			return &Config{Rules: set, Inventory: inventory}
		}
		cfg := config()
		w := newWorld(func() *Config { return cfg })
		subject := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG9", Targets: []string{"web-9"}}, State: backout.ChangeOpen}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0:
				cfg = config()
			case 1:
				w.expire(moment())
			case 2, 3:
				state := rapid.SampledFrom([]backout.ChangeState{backout.ChangeOpen, backout.ChangeClosed}).Draw(t, "state")
				id := rapid.SampledFrom([]string{"CHG1", "CHG2"}).Draw(t, "change")
				w.changed(backout.Change{ChangeSpec: backout.ChangeSpec{ID: id, Targets: []string{name()}}, State: state})
			default:
				a := &backout.Alert{
					Fingerprint: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "alert"), Labels: map[string]string{"instance": name()},
					Firing: rapid.Bool().Draw(t, "firing"), StartsAt: moment(),
				}
				if !a.Firing || rapid.Bool().Draw(t, "ends") {
					a.EndsAt = a.StartsAt.Add(time.Minute)
				}
				w.observe(a, moment())
			}
			subject.OpenedAt = moment()
			control := func(target string) bool {
				_, known := cfg.Inventory[target]
				return known && len(w.live[target]) == 0
			}
			now := time.Now()
			want := w.evidence.EvidenceAmong(&subject, max(0, len(cfg.Inventory)-len(w.live)), control, now)
			if got := w.Evidence(&subject); got.RedShareUnpatched != want.RedShareUnpatched {
				t.Fatalf("%v of the control group is red, counted anew it is %v", got.RedShareUnpatched, want.RedShareUnpatched)
			}
		}
	})
}
