package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// defaultPulse is how often the server judges what is red again.
const defaultPulse = 5 * time.Second

// Run runs the set over the history and calls fn with every event, in order. It
// ends early with the error of ctx, of the history or of fn.
//
// What happens at one moment happens in this order: changes move, rollbacks that
// wait begin, alerts come in, what is red is judged again, looks are taken.
func Run(ctx context.Context, set *rules.Set, h History, o Options, fn func(Event) error) (Summary, error) {
	r, err := newRun(set, h, o, fn)
	if err != nil {
		return Summary{}, err
	}
	if h.Alerts != nil {
		err = r.deliveries(ctx)
	}
	if err == nil {
		err = r.rest(ctx)
	}
	return r.sum, err
}

// run is one run, at the time w.now.
type run struct {
	set *rules.Set
	h   *History
	o   Options
	fn  func(Event) error
	w   *world
	sum Summary
	// moments are what is still to happen to changes.
	moments []moment
	looks   []time.Time
	// due is when something happens by itself next, as far as is known: never later
	// than it does. stale says that it must be found anew.
	due   time.Time
	stale bool
	// pulsed is when what is red was last judged again, boundary the next time at
	// which it would be if anything were.
	pulsed   time.Time
	boundary time.Time
	follower
}

func newRun(set *rules.Set, h History, o Options, fn func(Event) error) (*run, error) {
	moments, err := pasts(h.Changes)
	if err != nil {
		return nil, err
	}
	o.Pulse = cmp.Or(max(0, o.Pulse), defaultPulse)
	r := &run{set: set, h: &h, o: o, fn: fn, moments: moments, looks: slices.Clone(o.Looks), stale: true}
	slices.SortFunc(r.looks, time.Time.Compare)
	r.w = newWorld(set, &h)
	r.follower = newFollower(set, o)
	r.w.settled, r.w.every = r.settled, o.Judged != nil
	return r, nil
}

// deliveries takes in what came in, and lets happen what happened meanwhile.
func (r *run) deliveries(ctx context.Context) error {
	for d, err := range r.h.Alerts {
		if err != nil {
			return err
		}
		if !r.o.Until.IsZero() && d.At.After(r.o.Until) {
			return nil
		}
		if r.sum.Alerts == 0 {
			r.sum.From = d.At
		} else if d.At.Before(r.w.now) {
			return fmt.Errorf("alert %s came in at %s, before the one in front of it: the history is out of order: %w",
				d.Alert.Fingerprint, d.At.UTC().Format(time.RFC3339Nano), backout.ErrInvalid)
		}
		if r.sum.Alerts%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r.sum.Alerts++
		if r.stale || !d.At.Before(r.due) {
			if err := r.until(ctx, d.At, false); err != nil {
				return err
			}
		}
		if d.At.After(r.boundary) {
			r.forget(d.At)
		}
		r.w.now = d.At.UTC()
		if err := r.take(&d.Alert); err != nil {
			return err
		}
	}
	return nil
}

// rest lets happen what is left until the end.
func (r *run) rest(ctx context.Context) error {
	end := r.o.Until
	if end.IsZero() {
		end = r.w.now
		if len(r.looks) > 0 && r.looks[len(r.looks)-1].After(end) {
			end = r.looks[len(r.looks)-1]
		}
	}
	if err := r.until(ctx, end, true); err != nil {
		return err
	}
	r.sum.Until = end
	return nil
}

// take judges one alert as it comes in.
func (r *run) take(a *backout.Alert) error {
	if r.h.Watchdog.Match(a) {
		return nil
	}
	live := r.w.observe(a)
	if len(live) == 0 {
		return nil
	}
	r.stale, r.w.stale = true, true
	if !a.Firing {
		return r.resolved(live)
	}
	if err := r.judge(r.w.earliest(a)); err != nil {
		return err
	}
	return r.followAll()
}

