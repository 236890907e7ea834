package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

func (h *Handler) listRollbacks(c *call) error {
	get, err := c.query("change", "active", "unreviewed")
	if err != nil {
		return err
	}
	f := RollbackFilter{ChangeID: get("change")}
	if f.ChangeID != "" && !validName(f.ChangeID) {
		return invalid("change %s: not the id of a change", quoteShort(f.ChangeID))
	}
	for name, on := range map[string]*bool{"active": &f.ActiveOnly, "unreviewed": &f.Unreviewed} {
		if text := get(name); text != "" {
			if *on, err = strconv.ParseBool(text); err != nil {
				return invalid("%s %s: want true or false", name, quoteShort(text))
			}
		}
	}
	rollbacks, err := h.o.Rollbacks.ListRollbacks(c.r.Context(), f)
	return answerList(c, rollbacks, err)
}

func (h *Handler) startRollback(c *call) error {
	var in StartRequest
	if err := h.body(c, &in); err != nil {
		return err
	}
	if !validName(in.ChangeID) {
		return invalid("change_id %s: not the id of a change", quoteShort(in.ChangeID))
	}
	if len(in.Targets) == 0 {
		return invalid("targets: name at least one; none never means all")
	}
	rollback, err := h.o.Rollbacks.StartRollback(c.r.Context(), c.actor, in)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/api/v1/rollbacks/"+rollback.ID)
	writeJSON(c.w, http.StatusCreated, rollback)
	return nil
}

func (h *Handler) showRollback(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	rollback, err := h.o.Rollbacks.Rollback(c.r.Context(), id)
	return answerOne(c, rollback, err)
}

func (h *Handler) rollbackLog(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	entries, err := h.o.Rollbacks.RollbackLog(c.r.Context(), id)
	return answerList(c, entries, err)
}

func (h *Handler) vote(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in struct {
		AskID  string         `json:"ask_id"`
		Choice backout.Choice `json:"choice"`
		Reason string         `json:"reason"`
	}
	if err := h.body(c, &in); err != nil {
		return err
	}
	if in.AskID == "" {
		return invalid("ask_id: missing, want the id of the open question: a vote answers one question and no other")
	}
	if in.Choice != backout.ChoiceApprove && in.Choice != backout.ChoiceDeny {
		return invalid("choice %s: want approve or deny", quoteShort(string(in.Choice)))
	}
	rollback, err := h.o.Rollbacks.Vote(c.r.Context(), c.actor, id, in.AskID, in.Choice, in.Reason)
	return answerOne(c, rollback, err)
}

func (h *Handler) act(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in Action
	if err := h.body(c, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	rollback, err := h.o.Rollbacks.Act(c.r.Context(), c.actor, id, in)
	return answerOne(c, rollback, err)
}

func (a Action) check() error {
	switch a.Verb {
	case VerbHold, VerbRelease, VerbPause, VerbResume, VerbEscalate, VerbAbort:
		if a.AttemptID != "" || a.Verdict != "" {
			return invalid("attempt_id and verdict belong to resolve, not to %s", a.Verb)
		}
		return a.checkSince()
	case VerbBreakGlass, VerbReview:
		switch {
		case a.AttemptID != "" || a.Verdict != "":
			return invalid("attempt_id and verdict belong to resolve, not to %s", a.Verb)
		case strings.TrimSpace(a.Reason) == "":
			return invalid("reason: missing, %s needs one", a.Verb)
		case a.Verb == VerbBreakGlass && a.AskID == "":
			return invalid("ask_id: missing, want the id of the open question: the glass is broken for one question and no other")
		}
		return nil
	case VerbResolve:
		if !validName(a.AttemptID) {
			return invalid("attempt_id %s: want the id of the attempt in doubt", quoteShort(a.AttemptID))
		}
		switch a.Verdict {
		case "happened", "did_not", "failed":
			return nil
		}
		return invalid("verdict %s: want happened, did_not or failed", quoteShort(a.Verdict))
	}
	return invalid("verb %s: want hold, release, pause, resume, escalate, abort, resolve, break_glass or review", quoteShort(string(a.Verb)))
}

// checkSince: only what ends a stop names the one that it ends.
func (a Action) checkSince() error {
	switch {
	case !a.Since.IsZero() && a.Verb != VerbRelease && a.Verb != VerbResume && a.Verb != VerbEscalate:
		return invalid("since belongs to release, resume and escalate, not to %s", a.Verb)
	case a.Unheld && a.Verb != VerbEscalate:
		return invalid("unheld belongs to escalate, not to %s", a.Verb)
	case a.Unheld && !a.Since.IsZero():
		return invalid("since and unheld: want one of them: the rollback was held, or it was not")
	}
	return nil
}

// stepOutput answers plain text that no browser takes for anything else.
func (h *Handler) stepOutput(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	attempt, err := c.name("attempt")
	if err != nil {
		return err
	}
	output, err := h.o.Rollbacks.StepOutput(c.r.Context(), id, attempt)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(output)))
	_, _ = c.w.Write(output)
	return nil
}
