package engine

import (
	"context"
	"encoding/json"
	"fmt"
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
	frozen  backout.FrozenPlan
	targets []string
	at      time.Time
}

// gate is the answer as a change is told it; stored is its digest, see
// [Engine.keepAnswer].
func (g gateCheck) gate(stored string) change.Gate {
	out := change.Gate{PlanHash: g.frozen.Hash, Targets: g.targets, Violations: few(g.Violations), Answer: stored}
	if g.Certificate != nil {
		out.Baselines, out.ValidUntil = g.Certificate.Baselines, g.Certificate.ValidUntil
	}
	return out
}

func (g gateCheck) result(id string) handlers.GateResult {
	out := handlers.GateResult{
		ChangeID: id, Passed: g.Passed(), PlanHash: g.frozen.Hash, Violations: g.Violations, Warnings: g.Warnings, Looks: make([]handlers.GateLook, len(g.Looks)),
		At: g.at,
	}
	for i, l := range g.Looks {
		out.Looks[i] = handlers.GateLook{Target: l.Target, Level: l.Level, Check: l.Check, OK: l.OK, Loses: l.Loses}
	}
	if g.Certificate != nil {
		out.ValidUntil = g.Certificate.ValidUntil
	}
	return out
}

// CheckGate implements [handlers.Changes]. The answer is recorded, with its whole
// table: a yes makes a planned change ready, a no keeps its reasons. While the window is open it answers
// whether the way back would work yet.
func (e *Engine) CheckGate(ctx context.Context, by handlers.Actor, id string) (handlers.GateResult, error) {
	c, err := e.Change(ctx, id)
	if err != nil {
		return handlers.GateResult{}, err
	}
	if c.State.Live() {
		return e.checkReady(ctx, by.Name, c)
	}
	checked, err := e.checkGate(ctx, c)
	if err != nil {
		return handlers.GateResult{}, err
	}
	if c.State == backout.ChangePlanned || c.State == backout.ChangeReady {
		_, err = e.changeInput(ctx, id, by.Name, checked.gate(e.keepAnswer(ctx, id, checked)))
	}
	return checked.result(id), err
}

// checkGate gathers the facts and lets the gate judge them. Where that was cut off,
// the answer is no no of the gate.
func (e *Engine) checkGate(ctx context.Context, c backout.Change) (gateCheck, error) {
	cfg := e.cfg()
	if !e.sole {
		e.changes.catchUp(ctx) // a window that another server has closed is no overlap
	}
	var frozen backout.FrozenPlan
	found := newSurvey()
	var asked sync.WaitGroup
	asked.Go(func() { found.itsm = cfg.askRecord(ctx, c) })
	if plan, ok := cfg.Plans[c.Plan]; ok {
		frozen = planhash.Freeze(plan)
		cfg.each(ctx, c, surveyTimeout, func(ctx context.Context, _ int, t backout.Target) {
			digest, answers := surveyed{e: e, cfg: cfg, c: c, frozen: frozen, target: t}.look(ctx)
			found.add(t.Name, digest, answers)
		})
	}
	asked.Wait()
	if ctx.Err() != nil {
		return gateCheck{}, fmt.Errorf("check the gate of %s: %w", c.ID, context.Cause(ctx))
	}
	return e.askGate(cfg, c, frozen, found), nil
}

// askGate lets the gate look at what was found; a frozen plan without a hash is none.
func (e *Engine) askGate(cfg *Config, c backout.Change, frozen backout.FrozenPlan, found *survey) gateCheck {
	f := gate.Facts{
		Change: c, PlanHash: frozen.Hash, Targets: cfg.Inventory, Overlaps: e.overlaps(c), Groups: cfg.approvers(c.Targets), OpenGroups: cfg.OpenGroups, Audiences: cfg.Audiences,
		Answers: found.all(c), Baselines: found.digests, Blind: e.monitoring.red(), Now: time.Now().UTC(),
		Exploited: cfg.exploited(c.Patch.CVEs), ITSM: found.itsm, OpenFor: change.DefaultWindow,
	}
	if frozen.Hash != "" {
		f.Plan = &frozen.Plan
		f.Readers = cfg.readers(frozen.Plan)
	}
	return gateCheck{Result: gate.Check(f), frozen: frozen, targets: c.Targets, at: f.Now}
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

// A record has fewMost violations at most, and fewBytes of them: what targets print may
// take six bytes a character, and every NATS takes records of 1 MiB.
const (
	fewMost  = 300
	fewBytes = 384 << 10
)

// few are as many violations as fit into a record; what is left out is counted.
func few(all []backout.Violation) []backout.Violation {
	if len(all) == 0 {
		return nil
	}
	out := make([]backout.Violation, 0, min(len(all), fewMost+1))
	size := 0
	for _, v := range all[:min(len(all), fewMost)] {
		v.Reason, v.Fix = clip(v.Reason, reasonMax), clip(v.Fix, reasonMax)
		data, err := json.Marshal(v)
		if size += len(data); err != nil || size > fewBytes {
			break
		}
		out = append(out, v)
	}
	if more := len(all) - len(out); more > 0 {
		out = append(out, backout.Violation{Check: "more", Reason: fmt.Sprintf("%d more reasons", more), Fix: "check the gate: it answers with all"})
	}
	return out
}
