package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// nowChanges is how many live changes the page names, nowRed how many red targets.
	nowChanges = 12
	nowRed     = 20
	// nowRollbacks is how many rollbacks it shows, nowReviews how many that have ended and
	// wait for a review.
	nowRollbacks = 50
	nowReviews   = 10
	// everyAlert is more than fire at once anywhere. Which of them are those of a rollback
	// is known here, so none may be left out before.
	everyAlert = 1 << 30
)

// now builds the page of what is red.
func (d *Dashboard) now(ctx context.Context, q *query) (ui.Content, error) {
	s := d.o.Services
	var out ui.Now
	in, err := d.underWay(ctx, q, &out)
	if err != nil {
		return nil, err
	}
	if err := d.owed(ctx, q, &out); err != nil {
		return nil, err
	}
	changes, err := s.Changes.ListChanges(ctx, handlers.ChangeFilter{ActiveOnly: true})
	if err != nil {
		return nil, err
	}
	sortLive(&out, changes, q.now)
	d.shut(&out, changes, q.now)
	if err := d.red(ctx, &out, in); err != nil {
		return nil, err
	}
	watched, err := s.Control.Monitoring(ctx)
	if err != nil {
		return nil, err
	}
	out.Watched, out.LastSeen, out.Blind = watched.Watched, watched.LastSeen, watched.Blind
	out.Undelivered = d.late.count(ctx, q, s.Control)
	return out, nil
}

// held are the targets of the active rollbacks, of those that are not shown too.
type held struct {
	// working are those that a rollback is not done with; back are those that one has
	// brought back, and touches no more, with its id.
	working map[string]bool
	back    map[string]string
}

// underWay finds the active rollbacks, and tells which targets are in one.
func (d *Dashboard) underWay(ctx context.Context, q *query, out *ui.Now) (held, error) {
	in := held{working: map[string]bool{}, back: map[string]string{}}
	rollbacks, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{ActiveOnly: true})
	if err != nil {
		return in, err
	}
	for i := range rollbacks {
		r := &rollbacks[i]
		for _, t := range r.Targets {
			if t.Phase == backout.TargetRecovered {
				in.back[t.Name] = r.ID
			} else {
				in.working[t.Name] = true
			}
		}
		out.Rollbacks = append(out.Rollbacks, ui.Card{Rollback: *r})
	}
	ui.SortCards(out.Rollbacks)
	if more := len(out.Rollbacks) - nowRollbacks; more > 0 {
		out.MoreRollbacks, out.Rollbacks = more, out.Rollbacks[:nowRollbacks]
	}
	for i := range out.Rollbacks {
		d.offer(ctx, q, &out.Rollbacks[i])
	}
	return in, nil
}

// owed finds the rollbacks that ended and wait for a review; those under way have a card.
func (d *Dashboard) owed(ctx context.Context, q *query, out *ui.Now) error {
	list, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{Unreviewed: true})
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(list) { // the newest come first
		switch {
		case !r.Status.Final():
		case len(out.Reviews) == nowReviews:
			out.MoreReviews++
		default:
			card := ui.Card{Rollback: r}
			d.offer(ctx, q, &card)
			out.Reviews = append(out.Reviews, card)
		}
	}
	return nil
}

// offer adds what whoever looks may do to the rollback.
func (d *Dashboard) offer(ctx context.Context, q *query, card *ui.Card) {
	var offers []ui.Offer
	for _, o := range d.o.Services.Insight.Offered(ctx, q.by, card.Rollback) {
		offers = append(offers, ui.Offer{Answer: o.Answer, AskID: o.AskID, AttemptID: o.AttemptID, Target: o.Target, FreshLogin: o.FreshLogin})
	}
	card.Offer(offers)
	q.typed.putBack(card)
}

// sortLive puts the live changes by what ends first, and finds the next to open.
func sortLive(out *ui.Now, changes []backout.Change, now time.Time) {
	for i := range changes {
		c := &changes[i]
		switch {
		case c.State.Live():
			out.Changes = append(out.Changes, *c)
			if len(c.NotReady) > 0 {
				out.Unready = append(out.Unready, *c)
			}
		case c.Window.Opens.After(now) && (out.Next == nil || c.Window.Opens.Before(out.Next.Window.Opens)):
			out.Next = c
		}
	}
	slices.SortStableFunc(out.Changes, func(a, b backout.Change) int {
		return cmp.Or(ends(&a).Compare(ends(&b)), cmp.Compare(a.ID, b.ID))
	})
	if more := len(out.Changes) - nowChanges; more > 0 {
		out.MoreChanges, out.Changes = more, out.Changes[:nowChanges]
	}
	out.Unready = out.Unready[:min(len(out.Unready), nowChanges)]
}

// shut puts the windows whose time has come and that are not open by what is over first.
func (d *Dashboard) shut(out *ui.Now, changes []backout.Change, now time.Time) {
	for i := range changes {
		c := &changes[i]
		w := c.Window
		over := !w.Closes.IsZero() && !now.Before(w.Closes)
		if c.State.Live() || c.State.Final() || w.Opens.IsZero() || w.Opens.After(now) || over {
			continue
		}
		out.Shut = append(out.Shut, ui.ShutWindow{ReadyRow: ui.ReadyRow{Change: *c, Asking: d.asking.has(c.ID)}, Next: ui.NextOf(c, now)})
	}
	slices.SortStableFunc(out.Shut, func(a, b ui.ShutWindow) int {
		return cmp.Or(ends(&a.Change).Compare(ends(&b.Change)), cmp.Compare(a.Change.ID, b.Change.ID))
	})
	if more := len(out.Shut) - nowChanges; more > 0 {
		out.MoreShut, out.Shut = more, out.Shut[:nowChanges]
	}
}

// ends is when alerts stop counting for the change, as far as it is known.
func ends(c *backout.Change) time.Time {
	if !c.WatchUntil.IsZero() {
		return c.WatchUntil
	}
	return c.Window.Closes.Add(time.Duration(c.Window.Watch))
}

// red finds what is red on live changes, and what no rollback is at work on.
func (d *Dashboard) red(ctx context.Context, out *ui.Now, in held) error {
	alerts, _, err := d.o.Services.Rules.RedAlerts(ctx, everyAlert)
	if err != nil {
		return fmt.Errorf("look at what is red: %w", err)
	}
	for _, a := range alerts {
		if len(a.ChangeIDs) == 0 || in.working[a.Target] {
			continue
		}
		if len(out.Red) == nowRed {
			out.MoreRed++
			continue
		}
		out.Red = append(out.Red, ui.RedTarget{
			Target: a.Target, Alert: a.Alert.Name(), Summary: a.Alert.Annotations["summary"], Since: a.Alert.StartsAt, ChangeIDs: a.ChangeIDs,
			BackIn: in.back[a.Target],
		})
	}
	return nil
}
