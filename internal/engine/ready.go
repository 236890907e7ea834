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
)

// readinessEvery is how often it is looked whether the way back of a live change
// would still work, where the config does not say.
const readinessEvery = 5 * time.Minute

func (cfg *Config) readinessEvery() time.Duration {
	if cfg.ReadinessEvery > 0 {
		return cfg.ReadinessEvery
	}
	return readinessEvery
}

// armReady begins to watch the readiness of a change that has come to live.
func (e *Engine) armReady(before, after backout.Change) {
	if after.State.Live() && !before.State.Live() {
		e.deadlines.set(readyKey+after.ID, time.Now().Add(e.cfg().readinessEvery()), true)
	}
	if after.State.Final() && !before.State.Final() {
		e.losses.drop(after.ID)
	}
}

// readyDue looks, and comes again while the change is live. While a rollback runs
// nobody looks: it is the way back.
func (e *Engine) readyDue(ctx context.Context, id string) {
	c, _ := e.changes.get(id)
	if !c.State.Live() || c.Frozen == nil {
		return
	}
	if e.owns(id) && c.State != backout.ChangeBackingOut {
		if _, err := e.checkReady(ctx, "", c); err != nil && ctx.Err() == nil {
			e.log.Warn("readiness not recorded, trying again", "change_id", id, "error", err)
		}
	}
	e.deadlines.set(readyKey+id, time.Now().Add(e.cfg().readinessEvery()), true)
}

// checkReady asks every executor again, and records when other checks say no than
// before, or when a person has asked.
func (e *Engine) checkReady(ctx context.Context, by string, c backout.Change) (handlers.GateResult, error) {
	cfg := e.cfg()
	left := c
	left.Targets = slices.DeleteFunc(slices.Clone(c.Targets), func(t string) bool { return taken(c, t) })
	found := newSurvey()
	cfg.each(ctx, left, surveyTimeout, func(ctx context.Context, _ int, t backout.Target) {
		s := surveyed{e: e, cfg: cfg, c: c, frozen: *c.Frozen, target: t}
		found.add(t.Name, "", s.preflight(ctx, stepsOf(c.Frozen.Plan)))
	})
	if ctx.Err() != nil {
		return handlers.GateResult{}, ctx.Err() // what was found is half of it
	}
	now, _ := e.changes.get(c.ID)
	left.Deltas = now.Deltas // captured beside this look
	f := gate.Facts{
		Change: left, Plan: &c.Frozen.Plan, Targets: cfg.Inventory, Groups: cfg.approvers(left.Targets), OpenGroups: cfg.OpenGroups, Answers: found.all(left), Now: time.Now().UTC(), Live: true,
	}
	if plan, ok := cfg.Plans[c.Plan]; ok {
		f.PlanHash = freeze(plan).Hash
	}
	looks := gate.Looks(f.Answers)
	e.losses.note(c.ID, looks)
	still := gateCheck{Result: gate.Result{Violations: gate.Still(f), Looks: looks}, frozen: *c.Frozen, targets: c.Targets, at: f.Now}
	result := still.result(c.ID)
	result.Passed = len(result.Violations) == 0
	said := change.Readiness{Violations: few(result.Violations)}
	if by != "" || !change.SameChecks(now.NotReady, said.Violations) {
		said.Answer = e.keepAnswer(ctx, c.ID, still) // otherwise nothing is recorded
	}
	_, err := e.changeInput(ctx, c.ID, by, said)
	return result, err
}

// taken tells whether a rollback has, or had, to do with the target: what is there
// now is not the patch any more.
func taken(c backout.Change, target string) bool {
	return slices.ContainsFunc(c.Rollbacks, func(ref backout.RollbackRef) bool {
		return ref.Status != backout.RollbackCancelled && slices.Contains(ref.Targets, target)
	})
}

// losses remembers what the levels of live changes would lose, as their executors
// said last.
type losses struct {
	mu sync.Mutex
	by map[string]map[string]string
}

func newLosses() *losses { return &losses{by: map[string]map[string]string{}} }

// note takes what the looks say; of several targets the first one's word counts.
func (l *losses) note(changeID string, looks []gate.Look) {
	var levels map[string]string
	for _, look := range looks {
		if look.Loses == "" || levels[look.Level] != "" {
			continue
		}
		if levels == nil {
			levels = map[string]string{}
		}
		levels[look.Level] = look.Loses
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by[changeID] = levels
}

func (l *losses) drop(changeID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, changeID)
}

// of is what each level would lose, by its name; to be read only.
func (l *losses) of(changeID string) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[changeID]
}
