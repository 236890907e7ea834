package handlers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// reasonBody is the body of what a person may give a reason for.
type reasonBody struct {
	Reason string `json:"reason"`
}

func (h *Handler) listChanges(c *call) error {
	get, err := c.query("state", "target")
	if err != nil {
		return err
	}
	f := ChangeFilter{State: backout.ChangeState(get("state")), Target: get("target")}
	if f.State != "" && !knownState(f.State) {
		return invalid("unknown state %s: want planned, ready, open, watching, backing_out, backed_out, backout_failed, closed or cancelled", quoteShort(string(f.State)))
	}
	changes, err := h.o.Changes.ListChanges(c.r.Context(), f)
	return answerList(c, changes, err)
}

func knownState(s backout.ChangeState) bool {
	switch s {
	case backout.ChangePlanned, backout.ChangeReady, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut,
		backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled:
		return true
	}
	return false
}

func (h *Handler) planChange(c *call) error {
	var spec backout.ChangeSpec
	if err := h.body(c, &spec); err != nil {
		return err
	}
	if !validName(spec.ID) || len(spec.ID) > 64 {
		return invalid("id %s: want 1 to 64 letters and digits, and . _ - after the first", quoteShort(spec.ID))
	}
	change, err := h.o.Changes.PlanChange(c.r.Context(), c.actor, spec)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/api/v1/changes/"+change.ID)
	writeJSON(c.w, http.StatusCreated, change)
	return nil
}

func (h *Handler) showChange(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	change, err := h.o.Changes.Change(c.r.Context(), id)
	return answerOne(c, change, err)
}

func (h *Handler) changeLog(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	entries, err := h.o.Changes.ChangeLog(c.r.Context(), id)
	return answerList(c, entries, err)
}

// checkGate answers 200 for a yes and for a no: the no is what was asked for.
func (h *Handler) checkGate(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	if err := h.optionalBody(c, &struct{}{}); err != nil {
		return err
	}
	result, err := h.o.Changes.CheckGate(c.r.Context(), c.actor, id)
	var refused *backout.RefusedError
	if errors.As(err, &refused) {
		result, err = GateResult{ChangeID: id, Violations: refused.Violations, Warnings: result.Warnings}, nil
	}
	return answerOne(c, result, err)
}

// change runs what moves a change and needs no more than its id.
func (h *Handler) change(c *call, do func(context.Context, Actor, string) (backout.Change, error)) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	if err := h.optionalBody(c, &struct{}{}); err != nil {
		return err
	}
	change, err := do(c.r.Context(), c.actor, id)
	return answerOne(c, change, err)
}

func (h *Handler) patchStarted(c *call) error { return h.change(c, h.o.Changes.PatchStarted) }

// changeFor runs what moves a change for a reason.
func (h *Handler) changeFor(c *call, do func(ctx context.Context, by Actor, id, reason string) (backout.Change, error)) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in reasonBody
	if err := h.optionalBody(c, &in); err != nil {
		return err
	}
	change, err := do(c.r.Context(), c.actor, id, in.Reason)
	return answerOne(c, change, err)
}

func (h *Handler) closeChange(c *call) error  { return h.changeFor(c, h.o.Changes.CloseChange) }
func (h *Handler) cancelChange(c *call) error { return h.changeFor(c, h.o.Changes.CancelChange) }

func (h *Handler) extendChange(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in struct {
		Closes time.Time `json:"closes"`
		Reason string    `json:"reason"`
	}
	if err := h.body(c, &in); err != nil {
		return err
	}
	if in.Closes.IsZero() {
		return invalid("closes: missing, want the new end of the window")
	}
	change, err := h.o.Changes.ExtendChange(c.r.Context(), c.actor, id, in.Closes, in.Reason)
	return answerOne(c, change, err)
}

func (h *Handler) patchEnded(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in struct {
		ExitCode *int      `json:"exit_code"`
		Targets  *[]string `json:"targets"`
	}
	if err := h.body(c, &in); err != nil {
		return err
	}
	if in.ExitCode == nil {
		return invalid("exit_code: missing, want the patch command's exit code")
	}
	var targets []string
	if in.Targets != nil {
		if targets = *in.Targets; len(targets) == 0 || slices.Contains(targets, "") {
			return invalid("targets: want the names of targets; leave it out when patching is over on all of them")
		}
	}
	change, err := h.o.Changes.PatchEnded(c.r.Context(), c.actor, id, *in.ExitCode, targets...)
	return answerOne(c, change, err)
}
