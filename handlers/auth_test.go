package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func TestTokensAreRefusedWhenTheyProtectNothing(t *testing.T) {
	good := Token{Name: "alice", Secret: backout.SecretValue(aliceSecret)}
	for name, tc := range map[string]struct{ api, intake []Token }{
		"no name":            {api: []Token{{Secret: backout.SecretValue(aliceSecret)}}},
		"empty secret":       {api: []Token{{Name: "bob"}}},
		"short secret":       {intake: []Token{{Name: "bob", Secret: backout.SecretValue("short")}}},
		"one name twice":     {api: []Token{good, {Name: "alice", Secret: backout.SecretValue(secondSecret)}}},
		"one secret for two": {api: []Token{good, {Name: "bob", Secret: backout.SecretValue(aliceSecret)}}},
		"sender may act":     {api: []Token{good}, intake: []Token{{Name: "am", Secret: backout.SecretValue(aliceSecret)}}},
	} {
		_, err := NewAuth(tc.api, tc.intake)
		if !errors.Is(err, backout.ErrInvalid) || strings.Contains(err.Error(), aliceSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadSetLeavesTheOldTokens(t *testing.T) {
	auth := testAuth(t)
	if err := auth.Set([]Token{{Name: "bob"}}, nil); err == nil {
		t.Fatal("took a token without a secret")
	}
	h := handlerFor(t, &fake{}, func(o *Options) { o.Auth = auth })
	if w := do(h, bearer(request("GET", "/api/v1/changes", ""), aliceSecret)); w.Code != 200 {
		t.Errorf("alice: %d", w.Code)
	}
	if err := auth.Set([]Token{{Name: "bob", Secret: backout.SecretValue("bobs-new-secret-0123")}}, nil); err != nil {
		t.Fatal(err)
	}
	if w := do(h, bearer(request("GET", "/api/v1/changes", ""), aliceSecret)); w.Code != 401 {
		t.Errorf("alice, after her token was taken away: %d", w.Code)
	}
}

func TestTheActorIsTheTokensOwner(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f, withTokens(t))
	r := bearer(request("POST", "/api/v1/rollbacks/CHG1-r1/vote", `{"ask_id":"q1","choice":"approve","reason":"ok"}`), aliceSecret)
	r.Header.Set("User-Agent", "backout/1.0")
	if w := do(h, r); w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if got := f.heard()[0]; got != "vote approve on CHG1-r1 q1 by alice [sre] via cli: ok" {
		t.Error(got)
	}
	f = &fake{}
	do(handlerFor(t, f), request("POST", "/api/v1/changes/CHG1/open", ""))
	if got := f.heard()[0]; got != "open CHG1 by local" {
		t.Error(got)
	}
}

// TestEveryRouteWantsItsToken walks the table: nothing is reachable by who may
// not, and nothing is missing from the matrix because the table is the mux.
func TestEveryRouteWantsItsToken(t *testing.T) {
	open := map[string]bool{"/livez": true, "/readyz": true}
	for _, rt := range handlerFor(t, &fake{}).Routes() {
		path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path)
		for who, secret := range map[string]string{"nobody": "", "stranger": "stranger-secret-0123456789", "sender": senderSecret, "alice": aliceSecret} {
			f := &fake{}
			h := handlerFor(t, f, withTokens(t))
			r := request(rt.Method, path, "")
			if secret != "" {
				bearer(r, secret)
			}
			allowed, known := map[string]bool{
				"nothing": true, "an intake token": who == "sender", "any token": who == "sender" || who == "alice",
				"a signature": false,
			}[rt.Needs]
			if !known {
				allowed = who == "alice"
			}
			if open[rt.Path] != (rt.Needs == "nothing") {
				t.Errorf("%s %s needs %s", rt.Method, rt.Path, rt.Needs)
			}
			w := do(h, r)
			if allowed == (w.Code == 401) {
				t.Errorf("%s %s by %s: answered %d, needs %s", rt.Method, rt.Path, who, w.Code, rt.Needs)
			}
			if !allowed && len(f.heard())+len(f.accepted) > 0 {
				t.Errorf("%s %s by %s reached %v", rt.Method, rt.Path, who, f.heard())
			}
		}
	}
}

func TestWithoutTokensOnlyThisMachineMayAsk(t *testing.T) {
	page := PageRoute{Method: "GET", Path: "/rollbacks", Doc: "d", Needs: "read", Serve: func(http.ResponseWriter, *http.Request, Actor) error { return nil }}
	h := handlerFor(t, &fake{}, func(o *Options) { o.ExternalURL, o.Pages = "https://backout.example.org:8443/x", []PageRoute{page} })
	for _, tc := range []struct {
		remote, host string
		code         int
	}{
		{"127.0.0.1:1", "127.0.0.1:8420", 200},
		{"127.0.0.1:1", "localhost:8420", 200},
		{"127.0.0.1:1", "LOCALHOST", 200},
		{"127.0.0.1:1", "localhost.", 200},
		{"[::1]:1", "[::1]:8420", 200},
		{"[::1]:1", "[::1]", 200},
		{"127.9.9.9:1", "127.1.2.3", 200},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1", 200},
		{"@", "localhost", 200},
		{"127.0.0.1:1", "backout.example.org", 200},
		{"127.0.0.1:1", "evil.example.com", 403},
		{"127.0.0.1:1", "localhost.evil.example.com", 403},
		{"127.0.0.1:1", "127.0.0.1.evil.example.com", 403},
		{"127.0.0.1:1", "192.0.2.7", 403},
		{"127.0.0.1:1", "", 403},
		{"192.0.2.7:1", "127.0.0.1:8420", 403},
		{"[2001:db8::1]:1", "localhost", 403},
	} {
		for _, path := range []string{"/api/v1/changes", "/rollbacks", "/metrics"} {
			r := request("GET", path, "")
			r.RemoteAddr, r.Host = tc.remote, tc.host
			if w := do(h, r); w.Code != tc.code {
				t.Errorf("%s from %s as %q: answered %d, want %d", path, tc.remote, tc.host, w.Code, tc.code)
			}
		}
	}
}

// TestAnotherSitesPageChangesNothing: every state-changing route refuses what a
// browser sends for a page from elsewhere, with tokens and without.
func TestAnotherSitesPageChangesNothing(t *testing.T) {
	foreign := map[string]func(*http.Request){
		"cross-site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"origin":     func(r *http.Request) { r.Header.Set("Origin", "http://evil.example.com") },
		"null":       func(r *http.Request) { r.Header.Set("Origin", "null") },
	}
	for _, rt := range handlerFor(t, &fake{}).Routes() {
		if rt.Method == "GET" {
			continue
		}
		path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1").Replace(rt.Path)
		for name, prepare := range foreign {
			for _, tokens := range []bool{false, true} {
				f := &fake{}
				h := handlerFor(t, f)
				r := request(rt.Method, path, "{}")
				if tokens {
					h = handlerFor(t, f, withTokens(t))
					r.SetBasicAuth("", map[bool]string{true: senderSecret, false: aliceSecret}[rt.Needs == "an intake token"])
				}
				prepare(r)
				if w := do(h, r); w.Code != 403 || len(f.heard())+len(f.accepted) > 0 {
					t.Errorf("%s %s, %s, tokens %v: answered %d, did %v", rt.Method, rt.Path, name, tokens, w.Code, f.heard())
				}
			}
		}
	}
	r := request("POST", "/api/v1/pause", "")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if w := do(handlerFor(t, &fake{}), r); w.Code != 200 {
		t.Errorf("the server's own page: %d", w.Code)
	}
}

func TestNoAnswerInvitesAnotherSite(t *testing.T) {
	h := handlerFor(t, &fake{})
	for _, rt := range h.Routes() {
		r := request(rt.Method, strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path), "")
		r.Header.Set("Origin", "http://127.0.0.1:8420")
		w := do(h, r)
		for key := range w.Header() {
			if strings.HasPrefix(key, "Access-Control-") {
				t.Errorf("%s %s: %s", rt.Method, rt.Path, key)
			}
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") ||
			w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s %s: headers %v", rt.Method, rt.Path, w.Header())
		}
	}
}

