package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// armer is a [Site] that can keep the connections to targets open, so that a step
// starts on them at once. It is told the whole list each time; left is how many are
// above its limit.
type armer interface {
	Arm(targets []backout.Target) (left int, err error)
}

const (
	// armSettle gathers what changes together, such as many windows that open at
	// one time.
	armSettle = 200 * time.Millisecond
	// armLook is how often it is looked without a change: another server may have
	// gone, or the config may have been reloaded.
	armLook = 30 * time.Second
)

// armSoon has the armed targets looked over, as a window opened or a change ended.
func (e *Engine) armSoon() {
	select {
	case e.armWake <- struct{}{}:
	default:
	}
}

// armLoop keeps the targets of live changes connected: each server those of the
// changes that it owns.
func (e *Engine) armLoop(ctx context.Context) {
	tick := time.NewTicker(armLook)
	defer tick.Stop()
	left := 0
	for {
		left = e.arm(left)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-e.armWake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(armSettle):
		}
	}
}

// arm tells every site that can be told its armed targets. before and after are how
// many were not armed for the limit.
func (e *Engine) arm(before int) (after int) {
	cfg := e.cfg()
	wanted := map[armer][]backout.Target{}
	for _, site := range cfg.sites() {
		if a, ok := site.(armer); ok {
			wanted[a] = nil
		}
	}
	for _, target := range e.liveTargets(cfg) {
		if a, ok := cfg.site(target).(armer); ok {
			wanted[a] = append(wanted[a], target)
		}
	}
	for site, targets := range wanted {
		left, err := site.Arm(targets)
		after += left
		if err != nil {
			e.log.Warn("targets not kept connected", "error", err)
		}
	}
	if after > 0 && after != before {
		e.log.Warn("more targets of open changes than may be kept connected: steps on the others begin with a handshake", "targets", after)
	}
	return after
}

// liveTargets are the targets of the live changes that this server owns, by name.
func (e *Engine) liveTargets(cfg *Config) []backout.Target {
	names := map[string]bool{}
	e.changes.awake(func(id string, c backout.Change) {
		if c.State.Live() && e.owns(id) {
			for _, name := range c.Targets {
				names[name] = true
			}
		}
	})
	var out []backout.Target
	for name := range names {
		if target, ok := cfg.Inventory[name]; ok {
			out = append(out, target)
		}
	}
	slices.SortFunc(out, func(a, b backout.Target) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// sites are all places of the config, each once.
func (c *Config) sites() []Site {
	out := []Site{c.Runner}
	for _, s := range c.Sites {
		out = append(out, s)
	}
	return out
}
