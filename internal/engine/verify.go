package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/runner"
)

// verifiers owns one goroutine for each rollback whose targets are being judged:
// it runs the checks every so often and appends only what changed.
type verifiers struct {
	e *Engine
	// slots are taken while looking: after a start all want to look at once, and
	// each look needs a deep stack for every target.
	slots   chan struct{}
	mu      sync.Mutex
	running map[string]chan struct{}
}

func newVerifiers(e *Engine) *verifiers {
	return &verifiers{e: e, slots: make(chan struct{}, lookParallel), running: map[string]chan struct{}{}}
}

// lookParallel is how many rollbacks are looked at at once: so many that those
// whose hosts do not answer hardly hold up the others.
const lookParallel = 1024

// want starts the rollback's verifier, or makes a running one look at once.
func (v *verifiers) want(r backout.Rollback) {
	if !v.mine(r) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if nudge := v.running[r.ID]; nudge != nil {
		select {
		case nudge <- struct{}{}:
		default:
		}
		return
	}
	v.start(r)
}

// ensure starts the rollback's verifier where none runs, as when the server that
// had it is gone.
func (v *verifiers) ensure(r backout.Rollback) {
	if !v.mine(r) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.running[r.ID] == nil {
		v.start(r)
	}
}

// changeOfHands is how long nobody may look when another server begins to: until
// the one before is missed, and the next sweep.
const changeOfHands = 8 * time.Second

// start is called with v.mu held. What was green must begin again where nobody
// can have looked all the time.
func (v *verifiers) start(r backout.Rollback) {
	every := time.Duration(r.Frozen.Plan.Verify.Every)
	for _, t := range r.Targets {
		if t.GreenSince.IsZero() {
			continue
		}
		if v.e.peers == nil || v.e.peers.Since().After(t.GreenSince) || 2*every < changeOfHands {
			v.e.owedRed.Store(r.ID+"/"+t.Name, "nobody looked for a while")
		}
	}
	nudge := make(chan struct{}, 1)
	v.running[r.ID] = nudge
	v.e.spawn(func(ctx context.Context) { v.run(ctx, r.ID, nudge) })
}

// mine tells whether the rollback is to be looked at now, and by this server.
func (v *verifiers) mine(r backout.Rollback) bool { return judgedNow(r) && v.e.owns(r.ID) }

// run waits most of the time, and there may be very many: no state of a rollback
// stands on its stack meanwhile, so that the stack can shrink.
func (v *verifiers) run(ctx context.Context, id string, nudge <-chan struct{}) {
	for {
		every, next, judged := v.turn(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if !judged {
			// A want that came meanwhile has left a nudge; one that comes later
			// finds no verifier and starts one.
			v.mu.Lock()
			if len(nudge) == 0 {
				delete(v.running, id)
				v.mu.Unlock()
				v.e.compared.forget(id)
				return
			}
			<-nudge
			v.mu.Unlock()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		case <-nudge:
			// Looking costs the targets something: twice in a row at most.
			select {
			case <-ctx.Done():
				return
			case <-time.After(every / 4):
			}
		}
	}
}

// turn looks once there is a slot, or ctx has ended.
func (v *verifiers) turn(ctx context.Context, id string) (every, next time.Duration, judged bool) {
	select {
	case <-ctx.Done():
		return 0, 0, false
	case v.slots <- struct{}{}:
	}
	defer func() { <-v.slots }()
	return v.look(ctx, id)
}

// look verifies the rollback as it stands. It says how often it is to be looked
// at and when next, and whether it is judged at all.
func (v *verifiers) look(ctx context.Context, id string) (every, next time.Duration, judged bool) {
	r, ok := v.e.rollbacks.get(id)
	if !ok || !v.mine(r) {
		return 0, 0, false
	}
	v.e.verify(ctx, r)
	every = max(time.Duration(r.Frozen.Plan.Verify.Every), 100*time.Millisecond)
	return every, v.next(id, every), true
}

// next is how long until the next look: every so often, and right when a green
// target has been green for long enough.
func (v *verifiers) next(id string, every time.Duration) time.Duration {
	r, _ := v.e.rollbacks.get(id)
	for _, t := range r.Targets {
		if !rollback.Judged(r, t.Name) || t.GreenSince.IsZero() {
			continue
		}
		until := time.Until(rollback.GreenUntil(r, t))
		if until > 0 || t.Baseline == "" || v.e.compared.soon(r, t) {
			every = min(every, max(0, until))
		}
	}
	return max(every, 10*time.Millisecond)
}

func judgedNow(r backout.Rollback) bool {
	for _, t := range r.Targets {
		if rollback.Judged(r, t.Name) {
			return true
		}
	}
	return false
}

// verifyParallel is how many targets of one rollback are checked at once.
const verifyParallel = 32

// verify looks at every judged target once.
func (e *Engine) verify(ctx context.Context, r backout.Rollback) {
	cfg := e.cfg()
	var firing map[string]bool
	var asked error
	if cfg.Alerts != nil && !r.Frozen.Plan.Verify.IgnoreAlerts {
		firing, asked = cfg.Alerts.Firing(ctx)
	}
	slots := make(chan struct{}, verifyParallel)
	var all sync.WaitGroup
	for _, t := range r.Targets {
		if !rollback.Judged(r, t.Name) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			red := e.alertsRed(r, t.Name, firing, asked)
			if red == "" {
				red = e.checksRed(ctx, cfg, r, t.Name)
			}
			if red == "" {
				red = e.monitoring.red()
			}
			if ctx.Err() == nil {
				e.lookedAt(ctx, r, t, red)
			}
		})
	}
	all.Wait()
}

