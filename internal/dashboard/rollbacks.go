package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// rollbackRows is how many rollbacks one page of the list shows.
const rollbackRows = 50

var rollbacksParams = []string{"change", "status", "target", "page"}

// statuses are those that rows can be chosen by.
var statuses = []backout.RollbackStatus{
	backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting, backout.RollbackHeld, backout.RollbackAborting,
	backout.RollbackRecovered, backout.RollbackExhausted, backout.RollbackAborted, backout.RollbackCancelled,
}

// rollbacks builds the list of all rollbacks.
func (d *Dashboard) rollbacks(ctx context.Context, q *query) (ui.Content, error) {
	out, err := rollbacksAsked(q)
	if err != nil {
		return nil, err
	}
	active, ended, err := d.everyRollback(ctx, q)
	if err != nil {
		return nil, err
	}
	out.All = len(active) + len(ended.list)
	active = slices.DeleteFunc(active, func(r backout.Rollback) bool { return !endingOf(&r).isChosen(out) })
	slices.SortFunc(active, func(a, b backout.Rollback) int { return endingOf(&a).newestFirst(endingOf(&b)) })
	var found []*ending
	for _, e := range ended.list {
		if e.isChosen(out) {
			found = append(found, e)
		}
	}
	out.UnderWay, out.Found = len(active), len(active)+len(found)
	out.Pages = max((out.Found+rollbackRows-1)/rollbackRows, 1)
	out.Number = min(out.Number, out.Pages)
	first := (out.Number - 1) * rollbackRows
	out.First = first + 1
	list, err := d.rollbackRows(ctx, q, active, found, first)
	if err != nil {
		return nil, err
	}
	for i := range list {
		out.Rows = append(out.Rows, ui.RollbackRow{Card: ui.Card{Rollback: list[i]}, Due: ui.Due(&list[i])})
	}
	d.durations(ctx, q, out, list)
	return *out, nil
}

// rollbacksAsked reads what is asked for.
func rollbacksAsked(q *query) (*ui.Rollbacks, error) {
	out := &ui.Rollbacks{
		Change: strings.TrimSpace(q.get("change")), Status: q.get("status"), Target: strings.TrimSpace(q.get("target")), Number: 1,
	}
	if out.Status != "" && !slices.Contains(statuses, backout.RollbackStatus(out.Status)) {
		return nil, handlers.Refuse(http.StatusBadRequest, "invalid", "status: want one that the page offers")
	}
	if page := q.get("page"); page != "" {
		n, err := strconv.Atoi(page)
		if err != nil || n < 1 {
			return nil, handlers.Refuse(http.StatusBadRequest, "invalid", "page: want a number from 1 on")
		}
		out.Number = n
	}
	for _, s := range statuses {
		out.Statuses = append(out.Statuses, ui.NewStatusChoice(s, out.Status))
	}
	return out, nil
}

// rollbackRows are the rows from the first on: those under way, then those that have ended.
func (d *Dashboard) rollbackRows(ctx context.Context, q *query, active []backout.Rollback, ended []*ending, first int) ([]backout.Rollback, error) {
	out := slices.Clone(active[min(first, len(active)):min(first+rollbackRows, len(active))])
	from := max(first-len(active), 0)
	for _, e := range ended[from:min(from+rollbackRows-len(out), len(ended))] {
		r, err := d.o.Services.Rollbacks.Rollback(ctx, e.id)
		switch {
		case notTheirs(err): // any more: the next view lists anew
			d.ended.keep(readerKey(q.by), nil)
		case err != nil:
			return nil, err
		default:
			out = append(out, r)
		}
	}
	return out, nil
}

// isChosen tells whether the rollback is among those that were asked for: part of a name
// is enough.
func (a *ending) isChosen(out *ui.Rollbacks) bool {
	if out.Status != "" && string(a.status) != out.Status || !has(a.change, out.Change) {
		return false
	}
	return out.Target == "" || slices.ContainsFunc(a.targets, func(name string) bool { return has(name, out.Target) })
}

func has(name, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(name), strings.ToLower(part))
}
