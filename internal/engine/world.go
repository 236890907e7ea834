package engine

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/rules"
)

// world is what rules see: who is red, which changes are live on which target,
// and the inventory. It implements rules.World.
type world struct {
	cfg func() *Config
	// reddened is called, with mu held, when what is red on a target of a live change
	// may have changed; it must not block.
	reddened func()

	mu sync.RWMutex
	// live are the live changes by target, each list sorted by id and replaced
	// whole, never changed in place.
	live map[string][]*backout.Change
	// where are the targets a live change was listed under.
	where    map[string][]string
	evidence *evidence.Table
	// control counts the red targets of the control group, for this config.
	control    evidence.ControlGroup
	countedFor *Config
	// touched is how many targets of that config's inventory a live change touches.
	touched int
	// suppressed is what Alertmanager says of silences and inhibitions.
	suppressed suppressions
	// recorded says when a shadow verdict was last given to a live change.
	recorded verdicts
	queries  *queries
}

func newWorld(cfg func() *Config) *world {
	w := &world{
		cfg: cfg, reddened: func() {}, live: map[string][]*backout.Change{}, where: map[string][]string{},
		recorded: verdicts{},
	}
	w.evidence = evidence.New(evidence.Options{Moved: w.count, Keep: w.keep})
	return w
}

// keep tells whether alerts on the target may be judged again, and are kept
// whole. Of strangers only what is red is kept. It is called with w.mu held.
func (w *world) keep(target string) bool {
	_, known := w.cfg().Inventory[target]
	return known || len(w.live[target]) > 0
}

// changed lists the change under its targets while it is live.
func (w *world) changed(c backout.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.where[c.ID]
	for _, target := range before {
		w.list(target, slices.DeleteFunc(slices.Clone(w.live[target]), func(o *backout.Change) bool { return o.ID == c.ID }))
	}
	delete(w.where, c.ID)
	if c.State.Live() {
		for _, target := range c.Targets {
			list := append(slices.Clone(w.live[target]), &c)
			slices.SortFunc(list, func(a, b *backout.Change) int { return cmp.Compare(a.ID, b.ID) })
			w.list(target, list)
		}
		w.where[c.ID] = c.Targets
	} else {
		delete(w.recorded, c.ID)
	}
	for _, target := range slices.Concat(before, c.Targets) {
		w.count(target)
		w.watch(target)
	}
}

// list replaces the live changes on a target, and counts the targets that have any.
func (w *world) list(target string, list []*backout.Change) {
	was, is := len(w.live[target]) > 0, len(list) > 0
	if is {
		w.live[target] = list
	} else {
		delete(w.live, target)
	}
	if _, known := w.cfg().Inventory[target]; known && was != is {
		if is {
			w.touched++
		} else {
			w.touched--
		}
	}
}

// watch makes the evidence remember who was red first after what the live changes on
// the target did.
func (w *world) watch(target string) {
	var moments []time.Time
	for _, c := range w.live[target] {
		moments = append(moments, c.OpenedAt, c.PatchedOn(target))
	}
	w.evidence.Watch(target, moments...)
}

// observe notes an alert, and returns the targets it names that a live change
// touches.
func (w *world) observe(a *backout.Alert, at time.Time) []string {
	labels := w.cfg().Rules.TargetLabels()
	w.mu.Lock()
	defer w.mu.Unlock()
	var live []string
	for _, label := range labels {
		target := rules.Host(a.Labels[label])
		if target == "" {
			continue
		}
		w.evidence.Observe(target, a, at)
		if len(w.live[target]) > 0 {
			live = append(live, target)
		}
	}
	return live
}

// earliest is the alert with the earliest start that anybody has told: of several
// senders one may have seen it red before the window opened, another only after.
func (w *world) earliest(a *backout.Alert) *backout.Alert {
	labels := w.cfg().Rules.TargetLabels()
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, label := range labels {
		since, ok := w.evidence.FiringSince(rules.Host(a.Labels[label]), a.Fingerprint)
		if ok && since.Before(a.StartsAt) {
			earlier := *a
			earlier.StartsAt = since
			a = &earlier
		}
	}
	return a
}

