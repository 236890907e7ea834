package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestStrangersDoNotFloodTheProvider: one login that was begun asks the provider a few
// times at most, however many ways back come with it, and each once.
func TestStrangersDoNotFloodTheProvider(t *testing.T) {
	for name, c := range map[string]struct {
		ways  []string
		learn bool
		most  int32
	}{
		"it says how":           {ways: []string{"client_secret_basic", "none"}, most: perState},
		"it says how, posted":   {ways: []string{"client_secret_post"}, most: perState},
		"a login has shown how": {ways: []string{"client_secret_basic", "client_secret_post"}, learn: true, most: perState},
		"nobody knows yet":      {most: 2 * perState},
	} {
		f := newForger(t)
		f.ways = c.ways
		w := f.world()
		if c.learn {
			b := w.browser()
			f.back(b, f.begin(b, "/login/start?next=/account")).want(http.StatusOK, "alice")
		}
		b := w.browser()
		state := f.begin(b, "/login/start")
		f.deny = true
		f.asked.Store(0)
		secret := b.cookie("backout-login")
		var wait sync.WaitGroup
		for range 12 {
			wait.Go(func() {
				r := httptest.NewRequest("GET", "/login/callback?code=junk&state="+url.QueryEscape(state), nil)
				r.AddCookie(&http.Cookie{Name: "backout-login", Value: secret})
				w.handler.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		wait.Wait()
		if got := f.asked.Load(); got > c.most || got == 0 {
			t.Errorf("%s: asked %d times, want at most %d", name, got, c.most)
		}
		b.get("/login/callback?code=junk&state="+url.QueryEscape(state)).want(http.StatusForbidden, "used already")
	}
}

// TestTheProviderIsAskedByFewAtOnce: who comes when as many ask it as may is told to come
// again.
func TestTheProviderIsAskedByFewAtOnce(t *testing.T) {
	f := newForger(t)
	w := f.world()
	b := w.browser()
	state := f.begin(b, "/login/start?next=/account")
	for range cap(w.service.asking) {
		w.service.asking <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for path, r := range map[string]*http.Request{
		"a browser": httptest.NewRequestWithContext(gone, "GET", "/login/callback?code=c&state="+url.QueryEscape(state), nil),
		"a program": httptest.NewRequestWithContext(gone, "POST", "/api/v1/login", strings.NewReader(`{"id_token":"`+f.token("cli", "")+`"}`)),
	} {
		r.AddCookie(&http.Cookie{Name: "backout-login", Value: b.cookie("backout-login")})
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		if w.handler.ServeHTTP(rec, r); rec.Code != http.StatusTooManyRequests {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if f.asked.Load() != 0 {
		t.Error("it was asked all the same")
	}
	for range cap(w.service.asking) {
		<-w.service.asking
	}
	f.back(b, state).want(http.StatusOK, "alice")
}
