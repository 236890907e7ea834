package engine

import (
	"fmt"
	"slices"
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
		subject := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG9", Targets: []string{"web-4", "web-5", "web-9"}}, State: backout.ChangeOpen}
		w.changed(subject)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 8).Draw(t, "step") {
			case 0:
				cfg = config()
			case 1:
				w.expire(moment())
			case 2, 3:
				state := rapid.SampledFrom([]backout.ChangeState{backout.ChangeOpen, backout.ChangeClosed}).Draw(t, "state")
				id := rapid.SampledFrom([]string{"CHG1", "CHG2"}).Draw(t, "change")
				w.changed(backout.Change{ChangeSpec: backout.ChangeSpec{ID: id, Targets: []string{name()}}, State: state})
			case 4:
				subject.PatchedTargets = map[string]time.Time{}
				for _, target := range rapid.SliceOfNDistinct(rapid.SampledFrom(subject.Targets), 0, 3, rapid.ID).Draw(t, "patched") {
					subject.PatchedTargets[target] = moment()
				}
				w.changed(subject)
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
			red, size := 0, 0
			for target := range cfg.Inventory {
				others := slices.DeleteFunc(slices.Clone(w.live[target]), func(c *backout.Change) bool { return c.ID == subject.ID })
				own := slices.Contains(subject.Targets, target)
				if len(others) > 0 || own && !subject.Unpatched(target) && len(w.live[target]) > 0 {
					continue
				}
				size++
				red += min(1, len(w.redSince(target, subject.OpenedAt)))
			}
			got := w.Evidence(&subject)
			if got.RedUnpatched != red || got.ControlTargets != size {
				t.Fatalf("%d of %d of the control group are red, counted anew it is %d of %d", got.RedUnpatched, got.ControlTargets, red, size)
			}
			if want := float64(red) / float64(max(1, size)); got.RedShareUnpatched != want {
				t.Fatalf("a share of %v, want %v", got.RedShareUnpatched, want)
			}
		}
	})
}
