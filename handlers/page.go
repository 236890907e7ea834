package handlers

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// pageChanges is how many changes the status page shows.
	pageChanges = 100
	// pageLogs is of how many of them it reads the log, for their verdicts.
	pageLogs = 20
	// pageVerdicts is how many verdicts it shows, pageHolds how many holds.
	pageVerdicts = 20
	pageHolds    = 50
)

// page shows the status page. It needs no script and no second request.
func (h *Handler) page(c *call) error {
	status, err := h.status(c.r.Context())
	if err != nil {
		return err
	}
	return answerPage(c, http.StatusOK, ui.Policy(), func(w io.Writer) error { return ui.Page(w, status) })
}

func (h *Handler) status(ctx context.Context) (ui.Status, error) {
	s := ui.Status{Now: time.Now(), Version: h.o.Version}
	if err := h.o.Control.Ready(); err != nil {
		s.NotReady = err.Error()
	}
	watched, err := h.o.Control.Monitoring(ctx)
	if err != nil {
		return s, err
	}
	s.Unwatched = !watched.Watched
	if watched.Blind {
		s.Blind = &ui.Blind{Since: watched.BlindSince, LastSeen: watched.LastSeen}
	}
	paused, err := h.o.Control.PauseState(ctx)
	if err != nil {
		return s, err
	}
	if paused.On {
		s.Paused = &ui.Pause{By: paused.By, Reason: paused.Reason, At: paused.At}
	}
	if s.Rollbacks, err = h.o.Rollbacks.ListRollbacks(ctx, RollbackFilter{ActiveOnly: true}); err != nil {
		return s, err
	}
	changes, err := h.o.Changes.ListChanges(ctx, ChangeFilter{})
	if err != nil {
		return s, err
	}
	for i := range changes {
		if changes[i].State.Live() || changes[i].Capture != nil {
			s.Changes = append(s.Changes, changes[i])
		}
	}
	slices.SortStableFunc(s.Changes, func(a, b backout.Change) int { return b.OpenedAt.Compare(a.OpenedAt) })
	if more := len(s.Changes) - pageChanges; more > 0 {
		s.MoreChanges, s.Changes = more, s.Changes[:pageChanges]
	}
	h.holds(ctx, &s)
	s.Verdicts, err = h.verdicts(ctx, s.Changes[:min(len(s.Changes), pageLogs)])
	return s, err
}

// holds adds the newest holds. The page is of use without them.
func (h *Handler) holds(ctx context.Context, s *ui.Status) {
	holds, err := h.o.Baselines.Holds(ctx, false)
	if err != nil {
		s.HoldsUnknown = err.Error()
		return
	}
	s.Holds = holds[:min(len(holds), pageHolds)]
	s.MoreHolds = len(holds) - len(s.Holds)
}

// verdicts finds what rules said of the changes, newest first: what led to a
// rollback, and what led to nothing.
func (h *Handler) verdicts(ctx context.Context, changes []backout.Change) ([]backout.Verdict, error) {
	var found []backout.Verdict
	for i := range changes {
		entries, err := h.o.Changes.ChangeLog(ctx, changes[i].ID)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			for _, event := range entry.Record.Events {
				switch e := event.(type) {
				case backout.VerdictGiven:
					found = append(found, e.Verdict)
				case backout.RollbackRequested:
					if v := e.Opened.Trigger.Verdict; v != nil {
						found = append(found, *v)
					}
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b backout.Verdict) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Rule, b.Rule))
	})
	return found[:min(len(found), pageVerdicts)], nil
}
