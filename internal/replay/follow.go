package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// follower knows what has followed from verdicts so far.
type follower struct {
	book  *trigger.Book
	rules map[string]*ruleOf
	// recorded says when a verdict was last recorded, by change; failed, of which
	// firing a rule's failure was told.
	recorded map[string]map[verdictKey]time.Time
	failed   map[failure]time.Time
	// rollbacks are those that were opened, by id; waiting those of them that have
	// not begun, in the order in which they were opened.
	rollbacks map[string]*backout.Rollback
	waiting   []*backout.Rollback
	// queue is what was decided on and is still to be followed.
	queue []decided
}

type ruleOf struct {
	throttle backout.Throttle
	mode     backout.Mode
	reads    rules.Reads
}

// verdictKey is one rule's word on one alert, within a change.
type verdictKey struct{ rule, target, fingerprint string }

type failure struct{ rule, change, annotation, fingerprint string }

func newFollower(set *rules.Set, o Options) follower {
	f := follower{
		book: trigger.NewBook(), rules: map[string]*ruleOf{}, recorded: map[string]map[verdictKey]time.Time{},
		failed: map[failure]time.Time{}, rollbacks: map[string]*backout.Rollback{},
	}
	for _, rule := range set.Rules() {
		of := &ruleOf{throttle: rule.Throttle, mode: rule.Mode, reads: set.Reads(rule.Name)}
		if o.Modes != nil {
			of.mode = o.Modes(rule)
		}
		f.rules[rule.Name] = of
	}
	return f
}

// failedAnew tells whether the rule's failure on this firing is new.
func (f *follower) failedAnew(e rules.RunError, a *backout.Alert) bool {
	k := failure{e.Rule, e.ChangeID, e.Annotation, a.Fingerprint}
	if at, ok := f.failed[k]; ok && at.Equal(a.StartsAt) {
		return false
	}
	f.failed[k] = a.StartsAt
	return true
}

// once tells whether the verdict on this firing of the alert is new, and counts it
// as recorded from now on.
func (f *follower) once(v backout.Verdict, a *backout.Alert) bool {
	k := verdictKey{v.Rule, v.Target, v.Fingerprint}
	known := f.recorded[v.ChangeID]
	if at, ok := known[k]; ok && !at.Before(a.StartsAt) {
		return false
	}
	if known == nil {
		known = map[verdictKey]time.Time{}
		f.recorded[v.ChangeID] = known
	}
	// The start may be ahead of the clock: later than it is the same firing.
	if known[k] = v.At; a.StartsAt.After(v.At) {
		known[k] = a.StartsAt
	}
	return true
}

// settled tells whether nothing new can follow from the rule and the alert on the
// change, whatever the rule says, and else on what its answer rests. What a throttle
// counts is never settled.
func (f *follower) settled(name string, c *backout.Change, target string, a *backout.Alert) (bool, rules.Reads) {
	rule := f.rules[name]
	switch {
	case rule.throttle != (backout.Throttle{}):
		return false, rules.Reads{Time: true}
	case rule.mode == backout.ModeShadow:
		at, ok := f.recorded[c.ID][verdictKey{name, target, a.Fingerprint}]
		return ok && !at.Before(a.StartsAt), rule.reads
	case len(c.Rollbacks) == 0:
		return false, rule.reads
	}
	rb := f.rollbacks[c.ActiveRollback(target)]
	return rb != nil && knows(rb, target, a.Fingerprint), rule.reads
}

