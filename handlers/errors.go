package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/backout-io/backout"
)

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = 2

// apiError is a no that arises at the edge itself.
type apiError struct {
	status  int
	code    string
	message string
	// cause is for the log.
	cause error
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return e.message + ": " + e.cause.Error()
	}
	return e.message
}

func (e *apiError) Unwrap() error { return e.cause }

func noTo(status int, code, message string) *apiError {
	return &apiError{status: status, code: code, message: message}
}

func invalid(format string, args ...any) error {
	return noTo(http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...))
}

var (
	errOverloaded = noTo(http.StatusServiceUnavailable, "overloaded", "too many requests are waiting: come again")
	errNoRoute    = noTo(http.StatusNotFound, "not_found", "no such route: see docs/api.md")
)

// statusTable maps what the services return. The first match counts, so what is
// more telling stands first.
var statusTable = []struct {
	err    error
	status int
	code   string
}{
	{backout.ErrNotFound, http.StatusNotFound, "not_found"},
	{backout.ErrExists, http.StatusConflict, "exists"},
	{backout.ErrFinal, http.StatusConflict, "final"},
	{backout.ErrStale, http.StatusConflict, "stale"},
	{backout.ErrConflict, http.StatusConflict, "conflict"},
	{backout.ErrPaused, http.StatusLocked, "paused"},
	{backout.ErrForbidden, http.StatusForbidden, "forbidden"},
	{backout.ErrRefused, http.StatusUnprocessableEntity, "refused"},
	{backout.ErrInvalid, http.StatusBadRequest, "invalid"},
	{backout.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable"},
}

// statusClientGone is only counted and logged: nobody is there to read it.
const statusClientGone = 499

// ErrorBody is what a no looks like on the wire, below "error".
type ErrorBody struct {
	// Code is one word for programs, Message the words for people.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Violations are a gate's reasons, Problems the mistakes in files.
	Violations []backout.Violation `json:"violations,omitempty"`
	Problems   backout.Problems    `json:"problems,omitempty"`
	// RequestID finds the request in the server's log.
	RequestID string `json:"request_id,omitempty"`
}

// describe turns an error into its status and body. Errors nobody foresaw keep
// their text for the log.
func describe(err error) (int, ErrorBody) {
	var own *apiError
	if errors.As(err, &own) {
		return own.status, ErrorBody{Code: own.code, Message: own.message}
	}
	var problems backout.Problems
	if errors.As(err, &problems) {
		return http.StatusUnprocessableEntity, ErrorBody{Code: "problems", Message: "the files have mistakes; the old config stays", Problems: problems}
	}
	if errors.Is(err, context.Canceled) {
		return statusClientGone, ErrorBody{Code: "cancelled", Message: "the client went away"}
	}
	for _, row := range statusTable {
		if !errors.Is(err, row.err) {
			continue
		}
		body := ErrorBody{Code: row.code, Message: err.Error()}
		var refused *backout.RefusedError
		if errors.As(err, &refused) {
			body.Violations = refused.Violations
		}
		return row.status, body
	}
	return http.StatusInternalServerError, ErrorBody{Code: "internal", Message: "internal error: the server's log has it under this request id"}
}

// fail answers err in the shape that the caller wants.
func (h *Handler) fail(rt route, c *call, err error) {
	switch {
	case rt.likeAlertmanager:
		writeAlertmanagerError(c.w, c.id, err)
	case h.asPage(rt, c.r):
		status, body := describe(err)
		body.RequestID = c.id
		if status == http.StatusServiceUnavailable {
			c.w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		h.o.ErrorPage(c.w, c.r, status, body)
	default:
		writeError(c.w, c.id, err)
	}
}

// writeError answers err in the API's shape.
func writeError(w http.ResponseWriter, requestID string, err error) {
	status, body := describe(err)
	body.RequestID = requestID
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, status, struct {
		Error ErrorBody `json:"error"`
	}{body})
}

// writeJSON answers with a JSON body. A value that cannot be encoded is a bug
// and answers 500; a client that went away is nobody's concern.
func writeJSON(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Errorf("encode answer: %w", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
