package handlers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
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
	hook, err := inSlot(h, c, func() (alertwire.Webhook, error) { return alertwire.DecodeWebhook(body) })
	if err != nil {
		return unreadable(err)
	}
	h.noteLosses(c, hook.Truncated, hook.Cut)
	return h.accept(c, Delivery{Kind: kindWebhook, Source: c.actor.Name, Body: body, Alerts: hook.Alerts, Truncated: hook.Truncated})
}

// receive reads the body of a request with alerts, while there is room for it.
// leave gives the room back when the alerts no longer wait.
func (h *Handler) receive(c *call) (body []byte, leave func(), err error) {
	if err := wantJSON(c.r); err != nil {
		return nil, nil, err
	}
	if c.r.ContentLength > h.limits.MaxBody {
		return nil, nil, errTooLarge
	}
	// net/http lifts the deadline when the body has come. The error says that the
	// connection knows none: then it has none.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(h.limits.BodyTimeout))
	if body, err = h.read(c); err != nil {
		return nil, nil, err
	}
	size := int64(len(body))
	if c.claim != nil {
		h.unproven.release(size)
		if c.actor, err = c.claim.prove(body); err != nil {
			h.intake.release(size)
			return nil, nil, err
		}
	}
	// Only now, so that who sends nothing takes no place.
	if !h.intake.enter() {
		h.intake.release(size)
		return nil, nil, errOverloaded
	}
	return body, func() { h.intake.leave(); h.intake.release(size) }, nil
}

// firstRead is what a body is given before anything of it has come. Bodies of
// some ten alerts fit.
const firstRead = 16 << 10

// read reads the body and charges it. Neither room nor memory is given on the
// sender's word: both follow what has come, memory at most twice that.
func (h *Handler) read(c *call) (body []byte, err error) {
	from := http.MaxBytesReader(c.w, c.r.Body, h.limits.MaxBody)
	size := c.r.ContentLength
	most := size
	if size < 0 {
		// One more than allowed, to see that there is more.
		most = h.limits.MaxBody + 1
	}
	charged := int64(0)
	body = make([]byte, 0, min(most, firstRead))
	for err == nil && int64(len(body)) < most {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(most, 2*int64(cap(body)))), body...)
		}
		var n int
		n, err = from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if !h.charge(c, int64(n)) {
			h.release(c, charged)
			return nil, errOverloaded
		}
		charged += int64(n)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF) && (size < 0 || charged == size):
		return body, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	h.release(c, charged)
	return nil, unread(err)
}

// charge counts bytes of a body that have come; release gives them back.
func (h *Handler) charge(c *call, n int64) bool {
	if c.claim != nil && !h.unproven.charge(n) {
		return false
	}
	if h.intake.charge(n) {
		return true
	}
	if c.claim != nil {
		h.unproven.release(n)
	}
	return false
}

func (h *Handler) release(c *call, n int64) {
	if c.claim != nil {
		h.unproven.release(n)
	}
	h.intake.release(n)
}

// unread is the no to a body that did not come whole. One that stalled is worth
// sending again, so it must not be a 4xx, at which senders give up.
func unread(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &apiError{http.StatusServiceUnavailable, "stalled", "the body did not come in time: send it again", err}
	}
	return &apiError{http.StatusBadRequest, "invalid", "the body ended early", err}
}

// inSlot decodes when a slot is free. There is one for each processor: more at
// once would be no faster, only larger.
func inSlot[T any](h *Handler, c *call, decode func() (T, error)) (out T, err error) {
	select {
	case h.decoding <- struct{}{}:
	case <-c.r.Context().Done():
		return out, context.Canceled
	}
	defer func() { <-h.decoding }()
	return decode()
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

// unreadable is the no to a body that cannot be decoded. Other errors stay as
// they are.
func unreadable(err error) error {
	var wire *alertwire.Error
	switch {
	case !errors.As(err, &wire):
		return err
	case wire.Kind == alertwire.TooMany:
		return noTo(http.StatusRequestEntityTooLarge, "too_large", err.Error())
	case wire.Kind == alertwire.Syntax:
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
	if c.claim != nil {
		d.Signature = c.claim.signed
	}
	if err := h.o.Intake.Accept(ctx, d); err != nil {
		switch {
		case errors.Is(err, backout.ErrExists):
			return errReplayed
		case c.r.Context().Err() != nil:
			return context.Canceled
		case errors.Is(err, backout.ErrInvalid) && !errors.Is(err, backout.ErrUnavailable):
			// It never fits, so coming again is no use.
			return &apiError{http.StatusRequestEntityTooLarge, "too_large", "the alerts are more than the storage takes at once: send fewer in a request", err}
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
	posted, err := inSlot(h, c, func() (alertwire.Postable, error) { return alertwire.DecodePostable(body, time.Now()) })
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
