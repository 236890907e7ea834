package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"
)

// call is one request on its way through a route.
type call struct {
	w     *answer
	r     *http.Request
	actor Actor
	// need is what the route wants of them.
	need need
	// claim is the signature of a signed request, which names the actor once its body
	// has come.
	claim *claim
	// id is the request's, in the log and in the answer.
	id string
	// notes are what the route adds to the request's line in the log.
	notes []slog.Attr
}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serve runs one route: who may, the route itself, its no, the panic that must
// not end the server, the numbers and the line in the log.
func (h *Handler) serve(rt route) http.Handler {
	numbers := h.metrics.route(rt.Path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		h.metrics.inFlight.Inc()
		defer h.metrics.inFlight.Dec()
		c := &call{w: &answer{ResponseWriter: w}, r: r, need: rt.access, id: requestID(r)}
		secure(w.Header(), c.id)
		err := h.run(rt, c)
		if err != nil && c.w.status == 0 && !h.toSignIn(rt, c, err) {
			if unauthenticated(err) {
				w.Header().Add("WWW-Authenticate", `Bearer realm="backout"`)
				if h.asksForPassword(rt, c.r) {
					w.Header().Add("WWW-Authenticate", `Basic realm="backout", charset="UTF-8"`)
				}
			}
			h.fail(rt, c, err)
		}
		if c.w.status == 0 {
			c.w.WriteHeader(http.StatusOK)
		}
		took := time.Since(start)
		numbers.answered(c.w.status, took, rt.stream)
		h.logRequest(rt, c, took, err)
	})
}

// run checks who asks and calls the route. A panic becomes an error that tells
// the client nothing; [http.ErrAbortHandler] stays one.
func (h *Handler) run(rt route, c *call) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		h.metrics.panics.Inc()
		if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
			panic(p)
		}
		err = &panicError{value: p, stack: debug.Stack()}
	}()
	if rt.access != accessOpen && rt.access != accessSigned {
		if err = h.who(c, rt.access); err != nil {
			h.countRejected(rt, err)
			return err
		}
		c.r = c.r.WithContext(WithActor(c.r.Context(), c.actor))
	}
	if err := h.foreign(c.r); err != nil {
		h.countRejected(rt, err)
		return err
	}
	err = rt.handle(c)
	h.countRejected(rt, err)
	return err
}

func (h *Handler) countRejected(rt route, err error) {
	if err != nil && rt.access == accessIntake {
		_, body := describe(err)
		h.metrics.rejected.WithLabelValues(body.Code).Inc()
	}
}

// panicError is a bug.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// logRequest writes one line a request. Neither bodies nor headers go into it.
func (h *Handler) logRequest(rt route, c *call, took time.Duration, err error) {
	level := slog.LevelInfo
	switch {
	case c.w.status >= 500 && c.w.status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case c.w.status == http.StatusServiceUnavailable, c.w.status == http.StatusForbidden, len(c.notes) > 0, rt.access == accessIntake && c.w.status >= 400:
		level = slog.LevelWarn
	case err == nil && rt.quiet:
		level = slog.LevelDebug
	}
	ctx := c.r.Context()
	if !h.log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("request_id", c.id), slog.String("method", c.r.Method), slog.String("path", c.r.URL.Path),
		slog.Int("status", c.w.status), slog.Duration("took", took), slog.String("remote", c.r.RemoteAddr),
	)
	who := "by"
	if rt.access == accessIntake {
		who = "source"
	}
	if c.actor.Name != "" {
		attrs = append(attrs, slog.String(who, c.actor.Name))
	}
	attrs = append(attrs, c.notes...)
	if err != nil {
		_, body := describe(err)
		attrs = append(attrs, slog.String("reason", body.Code), slog.String("err", err.Error()))
	}
	var bug *panicError
	if errors.As(err, &bug) {
		attrs = append(attrs, slog.String("stack", string(bug.stack)))
	}
	h.log.LogAttrs(ctx, level, "request", attrs...)
}

// requestID takes over the sender's id if it is a harmless one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); validName(id) && len(id) <= 64 {
		return id
	}
	const digits = "0123456789abcdef"
	var out [16]byte
	for n, i := rand.Uint64(), 0; i < len(out); i++ {
		out[i] = digits[n&0xf]
		n >>= 4
	}
	return string(out[:])
}

// validName tells whether s can be the name of anything in backout: changes,
// rollbacks, attempts. Names become parts of subjects and files below, so
// nothing else gets past here.
func validName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// secure sets what every answer carries. There are no CORS headers: no other
// site has any business here.
func secure(header http.Header, requestID string) {
	// One allocation for all; each value's own slice, so that a route may add to it.
	values := [...]string{requestID, "nosniff", "default-src 'none'; frame-ancestors 'none'", "no-referrer", "no-store"}
	header["X-Request-Id"] = values[0:1:1]
	header["X-Content-Type-Options"] = values[1:2:2]
	header["Content-Security-Policy"] = values[2:3:3]
	header["Referrer-Policy"] = values[3:4:4]
	header["Cache-Control"] = values[4:5:5]
}
