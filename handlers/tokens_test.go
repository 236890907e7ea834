package handlers

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func TestATokenThatWasMadeHereLetsIn(t *testing.T) {
	for name, tt := range map[string]struct {
		secret, path string
		code         int
	}{
		"it acts":                     {madeSecret, "/api/v1/rollbacks/CHG1-r1/vote", 200},
		"it reads numbers":            {madeSecret, "/metrics", 200},
		"it sends no alerts":          {madeSecret, webhookPath, 401},
		"one that is not known":       {"bo_stranger", "/api/v1/rollbacks/CHG1-r1/vote", 401},
		"the store cannot say":        {brokenSecret, "/api/v1/rollbacks/CHG1-r1/vote", 503},
		"another kind of secret":      {"xo_bobs-token", "/api/v1/rollbacks/CHG1-r1/vote", 401},
		"a sender's is never a token": {senderSecret, "/api/v1/rollbacks/CHG1-r1/vote", 401},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			var log strings.Builder
			h := handlerFor(t, f, withTokens(t), withLog(&log))
			method, body := "POST", `{"ask_id":"q1","choice":"approve"}`
			if tt.path == "/metrics" {
				method, body = "GET", ""
			}
			w := do(h, bearer(request(method, tt.path, body), tt.secret))
			if w.Code != tt.code {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, tt.code)
			}
			if tt.code == 200 && body != "" && !strings.Contains(f.heard()[0], "by bob") {
				t.Errorf("heard %v", f.heard())
			}
			if tt.code != 200 && len(f.heard()) > 0 {
				t.Errorf("reached %v", f.heard())
			}
			if strings.Contains(log.String(), tt.secret) {
				t.Error("the token is in the log")
			}
		})
	}
}

func TestWithoutBearersNoTokenIsMadeHere(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t), func(o *Options) { o.Bearers, o.Tokens = nil, nil })
	if w := do(h, bearer(request("GET", "/api/v1/changes", ""), madeSecret)); w.Code != 401 {
		t.Errorf("answered %d", w.Code)
	}
	if w := do(h, bearer(request("GET", "/api/v1/tokens", ""), aliceSecret)); w.Code != 404 {
		t.Errorf("tokens: answered %d", w.Code)
	}
}

func TestTokensOverTheAPI(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f, withTokens(t))
	w := do(h, bearer(request("POST", "/api/v1/tokens", `{"note":"ci","roles":["author"],"labels":{"team":"web"},"expires_in":"30d"}`), aliceSecret))
	if w.Code != 201 || !strings.Contains(w.Body.String(), `"token":"bo_made"`) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("made: %d %s %v", w.Code, w.Body, w.Header())
	}
	if w := do(h, bearer(request("GET", "/api/v1/tokens?all=true", ""), aliceSecret)); w.Code != 200 || strings.Contains(w.Body.String(), "bo_") {
		t.Errorf("listed: %d %s", w.Code, w.Body)
	}
	if w := do(h, bearer(request("POST", "/api/v1/tokens/t1/revoke", `{"reason":"lost"}`), aliceSecret)); w.Code != 200 || strings.Contains(w.Body.String(), "bo_") {
		t.Errorf("revoked: %d %s", w.Code, w.Body)
	}
	want := []string{"create token [author] false map[team:web] for 720h by alice: ci", "list tokens true by alice", "revoke token t1 by alice: lost"}
	for i, line := range want {
		if got := f.heard(); len(got) != len(want) || got[i] != line {
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

// TestAPersonWithoutTheRightReachesNothing: what a route takes is asked before the
// route is called, and the refusal stands in the log with who and what.
func TestAPersonWithoutTheRightReachesNothing(t *testing.T) {
	auth, err := NewAuth([]Token{{Name: "eve", Secret: backout.SecretValue(aliceSecret)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rt := range handlerFor(t, &fake{}).Routes() {
		if rt.Needs == "nothing" || rt.Needs == "an intake token" || rt.Needs == "a person" || rt.Needs == "a signature" {
			continue
		}
		f := &fake{}
		var log strings.Builder
		h := handlerFor(t, f, withLog(&log), func(o *Options) { o.Auth = auth })
		w := do(h, bearer(request(rt.Method, pathOf(rt), "{}"), aliceSecret))
		if w.Code != 403 || len(f.heard()) > 0 {
			t.Errorf("%s %s: answered %d, reached %v", rt.Method, rt.Path, w.Code, f.heard())
		}
		for _, part := range []string{"level=WARN", "by=eve", "reason=forbidden", "status=403", "takes the role"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s %s: the log lacks %s: %s", rt.Method, rt.Path, part, log.String())
			}
		}
	}
}

func pathOf(rt Route) string {
	return strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{target}", "web-1", "{rule}", "r", "{digest}", "d", "{$}", "").Replace(rt.Path)
}

func TestANeedThatNobodyNamedLetsNobodyIn(t *testing.T) {
	var none need
	for _, n := range []need{none, mayAdmin + 1, -1} {
		if n.may(Actor{Name: "alice", Grants: everything()}) == nil {
			t.Errorf("need %d lets everybody in", n)
		}
	}
	for n := accessNobody; n <= mayAdmin; n++ {
		if n.String() == "" {
			t.Errorf("need %d has no words", n)
		}
	}
}
