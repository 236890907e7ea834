package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// What only a client meets.
var (
	// ErrUnauthenticated says that the server wants a token, or a better one.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden says that the server knows who asks and lets them not do this, or
	// does not talk to this machine at all.
	ErrForbidden = backout.ErrForbidden
)

// Error is the server's no, as it said it.
type Error struct {
	// Status is the HTTP status.
	Status int `json:"status,omitempty"`
	handlers.ErrorBody
}

// Error is the server's message.
func (e *Error) Error() string {
	if e.Code == "internal" && e.RequestID != "" {
		return e.Message + " " + e.RequestID
	}
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// Unwrap makes errors.Is work across the wire.
func (e *Error) Unwrap() error {
	for _, s := range sentinels {
		if e.Code == s.code {
			return s.err
		}
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return ErrUnauthenticated
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		return backout.ErrNotFound
	case http.StatusBadRequest:
		return backout.ErrInvalid
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return backout.ErrUnavailable
	}
	return nil
}

// sentinels are the codes of the API; a code beats the status.
var sentinels = []struct {
	code string
	err  error
}{
	{"not_found", backout.ErrNotFound},
	{"conflict", backout.ErrConflict},
	{"exists", backout.ErrExists},
	{"refused", backout.ErrRefused},
	{"final", backout.ErrFinal},
	{"stale", backout.ErrStale},
	{"paused", backout.ErrPaused},
	{"unavailable", backout.ErrUnavailable},
	{"invalid", backout.ErrInvalid},
}

// ConnectError says that the server gave no answer at all.
type ConnectError struct {
	Host string
	Err  error
}

// Error names the server, never the whole URL.
func (e *ConnectError) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.Host, e.Err) }

// Unwrap is the transport's reason.
func (e *ConnectError) Unwrap() error { return e.Err }

// Temporary tells whether asking again, unchanged, can help: no answer, or an
// answer that asks to come back.
func Temporary(err error) bool {
	var connect *ConnectError
	if errors.As(err, &connect) || errors.Is(err, backout.ErrUnavailable) || errors.Is(err, backout.ErrConflict) {
		return true
	}
	var answer *Error
	return errors.As(err, &answer) && (answer.Status >= 500 || answer.Status == http.StatusTooManyRequests)
}

// readError reads the API's error body; anything else becomes one line.
func readError(res *http.Response, data []byte) error {
	var body struct {
		Error handlers.ErrorBody `json:"error"`
	}
	if err := json.Unmarshal(data, &body); err != nil || body.Error.Message == "" && body.Error.Code == "" {
		body.Error = handlers.ErrorBody{Message: firstLine(data)}
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		body.Error.Message = "the server redirects to " + res.Header.Get("Location") + ": give that address"
	}
	return &Error{res.StatusCode, body.Error}
}

func firstLine(data []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if len(line) > 200 || strings.HasPrefix(line, "<") {
		return ""
	}
	return line
}
