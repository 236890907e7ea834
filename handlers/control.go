package handlers

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (h *Handler) listTargets(c *call) error {
	targets, err := h.o.Control.Targets(c.r.Context())
	return answerList(c, targets, err)
}

func (h *Handler) listNotices(c *call) error {
	notices, err := h.o.Control.Notices(c.r.Context())
	return answerList(c, notices, err)
}

func (h *Handler) showMonitoring(c *call) error {
	status, err := h.o.Control.Monitoring(c.r.Context())
	return answerOne(c, status, err)
}

func (h *Handler) listRunners(c *call) error {
	runners, err := h.o.Control.Runners(c.r.Context())
	return answerList(c, runners, err)
}

func (h *Handler) notifyTest(c *call) error {
	var in TestNotice
	if err := h.body(c, &in); err != nil {
		return err
	}
	if in.Channel == "" {
		return invalid("channel: missing, want the name of a channel; none never means all")
	}
	words, err := h.o.Control.NotifyTest(c.r.Context(), c.actor, in)
	return answerOne(c, words, err)
}

func (h *Handler) pauseState(c *call) error {
	state, err := h.o.Control.PauseState(c.r.Context())
	return answerOne(c, state, err)
}

func (h *Handler) pauseSwitch(c *call, do func(context.Context, Actor, string) (PauseState, error)) error {
	var in reasonBody
	if err := h.optionalBody(c, &in); err != nil {
		return err
	}
	state, err := do(c.r.Context(), c.actor, in.Reason)
	return answerOne(c, state, err)
}

func (h *Handler) pause(c *call) error  { return h.pauseSwitch(c, h.o.Control.Pause) }
func (h *Handler) resume(c *call) error { return h.pauseSwitch(c, h.o.Control.Resume) }

func (h *Handler) reload(c *call) error {
	if err := h.optionalBody(c, &struct{}{}); err != nil {
		return err
	}
	return answerNone(c, h.o.Control.Reload(c.r.Context()))
}

func (h *Handler) livez(c *call) error { return plainOK(c) }

func (h *Handler) readyz(c *call) error {
	if err := h.o.Control.Ready(); err != nil {
		return &apiError{http.StatusServiceUnavailable, "unavailable", "not ready: " + err.Error(), nil}
	}
	return plainOK(c)
}

func plainOK(c *call) error {
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = c.w.Write([]byte("ok\n"))
	return nil
}

func (h *Handler) showMetrics(c *call) error {
	promhttp.HandlerFor(h.metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(c.w, c.r)
	return nil
}