// change returns the live change of that id on the target.
func (r *run) change(id, target string) *backout.Change {
	for _, c := range r.w.live[target] {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// decided is a verdict with what follows from it.
type decided struct {
	verdict backout.Verdict
	alert   *backout.Alert
	change  *backout.Change
	next    trigger.Next
}

// decideAll decides on the verdicts on one alert as things stand. As on the server,
// what is judged together is decided on before any of it is followed.
func (r *run) decideAll(verdicts []backout.Verdict, a *backout.Alert) {
	for _, v := range verdicts {
		c := r.change(v.ChangeID, v.Target)
		if c == nil {
			continue
		}
		rule := r.rules[v.Rule]
		v.Mode = rule.mode
		r.book.Matched(trigger.Case{Verdict: v, Alert: a, Change: c, Throttle: rule.throttle, Now: r.w.now})
		d := decided{verdict: v, alert: a, change: c}
		if r.decide(&d); r.news(d) {
			r.queue = append(r.queue, d)
		}
	}
}

// followAll does what was decided on. What is more than a record is decided on again:
// something before it may have changed it.
func (r *run) followAll() error {
	queue := r.queue
	r.queue = r.queue[:0]
	for _, d := range queue {
		if d.next.Do != trigger.Record {
			if r.decide(&d); !r.news(d) {
				continue
			}
		}
		if err := r.follow(d); err != nil {
			return err
		}
	}
	return nil
}

// decide says what follows from the verdict as things stand.
func (r *run) decide(d *decided) {
	v := d.verdict
	v.Stopped, v.Moot = "", false
	d.next = trigger.Decide(trigger.Case{Verdict: v, Alert: d.alert, Change: d.change, Throttle: r.rules[v.Rule].throttle, Now: r.w.now}, r.book)
	d.verdict.Stopped, d.verdict.Moot = d.next.Stopped, d.next.Moot
}

// news tells whether what follows is something new. A record counts as recorded from
// now on.
func (r *run) news(d decided) bool {
	switch d.next.Do {
	case trigger.Record:
		return r.once(d.verdict, d.alert)
	case trigger.Evidence:
		rb := r.rollbacks[d.next.RollbackID]
		return rb != nil && !knows(rb, d.verdict.Target, d.alert.Fingerprint)
	case trigger.Open:
		return true
	case trigger.Nothing:
	}
	return false
}

// follow does what follows, and tells it.
func (r *run) follow(d decided) error {
	e := Event{At: r.w.now, Verdict: d.verdict, Do: d.next.Do, RollbackID: d.next.RollbackID}
	if d.next.Do == trigger.Open {
		return r.open(d.change, e, d.alert, d.next)
	}
	if d.next.Do == trigger.Evidence {
		rb := r.rollbacks[d.next.RollbackID]
		*rb = rollback.Apply(*rb, r.w.now, backout.EvidenceAdded{Alert: alertRef(d.alert, d.verdict.Target)})
		r.w.turns++
	}
	r.sum.Verdicts++
	return r.fn(e)
}

// evidenceMost is how many alerts a rollback remembers.
const evidenceMost = 100

// knows tells whether one more word of the alert adds nothing to the rollback.
func knows(rb *backout.Rollback, target, fingerprint string) bool {
	return len(rb.Evidence) >= evidenceMost || slices.ContainsFunc(rb.Evidence, func(ref backout.AlertRef) bool {
		return ref.Fingerprint == fingerprint && ref.Target == target
	})
}

// open opens a rollback in the change's copy of this run.
func (r *run) open(c *backout.Change, e Event, a *backout.Alert, next trigger.Next) error {
	ref := alertRef(a, e.Verdict.Target)
	opened := backout.Opened{
		RollbackID: fmt.Sprintf("%s-r%d", c.ID, len(c.Rollbacks)+1), ChangeID: c.ID, Frozen: *c.Frozen, Targets: next.Targets,
		Trigger: backout.Trigger{Verdict: &e.Verdict}, Alert: &ref, StartAt: next.StartAt, AskFirst: next.AskFirst, StartAfter: next.StartAfter,
		Requester: c.Requester,
	}
	_, rb, err := rollback.Advance(backout.Rollback{}, r.w.now, rollback.Open{Opened: opened}, false)
	if err != nil {
		return fmt.Errorf("open a rollback of change %s: %w", c.ID, err)
	}
	*c = change.Apply(*c, 0, r.w.now, backout.RollbackRequested{Opened: opened})
	r.book.Acted(e.Verdict, next.StartAt, r.w.now)
	r.rollbacks[rb.ID] = &rb
	r.keep(c, &rb)
	e.RollbackID, e.Targets, e.StartAt, e.AskFirst, e.StartAfter = rb.ID, next.Targets, next.StartAt, next.AskFirst, next.StartAfter
	r.sum.Verdicts++
	r.sum.Opened++
	if err := r.fn(e); err != nil {
		return err
	}
	// It may have resolved already: some alerts come in after their end.
	return r.settle(c, &rb)
}

// remember is how long the server knows which alerts fire without doubt.
const remember = 24 * time.Hour

// resolved cancels what has not begun on targets that are not red any more.
func (r *run) resolved(targets []string) error {
	for _, target := range targets {
		for _, c := range r.w.live[target] {
			if rb := r.rollbacks[c.ActiveRollback(target)]; rb != nil {
				if err := r.settle(c, rb); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// settle cancels a rollback that has not begun and has no reason to any more.
func (r *run) settle(c *backout.Change, rb *backout.Rollback) error {
	if rb.Status.Final() || rb.Level >= 0 || r.w.now.Sub(rb.OpenedAt) > remember || r.w.stillRed(rb) {
		return nil
	}
	events, after, err := rollback.Advance(*rb, r.w.now, rollback.Resolved{}, false)
	if err != nil || len(events) == 0 {
		return err
	}
	*rb = after
	r.book.Cancelled(*rb.Trigger.Verdict, rb.StartAt, rb.OpenedAt)
	r.keep(c, rb)
	targets := make([]string, len(rb.Targets))
	for i, t := range rb.Targets {
		targets[i] = t.Name
	}
	return r.fn(Event{
		At: r.w.now, Verdict: *rb.Trigger.Verdict, Do: trigger.Nothing, Targets: targets, StartAt: rb.StartAt,
		AskFirst: rb.AskFirst, StartAfter: rb.StartAfter, RollbackID: rb.ID, Cancelled: true,
	})
}

// keep keeps the list of those that wait, and tells the change of an end.
func (r *run) keep(c *backout.Change, rb *backout.Rollback) {
	r.stale = true
	r.w.turns++
	if !rb.Status.Final() && rb.Level < 0 {
		if !slices.Contains(r.waiting, rb) {
			r.waiting = append(r.waiting, rb)
		}
		return
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(known *backout.Rollback) bool { return known == rb })
	if rb.Status.Final() {
		*c = change.Apply(*c, 0, r.w.now, backout.RollbackEnded{RollbackID: rb.ID, Status: rb.Status})
	}
}

// nextDeadline is when a rollback that waits begins, or its question expires.
func (r *run) nextDeadline() (time.Time, bool) {
	var next time.Time
	for _, rb := range r.waiting {
		if at, ok := rollback.NextDeadline(*rb); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, !next.IsZero()
}

// beginDue lets begin what is due. What has begun runs until its change ends.
func (r *run) beginDue() error {
	for _, rb := range slices.Clone(r.waiting) {
		at, ok := rollback.NextDeadline(*rb)
		if !ok || at.After(r.w.now) {
			continue
		}
		events, after, err := rollback.Advance(*rb, r.w.now, rollback.Tick{}, false)
		if err != nil || len(events) == 0 {
			return fmt.Errorf("rollback %s does not go on at its own deadline, %s: %w", rb.ID, at.UTC().Format(time.RFC3339), cmp.Or(err, backout.ErrStale))
		}
		*rb = after
		r.keep(r.change(rb.ChangeID, rb.Targets[0].Name), rb)
	}
	return nil
}

// ended forgets what followed on a change that is over.
func (r *run) ended(c *backout.Change) {
	delete(r.recorded, c.ID)
	for _, ref := range c.Rollbacks {
		delete(r.rollbacks, ref.ID)
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(rb *backout.Rollback) bool { return rb.ChangeID == c.ID })
	r.book.Forget(r.w.now)
}

func alertRef(a *backout.Alert, target string) backout.AlertRef {
	return backout.AlertRef{Fingerprint: a.Fingerprint, Name: a.Name(), Target: target, StartsAt: a.StartsAt, Summary: a.Annotations["summary"]}
}
