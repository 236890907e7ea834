package dashboard

import (
	"cmp"
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
	out := ui.Rollbacks{
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
	list, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{})
	if err != nil {
		return nil, err
	}
	out.All = len(list)
	list = slices.DeleteFunc(list, func(r backout.Rollback) bool { return !isChosen(&out, &r) })
	slices.SortStableFunc(list, func(a, b backout.Rollback) int {
		return cmp.Or(over(&a)-over(&b), b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	out.Found, out.Pages = len(list), max((len(list)+rollbackRows-1)/rollbackRows, 1)
	out.Number = min(out.Number, out.Pages)
	first := (out.Number - 1) * rollbackRows
	out.First = first + 1
	list = list[first:min(first+rollbackRows, len(list))]
	for i := range list {
		out.Rows = append(out.Rows, ui.RollbackRow{Card: ui.Card{Rollback: list[i]}, Due: ui.Due(&list[i])})
	}
	d.durations(ctx, q, &out, list)
	return out, nil
}

func over(r *backout.Rollback) int {
	if r.Status.Final() {
		return 1
	}
	return 0
}

// isChosen tells whether the rollback is among those that were asked for: part of a name
// is enough.
func isChosen(out *ui.Rollbacks, r *backout.Rollback) bool {
	if out.Status != "" && string(r.Status) != out.Status || !has(r.ChangeID, out.Change) {
		return false
	}
	return out.Target == "" || slices.ContainsFunc(r.Targets, func(t backout.TargetState) bool { return has(t.Name, out.Target) })
}

func has(name, part string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(part))
}
