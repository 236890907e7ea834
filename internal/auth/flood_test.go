package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
// again, however often, and can.
func TestTheProviderIsAskedByFewAtOnce(t *testing.T) {
	f := newForger(t)
	w := f.world()
	b := w.browser()
	state := f.begin(b, "/login/start?next=/account")
	for range cap(w.service.asking.all) {
		w.service.asking.all <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range perState + 1 {
		for path, r := range map[string]*http.Request{
			"a browser": httptest.NewRequestWithContext(gone, "GET", "/login/callback?code=c&state="+url.QueryEscape(state), nil),
			"a program": httptest.NewRequestWithContext(gone, "POST", "/api/v1/login", strings.NewReader(`{"id_token":"`+f.token("cli", "")+`"}`)),
		} {
			r.AddCookie(&http.Cookie{Name: "backout-login", Value: b.cookie("backout-login")})
			r.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), "many sign in at once") {
				t.Errorf("%s: %d %v %s", path, rec.Code, rec.Header(), rec.Body)
			}
		}
	}
	if f.asked.Load() != 0 {
		t.Error("it was asked all the same")
	}
	for range cap(w.service.asking.all) {
		<-w.service.asking.all
	}
	f.back(b, state).want(http.StatusOK, "alice")
	if left := len(w.service.asking.own); left != 0 {
		t.Errorf("%d sources are remembered that are gone", left)
	}
}

// TestOneSourceLeavesPlacesToOthers: half of those who ask the provider at once may come
// from one source.
func TestOneSourceLeavesPlacesToOthers(t *testing.T) {
	f := newForger(t)
	w := f.world()
	b := w.browser()
	state := f.begin(b, "/login/start?next=/account")
	at := func(address string) *httptest.ResponseRecorder {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequestWithContext(gone, "GET", "/login/callback?code=c&state="+url.QueryEscape(state), nil)
		r.RemoteAddr = address
		r.AddCookie(&http.Cookie{Name: "backout-login", Value: b.cookie("backout-login")})
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		return rec
	}
	var leaves []func()
	for range cap(w.service.asking.all) / 2 {
		leave, err := w.service.asking.enter(t.Context(), "203.0.113.9")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if rec := at("203.0.113.9:4711"); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "many sign in at once") {
		t.Errorf("a source that has its half: %d %s", rec.Code, rec.Body)
	}
	f.back(b, state).want(http.StatusOK, "alice")
	for _, leave := range leaves {
		leave()
	}
	if _, err := w.service.asking.enter(t.Context(), "203.0.113.9"); err != nil {
		t.Errorf("a source whose places are free again: %v", err)
	}
}

// TestForgedTokensReadTheKeysSeldom: whoever sends tokens that nobody signed does not have
// the provider's keys read with each; a new key is known soon.
func TestForgedTokensReadTheKeysSeldom(t *testing.T) {
	f := newForger(t)
	w := f.world()
	f.claims = func(c map[string]any) { c["jti"] = rand.Text() }
	send := func(token string) (int, string) {
		return w.program("POST", "/api/v1/login", "", `{"id_token":"`+token+`"}`)
	}
	if status, text := send(f.token("cli", "")); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f.sign = other
	for range 10 {
		if status, text := send(f.token("cli", "")); status != http.StatusForbidden || !strings.Contains(text, "is not good") {
			t.Fatalf("%d %s", status, text)
		}
	}
	if got := f.keysRead.Load(); got != 1 {
		t.Errorf("the keys were read %d times", got)
	}
	f.key = other
	w.later()
	if status, text := send(f.token("cli", "")); status != http.StatusOK {
		t.Errorf("a new key: %d %s", status, text)
	}
}

// later makes what is remembered of the provider's keys too old.
func (w *world) later() {
	_, provider := w.service.now()
	provider.keys.mu.Lock()
	defer provider.keys.mu.Unlock()
	provider.keys.at = time.Now().Add(-askAgain)
}

// TestKeysThatCannotBeReadAreAskedForSeldom: also when they are refused, or nobody answers
// there, tokens that nobody signed do not have them asked for with each.
func TestKeysThatCannotBeReadAreAskedForSeldom(t *testing.T) {
	f := newForger(t)
	w := f.world()
	f.keysDown = true
	send := func(want int) {
		t.Helper()
		f.claims = func(c map[string]any) { c["jti"] = rand.Text() }
		if status, text := w.program("POST", "/api/v1/login", "", `{"id_token":"`+f.token("cli", "")+`"}`); status != want {
			t.Fatalf("%d %s", status, text)
		}
	}
	for range 20 {
		send(http.StatusServiceUnavailable)
	}
	if got := f.keysRead.Load(); got != 1 {
		t.Errorf("the keys were asked for %d times", got)
	}
	_, provider := w.service.now()
	way, tried := provider.keys.next, 0
	provider.keys.next = tripper(func(*http.Request) (*http.Response, error) {
		tried++
		return nil, io.ErrUnexpectedEOF
	})
	w.later()
	for range 20 {
		send(http.StatusServiceUnavailable)
	}
	if tried != 1 {
		t.Errorf("where nobody answers it was tried %d times", tried)
	}
	f.keysDown, provider.keys.next = false, way
	w.later()
	send(http.StatusOK)
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestKeysThatTakeTooLongAreAskedForSeldom: a wait that was too long is an answer, one that
// the caller left is none.
func TestKeysThatTakeTooLongAreAskedForSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client, k := remember(&http.Client{Timeout: providerTimeout, Transport: tripper(func(r *http.Request) (*http.Response, error) {
			asked++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		k.stand("https://id.example.org/keys")
		get := func(ctx context.Context) {
			r, err := http.NewRequestWithContext(ctx, "GET", "https://id.example.org/keys", nil)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := client.Do(r); err == nil {
				_ = res.Body.Close()
				t.Errorf("an answer: %s", res.Status)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			get(gone)
		}
		asked = 0
		for range 3 {
			get(t.Context())
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(askAgain)
		if get(t.Context()); asked != 2 {
			t.Errorf("asked %d times, later", asked)
		}
	})
}
