package dashboard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// readyDays is how far the page looks ahead unasked, and readyMost how far it can.
	readyDays, readyMost = 14, 366
	// readySections is how many changes are shown whole, and readyRows how many more in
	// short.
	readySections, readyRows = 8, 60
)

// detail is how much of one answer of the gate is shown: rows of its table, and
// different reasons.
type detail struct{ rows, reasons int }

var (
	amongOthers = detail{rows: 12, reasons: 8}
	byItself    = detail{rows: 50, reasons: 50}
)

var readinessParams = []string{"days", "change"}

// readiness builds the page of whether rollbacks would work.
func (d *Dashboard) readiness(ctx context.Context, q *query) (ui.Content, error) {
	out := ui.Readiness{Days: readyDays, Change: q.get("change")}
	if days := q.get("days"); days != "" {
		var err error
		if out.Days, err = strconv.Atoi(days); err != nil || out.Days < 1 || out.Days > readyMost {
			return nil, wrong("days: want a number from 1 to " + strconv.Itoa(readyMost))
		}
	}
	if out.Change != "" {
		c, err := d.o.Services.Changes.Change(ctx, out.Change)
		if err != nil {
			return nil, err
		}
		out.Sections = []ui.ReadySection{d.readySection(ctx, q, c, byItself)}
		return out, nil
	}
	changes, err := d.o.Services.Changes.ListChanges(ctx, handlers.ChangeFilter{ActiveOnly: true})
	if err != nil {
		return nil, err
	}
	next := soonest(&out, changes, q)
	for i, c := range next {
		switch {
		case i < readySections:
			out.Sections = append(out.Sections, d.readySection(ctx, q, *c, amongOthers))
		case len(out.Rest) < readyRows:
			out.Rest = append(out.Rest, ui.ReadyRow{Change: *c, Asking: d.asking.has(c.ID)})
		default:
			out.More++
		}
	}
	return out, nil
}

// soonest are the changes that the page is about: live ones whose way back broke, then
// those that may open until then; the next one always.
func soonest(out *ui.Readiness, changes []backout.Change, q *query) []*backout.Change {
	horizon := q.now.AddDate(0, 0, out.Days)
	var broken, coming []*backout.Change
	for i := range changes {
		c := &changes[i]
		over := !c.Window.Closes.IsZero() && !q.now.Before(c.Window.Closes)
		switch {
		case c.State.Live() && len(c.NotReady) > 0:
			broken = append(broken, c)
		case !c.State.Live() && !c.State.Final() && !over:
			coming = append(coming, c)
		}
	}
	byOpening := func(a, b *backout.Change) int {
		return cmp.Or(a.Window.Opens.Compare(b.Window.Opens), cmp.Compare(a.ID, b.ID))
	}
	slices.SortStableFunc(broken, byOpening)
	slices.SortStableFunc(coming, byOpening)
	soon := len(coming)
	for soon > 1 && coming[soon-1].Window.Opens.After(horizon) {
		soon--
	}
	out.Later = len(coming) - soon
	return append(broken, coming[:soon]...)
}

// readySection is the gate's last word on a change that may be seen.
func (d *Dashboard) readySection(ctx context.Context, q *query, c backout.Change, how detail) ui.ReadySection {
	s := ui.ReadySection{ReadyRow: ui.ReadyRow{Change: c, Asking: d.asking.has(c.ID)}}
	s.MayAsk = !c.State.Final() && d.o.Services.May(q.by, access.ActionChange, c.Targets)
	answer, err := d.gateAnswer(ctx, &c, how)
	switch {
	case errors.Is(err, backout.ErrNotFound):
	case err != nil:
		s.Unknown = err.Error()
		s.No = ui.Together(slices.Concat(c.Violations, c.NotReady), how.reasons)
	default:
		s.Asked, s.At, s.Table, s.No, s.Warns, s.Losses, s.MoreLosses = true, answer.At, answer.Table, answer.No, answer.Warns, answer.Losses, answer.MoreLosses
	}
	return s
}

// answers keeps the gate's last answers as they are shown: to read one of a thousand
// targets takes longer than to show it. It is safe for concurrent use.
type answers struct {
	mu   sync.Mutex
	kept map[answerKey]ui.ReadySection
}

type answerKey struct {
	change   string
	revision uint64
	how      detail
}

// answersMost is how many answers are kept.
const answersMost = 128

// gateAnswer is the gate's last answer about a change that may be seen.
func (d *Dashboard) gateAnswer(ctx context.Context, c *backout.Change, how detail) (ui.ReadySection, error) {
	key := answerKey{c.ID, c.Revision, how}
	d.answers.mu.Lock()
	known, ok := d.answers.kept[key]
	d.answers.mu.Unlock()
	if ok && c.Revision != 0 {
		return known, nil
	}
	answer, err := d.o.Services.Insight.GateAnswer(ctx, c.ID)
	if err != nil {
		return ui.ReadySection{}, err
	}
	s := answerShown(answer, how)
	d.answers.mu.Lock()
	defer d.answers.mu.Unlock()
	if d.answers.kept == nil || len(d.answers.kept) >= answersMost {
		d.answers.kept = map[answerKey]ui.ReadySection{}
	}
	d.answers.kept[key] = s
	return s, nil
}

// answerShown is an answer as it is shown, beside what the change itself says.
func answerShown(answer handlers.GateResult, how detail) ui.ReadySection {
	looks := make([]ui.GateLook, len(answer.Looks))
	for i, l := range answer.Looks {
		looks[i] = ui.GateLook(l)
	}
	s := ui.ReadySection{At: answer.At, Table: ui.Tabulate(looks, how.rows), No: ui.Together(answer.Violations, how.reasons)}
	// That a yes is stale is said by the change, as it is now.
	warnings := slices.DeleteFunc(slices.Clone(answer.Warnings), func(v backout.Violation) bool { return v.Check == "stale" })
	s.Warns = ui.Together(warnings, how.reasons)
	s.Losses, s.MoreLosses = ui.Losses(looks, how.reasons)
	return s
}
