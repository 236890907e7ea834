package dashboard

import (
	"context"
	"net/http"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// driftRollbacks is how many rollbacks of one comparison are named.
const driftRollbacks = 5

// drift builds the page of a comparison that was stored.
func (d *Dashboard) drift(ctx context.Context, q *query) (ui.Content, error) {
	digest, err := handlers.PathDigest(q.r, "digest")
	if err != nil {
		return nil, err
	}
	report, err := d.o.Services.Baselines.DriftReport(ctx, digest)
	if err != nil {
		return nil, err
	}
	part := q.get("part")
	if part != "" && !slices.ContainsFunc(report.Differences, func(x backout.Difference) bool { return x.Part == part }) {
		return nil, handlers.Refuse(http.StatusBadRequest, "invalid", "part: nothing of that name differs here: leave ?part= away to see all")
	}
	out := ui.Drift{Digest: digest}
	out.Differ(&report, part)
	// What the change is called, and which rollback asked, is of use beside the rest only.
	if change, err := d.o.Services.Changes.Change(ctx, report.ChangeID); err == nil {
		out.ChangeTitle = change.Title
	}
	rollbacks, err := d.o.Services.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{ChangeID: report.ChangeID})
	if err != nil {
		out.NoRollbacks = err.Error()
	}
	for i := range rollbacks {
		if endedWith(&rollbacks[i], digest) && len(out.Rollbacks) < driftRollbacks {
			out.Rollbacks = append(out.Rollbacks, rollbacks[i].ID)
		}
	}
	return out, nil
}

// endedWith tells whether a target of the rollback has this comparison.
func endedWith(r *backout.Rollback, digest string) bool {
	return slices.ContainsFunc(r.Targets, func(t backout.TargetState) bool { return t.Drift != nil && t.Drift.Report == digest })
}