// expire drops alerts whose end has passed unconfirmed, and returns the targets
// of live changes among them.
func (w *world) expire(now time.Time) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := w.evidence.Expire(now)
	return slices.DeleteFunc(gone, func(target string) bool { return len(w.live[target]) == 0 })
}

// firing tells whether the alert fires on the target, as far as is known.
func (w *world) firing(target, fingerprint string) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.ContainsFunc(w.evidence.Red(target), func(a *backout.Alert) bool { return a.Fingerprint == fingerprint })
}

// redSince lists what fires on the target and began after the time.
func (w *world) redSince(target string, since time.Time) []*backout.Alert {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(w.evidence.Red(target)), func(a *backout.Alert) bool { return a.StartsAt.Before(since) })
}

// redOnLive lists what fires on targets of live changes.
func (w *world) redOnLive() []*backout.Alert {
	w.mu.RLock()
	defer w.mu.RUnlock()
	// Of red targets there are few, of live ones many.
	red := slices.DeleteFunc(w.evidence.RedNames(), func(target string) bool { return len(w.live[target]) == 0 })
	slices.Sort(red)
	var out []*backout.Alert
	for _, target := range red {
		out = append(out, w.evidence.Red(target)...)
	}
	return out
}

// verdictKey is one rule's word on one alert, within a change. A rule that says
// something else has not spoken yet.
type verdictKey struct{ rule, hash, target, fingerprint string }

func keyOf(v backout.Verdict) verdictKey {
	return verdictKey{v.Rule, v.RuleHash, v.Target, v.Fingerprint}
}

// verdicts says of each change when a verdict was last given.
type verdicts map[string]map[verdictKey]time.Time

func (vs verdicts) note(v backout.Verdict, at time.Time) { vs.noteKey(v.ChangeID, keyOf(v), at) }

func (vs verdicts) noteKey(changeID string, key verdictKey, at time.Time) {
	known := vs[changeID]
	if known == nil {
		known = map[verdictKey]time.Time{}
		vs[changeID] = known
	}
	if at.After(known[key]) {
		known[key] = at
	}
}

// noteOpened notes the verdict that opened a rollback, unless one on the same firing
// of its alert was given before.
func (vs verdicts) noteOpened(o backout.Opened, at time.Time) {
	v, alert := o.Trigger.Verdict, o.Alert
	if v == nil {
		return
	}
	if known := vs[v.ChangeID][keyOf(*v)]; alert == nil || known.Before(alert.StartsAt) {
		vs.note(*v, at)
	}
}

// noteAll notes the verdicts that a record gives, or that opened its rollbacks.
func (vs verdicts) noteAll(rec backout.Record) {
	for _, ev := range rec.Events {
		switch ev := ev.(type) {
		case backout.VerdictGiven:
			vs.note(ev.Verdict, rec.At)
		case backout.RollbackRequested:
			vs.noteOpened(ev.Opened, rec.At)
		}
	}
}

// once tells whether the verdict on this firing of the alert is new, and counts it
// as recorded from now on.
func (w *world) once(v backout.Verdict, a *backout.Alert) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.recorded[v.ChangeID][keyOf(v)]; ok && !at.Before(a.StartsAt) {
		return false
	}
	// The start may be ahead of this clock: later than it is the same firing.
	w.recorded.note(v, latest(v.At, a.StartsAt))
	return true
}

// given lists what the rules that are asked for have said of live changes, each with
// its time.
func (w *world) given(asked func(rule string) bool) []backout.Verdict {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var out []backout.Verdict
	for id, known := range w.recorded {
		for key, at := range known {
			if asked(key.rule) {
				out = append(out, backout.Verdict{Rule: key.rule, RuleHash: key.hash, ChangeID: id, Target: key.target, Fingerprint: key.fingerprint, At: at})
			}
		}
	}
	return out
}

