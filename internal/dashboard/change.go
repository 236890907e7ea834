package dashboard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/told"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// changeRollbacks is how many rollbacks the page of a change shows, and changeTargets
	// how many targets.
	changeRollbacks, changeTargets = 20, 20
	// recordsLive is how many records of the timeline are sent again and again while the
	// change is live; who wants more asks for recordsMost.
	recordsLive = 60
)

var changeParams = []string{"records"}

func levelStarted(level int) string { return told.LevelName(level) + " started" }

// change builds the page of one change.
func (d *Dashboard) change(ctx context.Context, q *query) (ui.Content, error) {
	id, err := handlers.PathName(q.r, "id")
	if err != nil {
		return nil, err
	}
	c, err := d.o.Services.Changes.Change(ctx, id)
	if err != nil {
		return nil, err
	}
	most, err := recordsAsked(q.get("records"), &c)
	if err != nil {
		return nil, err
	}
	out := ui.Change{Change: c, Next: ui.NextOf(&c, q.now), Local: localWindow(c.Window), AllOf: recordsMost}
	rollbacks, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{ChangeID: id})
	if err != nil {
		return nil, err
	}
	showRollbacks(&out, rollbacks)
	d.showTargets(ctx, q, &out)
	own, err := d.changeLog(ctx, &c)
	if err != nil {
		return nil, err
	}
	out.Verdicts, out.MoreVerdicts = own.verdicts, own.moreVerdicts
	all := []*gist{own}
	for i := range out.Rollbacks {
		g, err := d.rollbackLog(ctx, &out.Rollbacks[i].Rollback)
		if err != nil {
			out.TimelineUnknown = err.Error()
			continue
		}
		all = append(all, g)
	}
	if out.MoreRollbacks > 0 && out.TimelineUnknown == "" {
		out.TimelineUnknown = "it has the newest " + strconv.Itoa(len(out.Rollbacks)) + " rollbacks only"
	}
	merge(&out, all, most)
	d.drawAlerts(ctx, q, &out, all)
	return out, nil
}

// recordsAsked is how many records of the timeline are shown.
func recordsAsked(asked string, c *backout.Change) (int, error) {
	switch {
	case asked != "":
		n, err := strconv.Atoi(asked)
		if err != nil || n < 1 || n > recordsMost {
			return 0, wrong("records: want a number from 1 to " + strconv.Itoa(recordsMost))
		}
		return n, nil
	case c.State.Final():
		return recordsMost, nil
	}
	return recordsLive, nil
}

// localWindow says the window in its own time zone, for people there.
func localWindow(w backout.Window) string {
	if w.TimeZone == "" || w.TimeZone == "UTC" || w.Opens.IsZero() {
		return ""
	}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return "planned in " + w.TimeZone
	}
	const day, hour = "2006-01-02 15:04", "15:04"
	opens, closes := w.Opens.In(zone), w.Closes.In(zone)
	until := day
	if opens.Format(time.DateOnly) == closes.Format(time.DateOnly) {
		until = hour
	}
	return opens.Format(day) + " to " + closes.Format(until) + " in " + w.TimeZone
}

// showRollbacks puts those that are active first, then the newest.
func showRollbacks(out *ui.Change, rollbacks []backout.Rollback) {
	slices.SortStableFunc(rollbacks, func(a, b backout.Rollback) int {
		if a.Status.Final() != b.Status.Final() {
			if a.Status.Final() {
				return 1
			}
			return -1
		}
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	for i := range rollbacks[:min(len(rollbacks), changeRollbacks)] {
		out.Rollbacks = append(out.Rollbacks, ui.Card{Rollback: rollbacks[i]})
	}
	out.MoreRollbacks = len(rollbacks) - len(out.Rollbacks)
	if out.Change.State != backout.ChangeBackingOut {
		return
	}
	active := slices.DeleteFunc(slices.Clone(out.Rollbacks), func(c ui.Card) bool { return c.Rollback.Status.Final() })
	if ui.SortCards(active); len(active) > 0 {
		out.Next = ui.Upcoming{Due: active[0].Due(), Says: active[0].Next() + " (" + active[0].Rollback.ID + ")"}
	}
}

// showTargets says what is known of the first targets, those that were patched first.
func (d *Dashboard) showTargets(ctx context.Context, q *query, out *ui.Change) {
	c := &out.Change
	names := slices.Clone(c.Targets)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(len(c.Deltas[b]), len(c.Deltas[a]))
	})
	for _, name := range names[:min(len(names), changeTargets)] {
		t := ui.ChangeTarget{Name: name, Baseline: c.Baselines[name], Delta: c.Deltas[name], Patched: c.PatchedOn(name)}
		switch {
		case !d.o.Services.May(q.by, access.ActionRead, []string{name}):
			t.Hidden = true
		case t.Delta != "":
			t.Says = d.deltaInWords(ctx, c.ID, name, t.Delta)
		}
		out.Targets = append(out.Targets, t)
	}
	out.MoreTargets = len(names) - len(out.Targets)
}

// deltaInWords says in a few words what the patch changed on a target that may be seen.
// A delta never changes, so it is read once.
func (d *Dashboard) deltaInWords(ctx context.Context, change, target, digest string) string {
	if says, known := d.deltas.get(digest); known {
		return says
	}
	delta, err := d.o.Services.Baselines.Delta(ctx, change, target)
	switch {
	case errors.Is(err, backout.ErrNotFound):
		return "not stored any more"
	case err != nil:
		return "not known: " + err.Error()
	}
	says := ui.DeltaSays(&delta)
	d.deltas.put(digest, says)
	return says
}

// merge puts the records of all logs into one timeline, newest first.
func merge(out *ui.Change, all []*gist, most int) {
	for _, g := range all {
		out.Timeline = append(out.Timeline, g.records...)
		out.Older += g.older
	}
	slices.SortStableFunc(out.Timeline, func(a, b ui.Happened) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID), cmp.Compare(b.Seq, a.Seq))
	})
	if more := len(out.Timeline) - most; more > 0 {
		out.Timeline, out.Older = out.Timeline[:most], out.Older+more
	}
}
