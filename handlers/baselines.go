package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/backout-io/backout"
)

// captureBaseline goes on when the client is gone: what is made on targets is
// finished or taken back, never left half way.
func (h *Handler) captureBaseline(c *call) error {
	return h.change(c, func(ctx context.Context, by Actor, id string) (change backout.Change, err error) {
		err = h.enduring(ctx, func(ctx context.Context) error {
			change, err = h.o.Baselines.CaptureBaseline(ctx, by, id)
			return err
		})
		return change, err
	})
}

// openChange is as enduring as captureBaseline, for the same reason.
func (h *Handler) openChange(c *call) error {
	return h.change(c, func(ctx context.Context, by Actor, id string) (change backout.Change, err error) {
		err = h.enduring(ctx, func(ctx context.Context) error {
			change, err = h.o.Changes.OpenChange(ctx, by, id)
			return err
		})
		return change, err
	})
}

// ofTarget reads what is stored of one target of a change.
func ofTarget[T any](c *call, read func(ctx context.Context, changeID, target string) (T, error)) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	target := c.r.PathValue("target")
	if !validTarget(target) {
		return invalid("target %s: not the name of a target", quoteShort(target))
	}
	stored, err := read(c.r.Context(), id, target)
	return answerOne(c, stored, err)
}

func (h *Handler) showBaseline(c *call) error { return ofTarget(c, h.o.Baselines.Baseline) }
func (h *Handler) showDelta(c *call) error    { return ofTarget(c, h.o.Baselines.Delta) }

// drift compares targets with their baselines now. It changes nothing on them, so
// it ends with the client.
func (h *Handler) drift(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in struct {
		Targets []string `json:"targets"`
	}
	if err := h.optionalBody(c, &in); err != nil {
		return err
	}
	for _, target := range in.Targets {
		if !validTarget(target) {
			return invalid("targets: %s is not the name of a target", quoteShort(target))
		}
	}
	found, err := h.o.Baselines.Drift(c.r.Context(), c.actor, id, in.Targets)
	return answerList(c, found, err)
}

func (h *Handler) showDrift(c *call) error {
	digest, err := PathDigest(c.r, "digest")
	if err != nil {
		return err
	}
	report, err := h.o.Baselines.DriftReport(c.r.Context(), digest)
	return answerOne(c, report, err)
}

// PathDigest returns the digest of the path under which something is stored, or refuses
// what is none.
func PathDigest(r *http.Request, wildcard string) (string, error) {
	digest := r.PathValue(wildcard)
	if !validDigest(digest) {
		return "", invalid("%s %s: want sha256: and 64 hex digits", wildcard, quoteShort(digest))
	}
	return digest, nil
}

func (h *Handler) listHolds(c *call) error {
	all, err := c.flag("all")
	if err != nil {
		return err
	}
	holds, err := h.o.Baselines.Holds(c.r.Context(), all)
	return answerList(c, holds, err)
}

func (h *Handler) releaseHold(c *call) error {
	var in struct {
		ChangeID string `json:"change_id"`
		Target   string `json:"target"`
		Reason   string `json:"reason"`
	}
	if err := h.body(c, &in); err != nil {
		return err
	}
	switch {
	case !validName(in.ChangeID):
		return invalid("change_id %s: not the id of a change", quoteShort(in.ChangeID))
	case !validTarget(in.Target):
		return invalid("target %s: not the name of a target; none never means all", quoteShort(in.Target))
	case strings.TrimSpace(in.Reason) == "":
		return invalid("reason: missing, want why the patch may come back")
	}
	var hold backout.Hold
	err := h.enduring(c.r.Context(), func(ctx context.Context) (err error) {
		hold, err = h.o.Baselines.ReleaseHold(ctx, c.actor, in.ChangeID, in.Target, in.Reason)
		return err
	})
	return answerOne(c, hold, err)
}

// validTarget tells whether s can be the name of a target: a host name or an
// address, so a colon is allowed where [validName] allows none.
func validTarget(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || c != '.' && c != '_' && c != ':' && c != '-') {
			return false
		}
	}
	return true
}

// validDigest tells whether s can be the name of something stored by its content.
func validDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}
