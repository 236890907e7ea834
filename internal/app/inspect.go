package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/rules"
)

// CheckRules returns the problems of the rule files that the config names, and
// those that keep it from naming them.
func CheckRules(path string) backout.Problems {
	_, problems := read(path, true)
	return problems
}

// RuleNames lists the rules of the files that the config names; none when they
// cannot be read.
func RuleNames(path string) []string {
	l, problems := read(path, true)
	if problems.Fatal() != nil {
		return nil
	}
	var names []string
	for _, r := range l.rules.Rules() {
		names = append(names, r.Name)
	}
	return names
}

// Reached is one target's answer.
type Reached struct {
	Target string
	// Err is nil when the target answered.
	Err    error
	BootID string
	Took   time.Duration
}

// reachTimeout bounds one target's answer.
const reachTimeout = 20 * time.Second

// ReachTargets asks the named targets, or all of them when none is named, for
// their boot id, and reports each as it answers. report is called by one
// goroutine at a time.
func ReachTargets(ctx context.Context, path string, names []string, report func(Reached)) error {
	l, problems := load(path)
	if err := problems.Fatal(); err != nil {
		return err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(l.config.Inventory))
	}
	for _, name := range names {
		if _, ok := l.config.Inventory[name]; !ok {
			return fmt.Errorf("target %q is not in the inventory: %w", name, backout.ErrNotFound)
		}
	}
	hosts, err := newHosts(l.config, "", "")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, 32)
	for _, name := range names {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			begin := time.Now()
			r := Reached{Target: name}
			target := l.config.Inventory[name]
			h, err := hosts.For(target)
			if l.config.Runners.At(target.Site) {
				err = fmt.Errorf("it is reached by the runners of site %s, not from here: check the gate of a change on it", target.Site)
			}
			if err == nil {
				ctx, cancel := context.WithTimeout(ctx, reachTimeout)
				defer cancel()
				r.BootID, err = h.BootID(ctx)
			}
			r.Err, r.Took = err, time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			report(r)
		})
	}
	all.Wait()
	return hosts.Close()
}

// Explain says what every rule of the config makes of one alert, at a time: with
// the given change, or with one that has just been opened on the alert's target.
func Explain(path string, alert backout.Alert, c *backout.Change, at time.Time) ([]rules.Explanation, error) {
	l, problems := read(path, true)
	if err := problems.Fatal(); err != nil {
		return nil, err
	}
	w := &oneChange{inventory: l.config.Inventory, change: c, at: at, evidence: evidence.New(evidence.Options{})}
	for _, label := range l.rules.TargetLabels() {
		target := rules.Host(alert.Labels[label])
		if target == "" {
			continue
		}
		w.evidence.Observe(target, &alert, at)
		if w.change == nil {
			w.change = &backout.Change{
				ChangeSpec: backout.ChangeSpec{ID: "EXAMPLE", Targets: []string{target}}, State: backout.ChangeOpen,
				OpenedAt: alert.StartsAt.Add(-time.Minute),
			}
		}
	}
	return l.rules.Explain(&alert, w, at), nil
}

// oneChange is a world with one live change in it.
type oneChange struct {
	inventory map[string]backout.Target
	change    *backout.Change
	evidence  *evidence.Table
	at        time.Time
}

// ChangesOn implements rules.World.
func (w *oneChange) ChangesOn(target string) []*backout.Change {
	if w.change == nil || !slices.Contains(w.change.Targets, target) {
		return nil
	}
	return []*backout.Change{w.change}
}

// Target implements rules.World.
func (w *oneChange) Target(name string) (backout.Target, bool) {
	t, ok := w.inventory[name]
	return t, ok
}

// Evidence implements rules.World.
func (w *oneChange) Evidence(c *backout.Change) backout.Evidence {
	var control []string
	for name := range w.inventory {
		if !slices.Contains(c.Targets, name) {
			control = append(control, name)
		}
	}
	return w.evidence.Evidence(c, control, w.at)
}

// Signals implements rules.World.
func (w *oneChange) Signals(*backout.Change, string, string) backout.Signals {
	return backout.Signals{}
}

// Query implements rules.World.
func (w *oneChange) Query(string, string) (float64, error) { return 0, rules.ErrNotYet }
