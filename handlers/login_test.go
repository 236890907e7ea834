package handlers

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// people are sessions by a header.
type people map[string]Actor

func (p people) Identify(r *http.Request) (Actor, bool, error) {
	name := r.Header.Get("Test-Session")
	if name == "ended" {
		return Actor{}, false, Refuse(http.StatusUnauthorized, "session_ended", "the session has ended")
	}
	actor, ok := p[name]
	return actor, ok, nil
}

// TestSessionsBesideTokens: who signs in is somebody, senders of alerts never do, and
// with sessions there is no open door for this machine.
func TestSessionsBesideTokens(t *testing.T) {
	known := people{"alice": {Name: "alice", Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}}, "nobody": {Name: "nobody"}}
	own := PageRoute{Method: "GET", Path: "/account", Doc: "d", Needs: "a person", Serve: func(w http.ResponseWriter, _ *http.Request, by Actor) error {
		_, err := w.Write([]byte(by.Name))
		return err
	}}
	read := PageRoute{Method: "GET", Path: "/rules", Doc: "d", Needs: "read", Serve: own.Serve}
	post := PageRoute{Method: "POST", Path: "/rules/explain", Doc: "d", Needs: "read", Serve: own.Serve}
	open := PageRoute{Method: "GET", Path: "/login", Doc: "d", Needs: "nothing", Serve: own.Serve}
	live := PageRoute{Method: "GET", Path: "/rules/live", Doc: "d", Needs: "read", Stream: true, Serve: own.Serve}
	f := &fake{}
	for _, options := range []func(*Options){withTokens(t), func(*Options) {}} {
		h := handlerFor(t, f, options, func(o *Options) {
			o.Sessions, o.Pages, o.ExternalURL = known, []PageRoute{own, open, read, live, post}, "https://example.org/backout/"
		})
		ask := func(method, path, session string, accept ...string) (int, string, string) {
			r := request(method, path, "")
			r.Header.Set("Test-Session", session)
			if accept != nil {
				r.Header.Set("Accept", accept[0])
			}
			w := do(h, r)
			return w.Code, w.Body.String(), w.Header().Get("Location")
		}
		for _, c := range []struct {
			method, path, session, accept string
			status                        int
			part, to                      string
		}{
			{"GET", "/api/v1/changes", "alice", "", 200, "items", ""},
			{"GET", "/api/v1/changes", "", "", 401, "unauthenticated", ""},
			{"GET", "/api/v1/changes", "", "text/html", 401, "unauthenticated", ""},
			{"GET", "/api/v1/changes", "ended", "", 401, "session_ended", ""},
			{"GET", "/api/v1/changes", "nobody", "", 403, "no_role", ""},
			{"GET", "/rules", "", "text/html,*/*", 303, "", "/backout/login?next=%2Frules"},
			{"GET", "/rules?x=//evil", "ended", "text/html", 303, "", "/backout/login?next=%2Frules%3Fx%3D%2F%2Fevil"},
			{"GET", "/rules", "nobody", "text/html", 303, "", "/backout/account"},
			{"POST", "/rules/explain", "", "text/html", 401, "unauthenticated", ""},
			// A stream that was sent elsewhere would be taken for the page.
			{"GET", "/rules/live", "", "text/html", 401, "unauthenticated", ""},
			{"GET", "/rules/live", "ended", "text/html", 401, "session_ended", ""},
			{"GET", "/rules/live", "nobody", "text/html", 403, "no_role", ""},
			{"GET", "/rules/live", "alice", "text/html", 200, "alice", ""},
			{"GET", "/account", "nobody", "", 200, "nobody", ""},
			{"GET", "/account", "", "", 401, "unauthenticated", ""},
			{"GET", "/login", "", "", 200, "", ""},
			{"GET", "/login", "alice", "", 200, "", ""},
			{"POST", "/api/v1/alertmanager", "alice", "", 401, "unauthenticated", ""},
			{"GET", "/metrics", "alice", "", 200, "backout_", ""},
			{"GET", "/metrics", "nobody", "", 403, "no_role", ""},
		} {
			status, body, to := ask(c.method, c.path, c.session, c.accept)
			if status != c.status || !strings.Contains(body, c.part) || to != c.to {
				t.Errorf("%s %s as %q: %d to %q %s", c.method, c.path, c.session, status, to, body)
			}
		}
	}
	h := handlerFor(t, f, withTokens(t), func(o *Options) { o.Sessions, o.Pages = known, []PageRoute{own} })
	if w := do(h, bearer(request("GET", "/account", ""), aliceSecret)); w.Code != 200 || w.Body.String() != "alice" {
		t.Errorf("with a token: %d %s", w.Code, w.Body)
	}
	if w := do(h, bearer(request("GET", "/account", ""), senderSecret)); w.Code != 401 {
		t.Errorf("with a sender's token: %d %s", w.Code, w.Body)
	}
}

