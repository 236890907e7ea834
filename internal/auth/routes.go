package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// maxBody bounds a request of these routes: an ID token with many groups is the largest.
const maxBody = 128 << 10

// Routes are the pages and the API of signing in.
func (s *Service) Routes() []handlers.PageRoute {
	open := func(method, path, doc string, serve func(http.ResponseWriter, *http.Request) error) handlers.PageRoute {
		return handlers.PageRoute{Method: method, Path: path, Doc: doc, Needs: "nothing", Serve: func(w http.ResponseWriter, r *http.Request, _ handlers.Actor) error { return serve(w, r) }}
	}
	own := func(method, path, doc string, serve func(http.ResponseWriter, *http.Request, handlers.Actor) error) handlers.PageRoute {
		return handlers.PageRoute{Method: method, Path: path, Doc: doc, Needs: "a person", Serve: serve}
	}
	return []handlers.PageRoute{
		open("GET", "/login", "Where people sign in, as a page.", s.loginPage),
		open("POST", "/login", "Signs a local user in.", s.loginPosted),
		open("GET", "/login/start", "Sends a person to the identity provider.", s.loginStart),
		open("GET", "/login/callback", "Where the identity provider sends them back.", s.loginBack),
		own("POST", "/logout", "Ends the browser's session.", s.logoutPosted),
		own("GET", "/account", "One's own account, as a page.", s.accountPage),
		own("POST", "/account/end", "Ends one of one's own sessions.", s.endPosted),
		own("POST", "/account/unlink", "Lets a Slack account of one's own go.", s.unlinkPosted),
		own("GET", "/account/slack", "Asks whether a Slack account is one's own, as a page.", s.linkPage),
		own("POST", "/account/slack", "Links a Slack account.", s.linkPosted),
		open("GET", "/api/v1/login", "How programs sign people in.", s.loginWays),
		open("POST", "/api/v1/login", "Gives a session for an ID token, or for a local user's password.", s.loginAPI),
		own("POST", "/api/v1/logout", "Ends the session that asks.", s.logoutAPI),
		own("GET", "/api/v1/session", "Who asks, and what they may do.", s.whoami),
		own("GET", "/api/v1/sessions", "Lists one's own sessions; ?all=true those of everybody, for admins.", s.listSessions),
		own("POST", "/api/v1/sessions/end", "Ends a session, or shuts a person out until they sign in again: others' for admins only.", s.endAPI),
	}
}

// form reads a posted form: what is in the address does not count.
func form(w http.ResponseWriter, r *http.Request, known ...string) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return fmt.Errorf("%w: a form is needed", backout.ErrInvalid)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: the form cannot be read", backout.ErrInvalid)
	}
	for name, values := range r.PostForm {
		if !contains(known, name) || len(values) != 1 {
			return fmt.Errorf("%w: unknown or repeated field %.40q of the form", backout.ErrInvalid, name)
		}
	}
	return nil
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// body reads a JSON body, strictly.
func body(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return handlers.Refuse(http.StatusUnsupportedMediaType, "bad_content_type", "send JSON as application/json")
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		// The text may repeat what was sent, and that may be a password.
		return fmt.Errorf("%w: the body is not the JSON that this route takes", backout.ErrInvalid)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON body", backout.ErrInvalid)
	}
	return nil
}

func answer(w http.ResponseWriter, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)+1))
	_, _ = w.Write(append(data, '\n'))
	return nil
}

// show writes a page that was rendered whole.
func (s *Service) show(w http.ResponseWriter, status int, who string, content ui.Content) error {
	frame := ui.Frame{Now: pageNow(), Version: s.version, Base: s.base, Who: who, People: who != "", Nonce: rand.Text()}
	var out bytes.Buffer
	if err := ui.Write(&out, frame, content); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", ui.Policy(frame.Nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
	return nil
}

// seeOther sends a browser on to a path of this server.
func (s *Service) seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", s.base+path)
	w.WriteHeader(http.StatusSeeOther)
}

// only refuses every query parameter that a route does not know.
func only(r *http.Request, known ...string) error {
	for name, values := range r.URL.Query() {
		if !contains(known, name) || len(values) != 1 {
			return fmt.Errorf("%w: unknown or repeated query parameter %.40q", backout.ErrInvalid, name)
		}
	}
	return nil
}

func truth(r *http.Request, name string) bool {
	return strings.EqualFold(r.URL.Query().Get(name), "true")
}

func pageNow() time.Time { return time.Now().UTC() }
