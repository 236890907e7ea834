package handlers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
)

// The kinds of a [Delivery].
const (
	kindWebhook = "webhook"
	kindV2      = "v2"
)

var (
	errTooLarge  = noTo(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than this server takes")
	errAccepting = errors.New("the storage did not answer in time")
)

// webhook takes Alertmanager's webhook; the package's doc lists its answers.
func (h *Handler) webhook(c *call) error {
	body, leave, err := h.receive(c)
	if err != nil {
		return err
	}
	defer leave()
	hook, err := alertwire.DecodeWebhook(body)
	if err != nil {
		return unreadable(err)
	}
	h.noteLosses(c, hook.Truncated, hook.Cut)
	return h.accept(c, Delivery{Kind: kindWebhook, Source: c.actor.Name, Body: body, Alerts: hook.Alerts, Truncated: hook.Truncated})
}

// receive reads the body of a request with alerts, once there is room for it.
// leave gives the room back when the alerts no longer wait.
func (h *Handler) receive(c *call) (body []byte, leave func(), err error) {
	if err := wantJSON(c.r); err != nil {
		return nil, nil, err
	}
	size := c.r.ContentLength
	if size > h.limits.MaxBody {
		return nil, nil, errTooLarge
	}
	if size < 0 {
		size = h.limits.MaxBody
	}
	if !h.intake.enter(size) {
		return nil, nil, errOverloaded
	}
	if body, err = h.read(c); err != nil {
		h.intake.leave(size)
		return nil, nil, err
	}
	return body, func() { h.intake.leave(size) }, nil
}

func (h *Handler) read(c *call) ([]byte, error) {
	from := http.MaxBytesReader(c.w, c.r.Body, h.limits.MaxBody)
	var body []byte
	var err error
	if n := c.r.ContentLength; n >= 0 {
		body = make([]byte, n)
		_, err = io.ReadFull(from, body)
	} else {
		body, err = io.ReadAll(from)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, &apiError{http.StatusBadRequest, "invalid", "the body ended early", err}
	}
	return body, nil
}

// wantJSON refuses every content type but JSON's, and compressed bodies.
func wantJSON(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	if given != "application/json" {
		if media, _, err := mime.ParseMediaType(given); err != nil || media != "application/json" {
			return noTo(http.StatusUnsupportedMediaType, "content_type", "unsupported content type "+strconv.Quote(given)+": want application/json")
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return noTo(http.StatusUnsupportedMediaType, "content_type", "unsupported content encoding "+strconv.Quote(encoding)+": send the body as it is")
	}
	return nil
}

// unreadable is the no to a body that cannot be read.
func unreadable(err error) error {
	var wire *alertwire.Error
	if errors.As(err, &wire) && wire.Kind == alertwire.TooMany {
		return noTo(http.StatusRequestEntityTooLarge, "too_large", err.Error())
	}
	if errors.As(err, &wire) && wire.Kind == alertwire.Syntax {
		return invalid("not JSON: %v", err)
	}
	return invalid("%v", err)
}

// accept gives the alerts on, and returns nil only once they are on disk.
func (h *Handler) accept(c *call, d Delivery) error {
	if len(d.Alerts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(c.r.Context(), h.limits.AcceptTimeout, errAccepting)
	defer cancel()
	if err := h.o.Intake.Accept(ctx, d); err != nil {
		if c.r.Context().Err() != nil {
			return context.Canceled
		}
		return &apiError{http.StatusServiceUnavailable, "unavailable", "the alerts could not be stored: come again", err}
	}
	h.countAlerts(d.Source, d.Alerts)
	return nil
}

func (h *Handler) countAlerts(source string, alerts []backout.Alert) {
	firing := 0
	for i := range alerts {
		if alerts[i].Firing {
			firing++
		}
	}
	if firing > 0 {
		h.metrics.alerts.WithLabelValues(source, "firing").Add(float64(firing))
	}
	if resolved := len(alerts) - firing; resolved > 0 {
		h.metrics.alerts.WithLabelValues(source, "resolved").Add(float64(resolved))
	}
}

// noteLosses counts what did not come in whole, and has it logged as a warning.
func (h *Handler) noteLosses(c *call, truncated, cut int) {
	// With 0 too: a series that begins with its first event hides it from
	// Prometheus' increase().
	h.metrics.truncated.WithLabelValues(c.actor.Name).Add(float64(truncated))
	if truncated > 0 {
		c.notes = append(c.notes, slog.Int("truncated_alerts", truncated))
	}
	if cut > 0 {
		h.metrics.cut.Add(float64(cut))
		c.notes = append(c.notes, slog.Int("cut_values", cut))
	}
}

// invalidAlerts are the alerts of a request that were left out.
type invalidAlerts struct{ text string }

func (e *invalidAlerts) Error() string { return e.text }
func (*invalidAlerts) Unwrap() error   { return backout.ErrInvalid }

// postAlerts takes alerts as Alertmanager's own API does; the package's doc lists
// its answers.
func (h *Handler) postAlerts(c *call) error {
	body, leave, err := h.receive(c)
	if err != nil {
		return err
	}
	defer leave()
	posted, err := alertwire.DecodePostable(body, time.Now())
	if err != nil {
		return missingAsAlertmanager(err)
	}
	h.noteLosses(c, 0, posted.Cut)
	if err := h.accept(c, Delivery{Kind: kindV2, Source: c.actor.Name, Body: body, Alerts: posted.Alerts}); err != nil {
		return err
	}
	if len(posted.Invalid) > 0 {
		return &invalidAlerts{joinLines(posted.Invalid)}
	}
	return nil
}
