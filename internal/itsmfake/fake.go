// Package itsmfake plays ServiceNow and Jira for tests and for trying backout out:
// as much of their APIs as backout uses, in the shapes of their public
// documentation, and as strict. Each handler names its source.
package itsmfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// The credentials that both take: a user, and an OAuth client.
const (
	User   = "backout"
	Client = "backout-client"
)

// Fault answers a request in the place of the simulator, and tells whether it did.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// core is what both have in common: who may call, and what goes wrong.
type core struct {
	// Secret is the password of User, the secret of Client, and a bearer token.
	secret string

	mu     sync.Mutex
	fault  Fault
	tokens map[string]bool
	given  int
	seen   []string
}

// Fail lets every request meet the fault; nil ends that.
func (c *core) Fail(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// Expire lets every OAuth token given out so far count no more.
func (c *core) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.tokens)
}

// Tokens is how many OAuth tokens were given out.
func (c *core) Tokens() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given
}

// Requests are method and path of every request so far.
func (c *core) Requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.seen...)
}

// enter notes the request and tells whether it goes on.
func (c *core) enter(w http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	c.seen = append(c.seen, r.Method+" "+r.URL.Path)
	fault := c.fault
	c.mu.Unlock()
	return fault == nil || !fault(w, r)
}

// giveToken is the token endpoint: RFC 6749, sections 4.4.2 and 5.1.
func (c *core) giveToken(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("client_id") != Client || r.PostFormValue("client_secret") != c.secret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	c.mu.Lock()
	c.given++
	token := fmt.Sprintf("token-%d", c.given)
	c.tokens[token] = true
	c.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 1799, "scope": "useraccount"})
}

// known tells whether the caller may call.
func (c *core) known(r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		return user == User && password == c.secret
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	defer c.mu.Unlock()
	return ok && (token == c.secret || c.tokens[token])
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Status answers with a status and headers, and repeats what it was sent.
func Status(status int, headers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		_, password, _ := r.BasicAuth()
		http.Error(w, "you said "+r.Header.Get("Authorization")+" "+password, status)
		return true
	}
}

// LoginPage answers with 200 and a page for people, as single sign-on and sleeping
// instances do.
func LoginPage(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	_, _ = w.Write([]byte("<!DOCTYPE html><title>Log in</title>"))
	return true
}

// Hang says nothing until the caller has gone.
func Hang(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

// LoseAnswer does what it is told and then breaks the connection, for the requests of
// a method whose path ends so.
func LoseAnswer(serve http.Handler, method, end string) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, end) {
			return false
		}
		serve.ServeHTTP(discard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
