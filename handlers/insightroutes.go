package handlers

import "net/http"

var errNoInsight = noTo(http.StatusNotFound, "not_found", "this server does not tell how things came to be")

func (h *Handler) gateAnswer(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	if h.o.Insight == nil {
		return errNoInsight
	}
	answer, err := h.o.Insight.GateAnswer(c.r.Context(), id)
	return answerOne(c, answer, err)
}

func (h *Handler) rollbackNotices(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	if h.o.Insight == nil {
		return errNoInsight
	}
	notices, err := h.o.Insight.RollbackNotices(c.r.Context(), id)
	return answerList(c, notices, err)
}
