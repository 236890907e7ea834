package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/planhash"
)

// gateCheck is one answer of the gate, with what it is bound to.
type gateCheck struct {
	gate.Result
	planHash string
	targets  []string
}

func (g gateCheck) gate() change.Gate {
	return change.Gate{PlanHash: g.planHash, Targets: g.targets, Violations: g.Violations}
}

// CheckGate implements [handlers.Changes]. The answer is recorded: a yes makes a
// planned change ready, a no keeps its reasons.
func (e *Engine) CheckGate(ctx context.Context, by handlers.Actor, id string) (handlers.GateResult, error) {
	c, err := e.Change(ctx, id)
	if err != nil {
		return handlers.GateResult{}, err
	}
	checked := e.checkGate(ctx, c)
	result := handlers.GateResult{
		ChangeID: id, Passed: checked.Passed(), PlanHash: checked.planHash, Violations: checked.Violations, Warnings: checked.Warnings,
	}
	if c.State == backout.ChangePlanned || c.State == backout.ChangeReady {
		_, err = e.changeInput(ctx, id, by.Name, checked.gate())
	}
	return result, err
}

// checkGate gathers the facts and lets the gate judge them.
func (e *Engine) checkGate(ctx context.Context, c backout.Change) gateCheck {
	cfg := e.cfg()
	if !e.sole {
		e.changes.catchUp(ctx) // a window that another server has closed is no overlap
	}
	f := gate.Facts{Change: c, Targets: cfg.Inventory, Overlaps: e.overlaps(c), Groups: cfg.Groups, Audiences: cfg.Audiences, Now: time.Now().UTC()}
	if plan, ok := cfg.Plans[c.Plan]; ok {
		frozen := planhash.Freeze(plan)
		f.Plan, f.PlanHash = &plan, frozen.Hash
		f.Preflight = e.preflight(ctx, cfg, c, frozen)
	}
	return gateCheck{Result: gate.Check(f), planHash: f.PlanHash, targets: c.Targets}
}

// overlaps lists the other live changes on the change's targets.
func (e *Engine) overlaps(c backout.Change) map[string][]string {
	out := map[string][]string{}
	for _, target := range c.Targets {
		for _, other := range e.world.ChangesOn(target) {
			if other.ID != c.ID {
				out[target] = append(out[target], other.ID)
			}
		}
	}
	return out
}

const (
	// preflightParallel is how many targets are asked at once.
	preflightParallel = 32
	// preflightTimeout bounds what one target may take for all its steps.
	preflightTimeout = 30 * time.Second
)

// preflight asks the executor of every step on every target whether it would
// succeed now. What cannot be asked is a no.
func (e *Engine) preflight(ctx context.Context, cfg *Config, c backout.Change, frozen backout.FrozenPlan) []backout.Violation {
	var mu sync.Mutex
	var out []backout.Violation
	slots := make(chan struct{}, preflightParallel)
	var all sync.WaitGroup
	for _, name := range c.Targets {
		target, ok := cfg.Inventory[name]
		if !ok {
			continue // the gate says so itself
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
			defer cancel()
			found := preflightTarget(ctx, cfg, c, frozen, target)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, found...)
		})
	}
	all.Wait()
	slices.SortStableFunc(out, func(a, b backout.Violation) int {
		return slices.Index(c.Targets, a.Target) - slices.Index(c.Targets, b.Target)
	})
	return out
}

func preflightTarget(ctx context.Context, cfg *Config, c backout.Change, frozen backout.FrozenPlan, target backout.Target) []backout.Violation {
	site := cfg.site(target)
	var out []backout.Violation
	for _, level := range frozen.Plan.Levels {
		for _, step := range level.Steps {
			task := backout.Task{
				ChangeID: c.ID, Level: level.Name, Step: step, Target: target, PlanHash: frozen.Hash, Patch: c.Patch,
				Facts: facts(backout.Rollback{ChangeID: c.ID, Patch: c.Patch}, &level, target, ""),
			}
			found, err := site.Preflight(ctx, frozen, task)
			if err != nil {
				fix := "make the target reachable, then check the gate again"
				if backout.IsPermanent(err) {
					fix = "correct the target in the inventory"
				}
				return append(out, backout.Violation{Check: "reachable", Target: target.Name, Reason: err.Error(), Fix: fix})
			}
			out = append(out, found.Violations...)
		}
	}
	return out
}