// notRecorded takes back what once counted.
func (w *world) notRecorded(v backout.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.recorded[v.ChangeID], keyOf(v))
}

// noteVerdicts remembers the verdicts of a record of a change's log.
func (w *world) noteVerdicts(rec backout.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded.noteAll(rec)
}

// ChangesOn implements rules.World.
func (w *world) ChangesOn(target string) []*backout.Change {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.live[target]
}

// Target implements rules.World.
func (w *world) Target(name string) (backout.Target, bool) {
	t, ok := w.cfg().Inventory[name]
	return t, ok
}

// Evidence implements rules.World. The control group is the part of the
// inventory that no live change touches, and what the change itself is known not to
// have patched yet. The first is counted as alerts and changes come and go, however
// large it is.
func (w *world) Evidence(c *backout.Change) backout.Evidence {
	cfg := w.cfg()
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.countedFor != cfg {
		w.mu.RUnlock()
		w.countAgain(cfg)
		w.mu.RLock()
	}
	var waits func(string) bool
	if len(c.PatchedTargets) > 0 {
		waits = func(target string) bool { return w.waits(cfg, c, target) }
	}
	ev := w.evidence.Patched(c, waits, time.Now())
	if size := len(cfg.Inventory) - w.touched; size > 0 && !c.OpenedAt.IsZero() {
		evidence.AddControl(&ev, w.control.Since(c.OpenedAt), size)
	}
	return ev
}

// waits tells whether the change's target, not patched yet, is in the inventory and
// no other change's. The caller holds w.mu.
func (w *world) waits(cfg *Config, c *backout.Change, target string) bool {
	_, known := cfg.Inventory[target]
	return known && !slices.ContainsFunc(w.live[target], func(o *backout.Change) bool { return o.ID != c.ID })
}

// Signals implements rules.World.
func (w *world) Signals(c *backout.Change, target, fingerprint string) backout.Signals {
	now := time.Now()
	s := w.suppressed.of(fingerprint, now)
	w.mu.RLock()
	defer w.mu.RUnlock()
	s.Flaps = w.evidence.Flaps(target, fingerprint, now)
	patched := c.PatchedOn(target)
	if first, red := w.evidence.FirstSince(target, c.OpenedAt); red && !c.OpenedAt.IsZero() {
		s.RedBeforePatch = patched.IsZero() || first.Before(patched)
	}
	if !patched.IsZero() {
		s.FirstRed, _ = w.evidence.FirstSince(target, patched)
	}
	return s
}

// Query implements rules.World.
func (w *world) Query(query, target string) (float64, error) {
	return w.queries.value(query, target, time.Now())
}

// count keeps the count of the control group in step with one target. The caller
// holds w.mu.
func (w *world) count(target string) {
	newest, red := w.redControl(w.cfg(), target)
	w.control.Set(target, newest, red)
	if len(w.live[target]) > 0 {
		w.reddened()
	}
}

// redControl tells whether a target of the control group is red, and since when.
// The caller holds w.mu.
func (w *world) redControl(cfg *Config, target string) (newest time.Time, red bool) {
	if _, known := cfg.Inventory[target]; !known || len(w.live[target]) > 0 {
		return time.Time{}, false
	}
	return w.evidence.Newest(target)
}

// countAgain counts for a new inventory. Matching waits for it, so it is sorted once
// and not target by target.
func (w *world) countAgain(cfg *Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched = 0
	for target := range w.live {
		if _, known := cfg.Inventory[target]; known {
			w.touched++
		}
	}
	group := map[string]time.Time{}
	for _, target := range w.evidence.RedNames() {
		if newest, red := w.redControl(cfg, target); red {
			group[target] = newest
		}
	}
	w.control, w.countedFor = evidence.NewControlGroup(group), cfg
}
