package engine

import (
	"context"
	"maps"
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
	// Unarmed are those of the targets that cannot be connected to just now.
	Unarmed(targets []backout.Target) map[string]error
}

const (
	// armSettle gathers what changes together, such as many windows that open at
	// one time.
	armSettle = 200 * time.Millisecond
	// armLook is how often it is looked without a change: another server may have
	// gone, or the config may have been reloaded.
	armLook = 30 * time.Second
	// goneLook is how often it is asked whether an armed target cannot be connected
	// to any more, or can again.
	goneLook = 5 * time.Second
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
	tick, gone := time.NewTicker(armLook), time.NewTicker(goneLook)
	defer tick.Stop()
	defer gone.Stop()
	armed, left := e.arm(nil, 0)
	missing := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone.C:
			missing = e.noticeGone(armed, missing)
			continue
		case <-tick.C:
		case <-e.armWake:
			select {
			case <-ctx.Done():
				return
			case <-time.After(armSettle):
			}
		}
		armed, left = e.arm(armed, left)
	}
}

// arm tells every site that can be told its armed targets, and returns them. was is
// what it returned before: sites of an old config keep nothing any more. before and
// left are how many were, and are, not armed for the limit.
func (e *Engine) arm(was map[armer][]backout.Target, before int) (armed map[armer][]backout.Target, left int) {
	cfg := e.cfg()
	armed = map[armer][]backout.Target{}
	for _, site := range cfg.sites() {
		if a, ok := site.(armer); ok {
			armed[a] = nil
		}
	}
	for _, target := range e.liveTargets(cfg) {
		if a, ok := cfg.site(target).(armer); ok {
			armed[a] = append(armed[a], target)
		}
	}
	for site := range was {
		if _, still := armed[site]; !still {
			_, _ = site.Arm(nil) // before the others: it may have its connections in common with one
		}
	}
	for site, targets := range armed {
		above, err := site.Arm(targets)
		left += above
		if err != nil {
			e.log.Warn("targets not kept connected", "error", err)
		}
	}
	if left > 0 && left != before {
		e.log.Warn("more targets of open changes than may be kept connected: steps on the others begin with a handshake", "targets", left)
	}
	return armed, left
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

// noticeGone has the readiness of changes looked at now whose targets went away, or
// came back, since the last time: nobody has to wait for the next look to be told.
func (e *Engine) noticeGone(armed map[armer][]backout.Target, before map[string]bool) (now map[string]bool) {
	now = map[string]bool{}
	for site, targets := range armed {
		for name := range site.Unarmed(targets) {
			now[name] = true
		}
	}
	if maps.Equal(before, now) {
		return now
	}
	e.changes.awake(func(id string, c backout.Change) {
		turned := slices.ContainsFunc(c.Targets, func(name string) bool { return before[name] != now[name] })
		if turned && c.State.Live() && e.owns(id) {
			e.deadlines.set(readyKey+id, time.Now(), true)
		}
	})
	return now
}
