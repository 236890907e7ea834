package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

const (
	// seenPosts is how many posts of the log are read for one alert, seenFor how long
	// that may take.
	seenPosts = 50_000
	seenFor   = 20 * time.Second
)

// seenWithin are the spans of the log that are read for an alert, each when the
// one before did not have it: what is looked for is mostly recent.
var seenWithin = []time.Duration{15 * time.Minute, 5 * time.Hour, 30 * time.Hour, 30 * 24 * time.Hour}

// errRead ends the reading of the log.
var errRead = errors.New("enough was read")

// findSeen finds the alert of that fingerprint: among what fires, else the newest
// post that has it, up to the moment asked about.
func (x *explaining) findSeen(ctx context.Context, fingerprint string) error {
	if !x.past {
		if a := x.e.world.redBy(fingerprint); a != nil && len(x.targetsOf(a)) > 0 {
			x.alert = x.e.world.earliest(a)
			return nil
		}
	}
	ctx, stop := context.WithTimeoutCause(ctx, seenFor, errRead)
	defer stop()
	left := seenPosts
	for _, within := range seenWithin {
		found, whole, err := x.readSeen(ctx, fingerprint, x.at.Add(-within), &left)
		if err != nil {
			return err
		}
		if found.alert != nil {
			x.takeSeen(found)
			return nil
		}
		if !whole {
			break
		}
	}
	return fmt.Errorf("alert %q: neither firing nor among the last %d requests before %s: %w", fingerprint, seenPosts-left, x.at.Format(time.RFC3339), backout.ErrNotFound)
}

// takeSeen takes an alert from the log. One that nobody vouches for any more counts
// as resolved, as it does where alerts are judged.
func (x *explaining) takeSeen(found seen) {
	a := *found.alert
	x.note("the alert is as it was told last before %s: at %s", x.at.Format(time.RFC3339), found.at.UTC().Format(time.RFC3339))
	if a.Firing && !a.EndsAt.IsZero() && a.EndsAt.Before(x.at) {
		a.Firing = false
		x.note("nobody has confirmed the alert since, so it counts as resolved from %s on", a.EndsAt.UTC().Format(time.RFC3339))
	}
	x.alert = &a
}

// seen is an alert and when it came.
type seen struct {
	alert *backout.Alert
	at    time.Time
}

func (x *explaining) targetsOf(a *backout.Alert) []string {
	with := explaining{cfg: x.cfg, alert: a}
	return with.targets()
}

// readSeen reads the log from a time to the moment asked about and returns the last
// alert of that fingerprint. whole is false when not all of it could be read.
func (x *explaining) readSeen(ctx context.Context, fingerprint string, since time.Time, left *int) (last seen, whole bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	whole = true
	err = x.e.store.Alerts.Follow(ctx, since, func(_ store.Position, _ bool, p store.Post) error {
		if p.ReceivedAt.After(x.at) {
			return errRead
		}
		if *left--; *left < 0 {
			whole = false
			return errRead
		}
		alerts, err := decodePost(p)
		if err != nil {
			return nil //nolint:nilerr // one that a newer decoder cannot read any more
		}
		for i := range alerts {
			if alerts[i].Fingerprint == fingerprint {
				last = seen{&alerts[i], p.ReceivedAt}
			}
		}
		return nil
	}, func() { stop(errRead) })
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, errRead), errors.Is(cause, errRead):
		*left = max(0, *left)
		return last, whole, nil
	}
	return seen{}, false, err
}

// redBy is the alert of that fingerprint that fires on some target, as it came; nil
// when none does.
func (w *world) redBy(fingerprint string) *backout.Alert {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, target := range w.evidence.RedNames() {
		if _, firing := w.evidence.FiringSince(target, fingerprint); !firing {
			continue
		}
		for _, a := range w.evidence.Red(target) {
			if a.Fingerprint == fingerprint {
				return a
			}
		}
	}
	return nil
}

// RedAlerts implements [handlers.Rules].
func (e *Engine) RedAlerts(_ context.Context, most int) ([]handlers.RedAlert, int, error) {
	list := e.world.red()
	slices.SortFunc(list, func(a, b handlers.RedAlert) int {
		if onLive := len(a.ChangeIDs) > 0; onLive != (len(b.ChangeIDs) > 0) {
			if onLive {
				return -1
			}
			return 1
		}
		return cmp.Or(b.Alert.StartsAt.Compare(a.Alert.StartsAt), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Alert.Fingerprint, b.Alert.Fingerprint))
	})
	return list[:min(len(list), max(0, most))], len(list), nil
}

// red lists everything that fires, in no order.
func (w *world) red() []handlers.RedAlert {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var list []handlers.RedAlert
	for _, target := range w.evidence.RedNames() {
		var ids []string
		for _, c := range w.live[target] {
			ids = append(ids, c.ID)
		}
		for _, a := range w.evidence.Red(target) {
			list = append(list, handlers.RedAlert{Target: target, Alert: *a, ChangeIDs: ids})
		}
	}
	return list
}

var _ rules.World = (*explaining)(nil)
