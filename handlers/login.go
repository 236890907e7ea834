package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Refuse returns an error that is answered with the status, a word for programs and
// words for people.
func Refuse(status int, code, message string) error { return noTo(status, code, message) }

// Describe returns the HTTP status that an error is answered with, and what it says.
// Errors nobody foresaw say only where to look.
func Describe(err error) (int, ErrorBody) { return describe(err) }

// errNoRole is for people who are who they say, and may do nothing.
var errNoRole = noTo(http.StatusForbidden, "no_role", "you are signed in, and no role is given to you or to a group of yours: ask whoever keeps auth.roles in backout.yaml")

// SessionPrefix begins every token of a session.
const SessionPrefix = "bos_"

// signedIn asks for a session. Senders of alerts have none.
func (h *Handler) signedIn(r *http.Request, want need) (Actor, bool, error) {
	if h.o.Sessions == nil || want == accessIntake {
		return Actor{}, false, nil
	}
	if len(r.Header.Values("Authorization")) > 0 {
		// A token of another kind counts before a cookie, also when it is not known.
		if secret, ok := presented(r); !ok || !strings.HasPrefix(secret, SessionPrefix) {
			return Actor{}, false, nil
		}
	}
	actor, ok, err := h.o.Sessions.Identify(r)
	if err == nil && ok && len(actor.Grants) == 0 && want != accessAPI {
		err = errNoRole
	}
	return actor, ok, err
}

// toSignIn sends a person who looks at a page to where they can sign in, or to what
// says that they may do nothing. It changes nothing, and so is for GET only.
func (h *Handler) toSignIn(rt route, c *call, err error) bool {
	if h.o.Sessions == nil || c.r.Method != http.MethodGet || rt.stream || c.r.Header.Get("Authorization") != "" || !wantsPage(c.r) {
		return false
	}
	to := h.base + "/account"
	switch {
	case unauthenticated(err):
		to = h.base + "/login?next=" + url.QueryEscape(c.r.URL.RequestURI())
	case !errors.Is(err, errNoRole):
		return false
	}
	c.w.Header().Set("Location", to)
	c.w.WriteHeader(http.StatusSeeOther)
	return true
}

// asksForPassword tells whether a no may name basic authentication. Programs learn from it
// what is taken; a browser opens a dialog, which helps who loads a page and gives a token
// as the password, and nobody else: not over a page whose script was refused, and not where
// people sign in.
func (h *Handler) asksForPassword(rt route, r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false // a script's, or part of a page
	}
	if rt.stream && wantsPage(r) {
		return false // a script's as well: browsers say so with TLS only
	}
	if _, _, given := r.BasicAuth(); given || h.o.Sessions == nil {
		return true // a browser sends what the dialog was told until it is asked again
	}
	return !wantsPage(r) && len(r.Header["Cookie"]) == 0
}

// wantsPage tells whether somebody looks at a page: a browser says so.
func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}