// until lets happen what happens by itself up to the time. What comes after the
// alerts of one moment happens at that time only with all.
func (r *run) until(ctx context.Context, to time.Time, all bool) error {
	for {
		at, kind := r.next()
		r.due, r.stale = at, false
		if kind == none || at.After(to) || at.Equal(to) && !all && kind > begins {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if at.After(r.w.now) {
			r.forget(at)
			r.w.now = at.UTC()
		}
		if err := r.happens(kind); err != nil {
			return err
		}
	}
}

// kind is what happens by itself, in the order of one moment.
type kind int

const (
	none kind = iota
	moves
	begins
	pulses
	looked
)

// next says what happens by itself next.
func (r *run) next() (time.Time, kind) {
	at, what := never, none
	consider := func(t time.Time, k kind) {
		if t.Before(at) {
			at, what = t, k
		}
	}
	if len(r.moments) > 0 {
		consider(r.moments[0].at, moves)
	}
	if t, ok := r.nextDeadline(); ok {
		consider(t, begins)
	}
	if len(r.w.redLive) > 0 {
		consider(r.nextPulse(), pulses)
	}
	if len(r.looks) > 0 {
		consider(r.looks[0], looked)
	}
	return at, what
}

// never is later than anything.
var never = time.Unix(1<<40, 0)

// nextPulse is the next whole multiple of the pulse.
func (r *run) nextPulse() time.Time {
	at := r.w.now.Truncate(r.o.Pulse)
	if at.Before(r.w.now) || !r.pulsed.Before(at) {
		at = at.Add(r.o.Pulse)
	}
	return at
}

// forget drops what nobody has confirmed in time, as of the last pulse before the
// time. Where nothing red is on a live change, pulses do no more.
func (r *run) forget(before time.Time) {
	last := before.Truncate(r.o.Pulse)
	r.boundary = last.Add(r.o.Pulse)
	if !last.Before(before) {
		r.boundary = last
		last = last.Add(-r.o.Pulse)
	}
	r.w.table.Expire(last)
}

func (r *run) happens(k kind) error {
	switch k {
	case moves:
		m := r.moments[0]
		r.moments = r.moments[1:]
		return r.moved(m)
	case begins:
		return r.beginDue()
	case pulses:
		r.pulsed = r.w.now
		return r.judgeAll()
	case looked:
		r.looks = r.looks[1:]
		if r.o.Look != nil {
			r.o.Look(r.w.now, r.w)
		}
	case none:
	}
	return nil
}

// moved moves a change. What is red already is judged against a new window.
func (r *run) moved(m moment) error {
	c := &m.change.now
	was := c.State.Live()
	m.happens()
	r.w.turns++
	switch is := c.State.Live(); {
	case is && !was:
		r.sum.Changes++
		r.w.begin(c)
		return r.judgeAll()
	case was && !is:
		r.w.end(c)
		r.ended(c)
	case is:
		r.w.patched(c)
	}
	return nil
}

// judgeAll judges every firing alert on a target of a live change.
func (r *run) judgeAll() error {
	gone := r.w.table.Expire(r.w.now)
	gone = slices.DeleteFunc(gone, func(target string) bool { return len(r.w.live[target]) == 0 })
	if err := r.resolved(gone); err != nil {
		return err
	}
	for _, j := range r.w.redOnLive() {
		if !r.w.again(j) {
			continue
		}
		j.turns, j.fires = r.w.turns, r.w.fires
		if err := r.judge(j.alert); err != nil {
			return err
		}
		j.done, j.reads = true, r.w.tried
	}
	return r.followAll()
}

// judge asks the rules about one firing alert, and decides on their verdicts.
func (r *run) judge(a *backout.Alert) error {
	if r.o.Judged != nil {
		r.o.Judged(a, r.w, r.w.now)
	}
	r.w.judging, r.w.tried = a, rules.Reads{}
	result := r.set.Match(a, r.w, r.w.now)
	r.w.judging = nil
	for _, problem := range result.Errors {
		if !r.failedAnew(problem, a) {
			continue
		}
		r.sum.Errors++
		v := backout.Verdict{Rule: problem.Rule, Group: problem.Group, ChangeID: problem.ChangeID}
		if err := r.fn(Event{At: r.w.now, Verdict: v, Do: trigger.Nothing, Error: problem.Error()}); err != nil {
			return err
		}
	}
	r.decideAll(result.Verdicts, a)
	return nil
}
