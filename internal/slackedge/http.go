package slackedge

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier/slack"
)

// Path is where Slack posts what people do, when it does not use Socket Mode.
const Path = "/slack/interactions"

// maxBody is the largest request taken; Slack's are far smaller.
const maxBody = 1 << 20

// ServeHTTP takes interactions that Slack posts. The body's signature must fit, which
// bounds its age too; the payload must be the one field of the body: what stands in the
// address is not signed.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, reply, err := e.receive(w, r)
	if err != nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	if len(reply) > 0 {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(reply)
	}
}

func (e *Edge) receive(w http.ResponseWriter, r *http.Request) (status int, reply slack.Reply, err error) {
	fail := func(status int, why, text string) (int, slack.Reply, error) {
		e.refused(r.Context(), slack.Interaction{}, "", why, text)
		return status, nil, errors.New(text)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		return fail(http.StatusMethodNotAllowed, WhyInvalid, "only POST changes anything")
	case r.URL.RawQuery != "":
		return fail(http.StatusBadRequest, WhyForged, "the request has a query, which is not signed")
	case media != "application/x-www-form-urlencoded":
		return fail(http.StatusUnsupportedMediaType, WhyInvalid, "the body is no form")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fail(http.StatusRequestEntityTooLarge, WhyInvalid, "the body cannot be read")
	}
	signers, err := e.signers(r.Header, body)
	if err != nil {
		why := WhyForged
		if errors.Is(err, backout.ErrStale) {
			why = WhyExpired
		}
		return fail(http.StatusUnauthorized, why, err.Error())
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["payload"]) != 1 {
		return fail(http.StatusBadRequest, WhyInvalid, "the body has not one payload")
	}
	reply, err = e.interaction(r.Context(), r.Header.Get("X-Slack-Signature"), []byte(form.Get("payload")), func(n *slack.Notifier) bool { return signers[n] })
	return statusOf(err), reply, err
}

// signers are the channels of the app that has signed the body.
func (e *Edge) signers(header http.Header, body []byte) (map[*slack.Notifier]bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	signers := map[*slack.Notifier]bool{}
	err := errors.New("no channel has a signing_secret")
	for _, n := range e.channels {
		if n.Socket() {
			continue
		}
		if err = n.Verify(header, body); err == nil {
			signers[n] = true
		}
	}
	if len(signers) > 0 {
		return signers, nil
	}
	return nil, err
}

func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errReplayed):
		return http.StatusConflict
	case errors.Is(err, backout.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, backout.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, backout.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