// TestABrowserIsAskedForAPasswordOnlyWhereThatHelps: its dialog opens over the page, for
// what a script asks in the background too, and where people sign in it leads nowhere.
// Programs are told that basic authentication is taken.
func TestABrowserIsAskedForAPasswordOnlyWhereThatHelps(t *testing.T) {
	serve := func(w http.ResponseWriter, _ *http.Request, _ Actor) error { return nil }
	pages := []PageRoute{
		{Method: "GET", Path: "/rules", Doc: "d", Needs: "read", Serve: serve},
		{Method: "POST", Path: "/rules/explain", Doc: "d", Needs: "read", Serve: serve},
		{Method: "GET", Path: "/rules/live", Doc: "d", Needs: "read", Stream: true, Serve: serve},
	}
	const page, stream = "text/html,*/*", "text/html, text/event-stream"
	wrong := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:not-a-token-0123456789"))
	for _, c := range []struct {
		what, method, path string
		header             []string
		tokens, sessions   bool // whether there is a dialog, without sessions and with them
	}{
		{"a program", "GET", "/api/v1/changes", nil, true, true},
		{"a sender of alerts", "POST", "/api/v1/alertmanager", nil, true, true},
		{"who looks at a page", "GET", "/rules", []string{"Accept", page, "Sec-Fetch-Mode", "navigate"}, true, false},
		{"an old browser", "GET", "/rules", []string{"Accept", page}, true, false},
		{"a form", "POST", "/rules/explain", []string{"Accept", page, "Sec-Fetch-Mode", "navigate"}, true, false},
		{"a stream", "GET", "/rules/live", []string{"Accept", stream, "Sec-Fetch-Mode", "same-origin"}, false, false},
		{"a stream without TLS", "GET", "/rules/live", []string{"Accept", stream}, false, false},
		{"a stream with a wrong token", "GET", "/rules/live", []string{"Accept", stream, "Sec-Fetch-Mode", "same-origin", "Authorization", wrong}, false, false},
		{"a script's look", "HEAD", "/rules", []string{"Accept", "*/*", "Sec-Fetch-Mode", "cors"}, false, false},
		{"a picture", "GET", "/rules", []string{"Accept", "image/*", "Sec-Fetch-Mode", "no-cors"}, false, false},
		{"a link to the API", "GET", "/api/v1/changes", []string{"Accept", page, "Sec-Fetch-Mode", "navigate", "Cookie", "session=ended"}, true, false},
		// Who has given the dialog a token that is not known any more is asked again: the
		// browser keeps it until then.
		{"a token that has ended", "GET", "/rules", []string{"Accept", page, "Sec-Fetch-Mode", "navigate", "Authorization", wrong}, true, true},
		{"a token that has ended, and a cookie", "GET", "/api/v1/changes", []string{"Cookie", "session=ended", "Authorization", wrong}, true, true},
	} {
		for _, sessions := range []bool{false, true} {
			h := handlerFor(t, &fake{}, withTokens(t), func(o *Options) {
				if o.Pages = pages; sessions {
					o.Sessions = people{}
				}
			})
			r := request(c.method, c.path, "")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			for pair := range slices.Chunk(c.header, 2) {
				r.Header.Set(pair[0], pair[1])
			}
			w := do(h, r)
			if w.Code == http.StatusSeeOther && sessions {
				continue // to the page where they sign in
			}
			said := strings.Join(w.Header().Values("WWW-Authenticate"), ", ")
			want := c.tokens
			if sessions {
				want = c.sessions
			}
			if w.Code != http.StatusUnauthorized || strings.Contains(said, "Basic") != want || !strings.Contains(said, "Bearer") {
				t.Errorf("%s, sessions %t: answered %d with %q, want a dialog: %t", c.what, sessions, w.Code, said, want)
			}
		}
	}
}
