package handlers

import (
	"net/http"
	"testing"

	"github.com/backout-io/backout"
)

// signedIn is a store of sessions with one in it, or with a no for everybody.
type signedIn struct {
	actor Actor
	ok    bool
	err   error
	asked int
}

func (s *signedIn) Identify(*http.Request) (Actor, bool, error) {
	s.asked++
	return s.actor, s.ok, s.err
}

func TestASessionSaysWhoAsksWhereNoTokenDoes(t *testing.T) {
	carol := Actor{Name: "carol", Via: "dashboard", Grants: everything(), Session: "s1"}
	for name, tt := range map[string]struct {
		sessions signedIn
		secret   string
		path     string
		code     int
		asked    int
	}{
		"signed in":               {signedIn{actor: carol, ok: true}, "", "/api/v1/changes", 200, 1},
		"not signed in":           {signedIn{}, "", "/api/v1/changes", 401, 1},
		"may not any more":        {signedIn{err: backout.ErrForbidden}, "", "/api/v1/changes", 403, 1},
		"the store cannot say":    {signedIn{err: backout.ErrUnavailable}, "", "/api/v1/changes", 503, 1},
		"a token counts first":    {signedIn{actor: carol, ok: true}, "stranger-secret-0123456789", "/api/v1/changes", 401, 0},
		"no session sends alerts": {signedIn{actor: carol, ok: true}, "", webhookPath, 401, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tokens := range []bool{true, false} {
				tt.sessions.asked = 0
				h := handlerFor(t, &fake{}, func(o *Options) {
					o.Sessions = &tt.sessions
					if tokens {
						o.Auth = testAuth(t)
					}
				})
				method := "GET"
				if tt.path == webhookPath {
					method = "POST"
				}
				r := request(method, tt.path, "")
				if tt.secret != "" {
					bearer(r, tt.secret)
				}
				if w := do(h, r); w.Code != tt.code || tt.sessions.asked != tt.asked {
					t.Errorf("tokens %v: answered %d %s and asked %d times, want %d and %d", tokens, w.Code, w.Body, tt.sessions.asked, tt.code, tt.asked)
				}
			}
		})
	}
}