// TestWithoutTokensAProxysRequestsAreRefused: behind a proxy everybody comes from
// a loopback address.
func TestWithoutTokensAProxysRequestsAreRefused(t *testing.T) {
	for header, value := range map[string]string{"Forwarded": "for=192.0.2.7", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "backout.example.org", "X-Real-IP": "", "X-Forwarded-Proto": "https", "Via": "1.1 proxy"} {
		for _, rt := range handlerFor(t, &fake{}).Routes() {
			f := &fake{}
			h := handlerFor(t, f)
			path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path)
			r := request(rt.Method, path, "{}")
			r.Header.Set(header, value)
			w := do(h, r)
			if rt.Needs == "a signature" {
				continue // it says who asks, whoever handed it on
			}
			if rt.Needs == "nothing" {
				if w.Code != 200 {
					t.Errorf("%s: answered %d", path, w.Code)
				}
				continue
			}
			if w.Code != 403 || !strings.Contains(w.Body.String(), "auth.tokens") || len(f.heard())+len(f.accepted) > 0 {
				t.Errorf("%s %s with %s: answered %d %s, did %v", rt.Method, path, header, w.Code, w.Body, f.heard())
			}
		}
		r := bearer(request("GET", "/api/v1/changes", ""), aliceSecret)
		r.Header.Set(header, value)
		if w := do(handlerFor(t, &fake{}, withTokens(t)), r); w.Code != 200 {
			t.Errorf("with tokens and %s: answered %d", header, w.Code)
		}
	}
}

func TestMetricsAnswer(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t))
	if w := do(h, bearer(request("GET", "/metrics", ""), senderSecret)); w.Code != 200 || !strings.Contains(w.Body.String(), "backout_intake_waiting 0") {
		t.Errorf("answered %d", w.Code)
	}
}

func TestSecretsAreNeitherLoggedNorAnswered(t *testing.T) {
	var log strings.Builder
	h := handlerFor(t, &fake{err: errors.New("broken")}, withTokens(t), withLog(&log))
	var answers strings.Builder
	for _, rt := range h.Routes() {
		for _, secret := range []string{aliceSecret, senderSecret, "stranger-secret-0123456789"} {
			path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path)
			w := do(h, bearer(request(rt.Method, path, "{}"), secret))
			fmt.Fprint(&answers, w.Header(), w.Body)
		}
	}
	fmt.Fprintf(&answers, "%v %+v %#v", h.auth, h.auth, h.auth.sets.Load())
	for _, secret := range []string{"alice-secret", "sender-secret", "stranger-secret"} {
		if strings.Contains(log.String(), secret) || strings.Contains(answers.String(), secret) {
			t.Errorf("%s can be read", secret)
		}
	}
	if !strings.Contains(log.String(), "by=alice") {
		t.Error("the log does not say who asked")
	}
}
