package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

// RuleNames lists the rules of the files that the config names, or of a rule file;
// none when they cannot be read.
func RuleNames(path string) []string {
	set, err := RuleSet(path)
	if err != nil {
		return nil
	}
	var names []string
	for _, r := range set.Rules.Rules() {
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