// lookedAt goes on with what alerts and checks said of a target: where they are
// green for long enough, it is compared with its baseline.
func (e *Engine) lookedAt(ctx context.Context, r backout.Rollback, t backout.TargetState, red string) {
	var found *backout.DriftFound
	if red == "" {
		var waits bool
		found, red, waits = e.compared.of(r, t)
		if _, owed := e.owedRed.Load(r.ID + "/" + t.Name); waits && !owed {
			return
		}
	}
	e.looked(ctx, r, t, red, found)
}

// looked records what a look at a target said, unless it is known already. A red
// look that could not be recorded is owed: it comes before any green one, so that
// a target which was red while the store refused does not pass for green.
func (e *Engine) looked(ctx context.Context, r backout.Rollback, t backout.TargetState, red string, found *backout.DriftFound) {
	key := r.ID + "/" + t.Name
	if owed, ok := e.owedRed.Load(key); ok && red == "" {
		reason, _ := owed.(string)
		if _, err := e.input(ctx, r.ID, rollback.Checked{Target: t.Name, Reason: reason}); err != nil {
			return
		}
		t.GreenSince = time.Time{}
	}
	e.owedRed.Delete(key)
	switch {
	case red != "" && t.GreenSince.IsZero() && !rollback.RedAnew(t.Red, clip(red, 500)):
		return
	case red == "" && !t.GreenSince.IsZero() && time.Now().Before(rollback.GreenUntil(r, t)):
		return
	}
	_, err := e.input(ctx, r.ID, rollback.Checked{Target: t.Name, Green: red == "", Reason: clip(red, 500), Drift: found})
	if err != nil && ctx.Err() == nil {
		if red != "" {
			e.owedRed.Store(key, clip(red, 500))
		}
		e.log.Warn("check result not recorded", "rollback_id", r.ID, "target", t.Name, "error", err)
	}
}

// alertsRed says which alert keeps the target red. What the webhooks said counts,
// unless Alertmanager itself says that the alert is over: a lost "resolved" must
// not keep a target red for ever.
func (e *Engine) alertsRed(r backout.Rollback, target string, firing map[string]bool, asked error) string {
	if r.Frozen.Plan.Verify.IgnoreAlerts {
		return ""
	}
	var since time.Time
	if c, ok := e.changes.get(r.ChangeID); ok {
		since = c.OpenedAt
	}
	for _, a := range e.world.redSince(target, since) {
		if firing != nil && asked == nil && !firing[a.Fingerprint] {
			continue
		}
		return fmt.Sprintf("alert %s fires since %s", a.Name(), a.StartsAt.UTC().Format(time.RFC3339))
	}
	for _, ref := range r.Evidence {
		if ref.Target == target && firing[ref.Fingerprint] {
			return fmt.Sprintf("alert %s fires, Alertmanager says", ref.Name)
		}
	}
	return ""
}

// checksRed runs the plan's checks of one target; what cannot be found out is
// red.
func (e *Engine) checksRed(ctx context.Context, cfg *Config, r backout.Rollback, target string) string {
	inventory, ok := cfg.Inventory[target]
	if !ok {
		return "target is not in the inventory any more"
	}
	look := runner.Look{Target: inventory, ChangeID: r.ChangeID, Frozen: r.Frozen, Gate: e.gate(r)}
	var red []string
	for _, check := range r.Frozen.Plan.Verify.Checks {
		name := check.Name
		if name == "" {
			name = check.Uses
		}
		if result := cfg.site(inventory).Check(ctx, look, check); !result.Green {
			red = append(red, "check "+name+": "+result.Detail)
		}
	}
	return strings.Join(red, "; ")
}
