package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPasswordsAreNotGuessed: after a few wrong ones from one place no more is tried
// there, not even the right one, and others get in.
func TestPasswordsAreNotGuessed(t *testing.T) {
	w := local(t)
	b := w.browser()
	for i := range perUserAndSource {
		b.signIn("glass", fmt.Sprint("wrong password ", i)).want(http.StatusUnauthorized, "name or password is wrong")
	}
	b.signIn("glass", "break the glass").want(http.StatusTooManyRequests, "too many attempts")
	if b.header.Get("Retry-After") == "" {
		t.Error("nobody says when to come again")
	}
	if status, text := w.program("POST", "/api/v1/login", "", `{"name":"glass","password":"break the glass"}`); status != http.StatusTooManyRequests {
		t.Errorf("by the API: %d %s", status, text)
	}
	b.signIn("root", "break the glass").want(http.StatusOK, "admin")
	b.signIn("nobody", "break the glass").want(http.StatusUnauthorized, "name or password is wrong")
	if log := w.log.String(); strings.Contains(log, "wrong password 1") || strings.Contains(log, "break the glass") || strings.Contains(log, "nobody") || !strings.Contains(log, "known=false") {
		t.Errorf("the log tells too much, or too little:\n%s", log)
	}
}

// TestNobodyLearnsWhichNamesThereAre: what is answered, when and how often is the same
// for a name that nobody has.
func TestNobodyLearnsWhichNamesThereAre(t *testing.T) {
	answers := map[string][]string{}
	for _, name := range []string{"glass", "nobody"} {
		w := local(t)
		for range perUserAndSource + 2 {
			status, text := w.program("POST", "/api/v1/login", "", fmt.Sprintf(`{"name":%q,"password":"wrong password"}`, name))
			text = requestIDs.ReplaceAllString(text, "")
			answers[name] = append(answers[name], fmt.Sprint(status, " ", text))
		}
	}
	if !slices.Equal(answers["glass"], answers["nobody"]) {
		t.Errorf("a name that there is:\n%q\nnone:\n%q", answers["glass"], answers["nobody"])
	}
}

// TestUnknownNamesTakeAsLongAsSomeKnownOne: hashes of different costs tell no names.
func TestUnknownNamesTakeAsLongAsSomeKnownOne(t *testing.T) {
	s := virtual(t, testConfig(nil))
	users := []User{{Name: "a", Hash: "cheap"}, {Name: "b", Hash: "dear"}}
	seen := map[string]bool{}
	for i := range 100 {
		name := fmt.Sprint("name ", i)
		hash := s.decoy(users, name)
		if seen[hash] = true; s.decoy(users, name) != hash {
			t.Errorf("%s takes now this long, now that", name)
		}
	}
	if len(seen) != 2 {
		t.Errorf("every unknown name takes as long as one user: %v", seen)
	}
}

var requestIDs = regexp.MustCompile(`"request_id":"[0-9a-f]+"`)

// TestAttempts: limits for a user from a source, for a source, and for a user; each for
// a quarter of an hour.
func TestAttempts(t *testing.T) {
	now := time.Now()
	var a attempts
	try := func(user, source string) bool {
		_, wait := a.begin(user, source, now)
		return wait == 0
	}
	for i := range perSource {
		if !try(fmt.Sprint("name ", i), "1") {
			t.Fatalf("try %d of a source", i)
		}
	}
	if try("another", "1") || try("glass", "1") {
		t.Error("a source goes on guessing names")
	}
	for i := range perUser {
		if !try("glass", fmt.Sprint("other ", i)) {
			t.Fatalf("try %d of a user", i)
		}
	}
	if try("glass", "2") {
		t.Error("many sources guess for ever")
	}
	for _, here := range []string{"127.0.0.1:1", "[::1]:1"} {
		r := httptest.NewRequest("POST", "/login", nil)
		r.RemoteAddr = here
		for range perUserAndSource {
			if !try("glass", source(r)) {
				t.Errorf("strangers lock out who is at the server: %s", here)
			}
		}
		if try("glass", source(r)) {
			t.Errorf("whoever is at the server guesses for ever: %s", here)
		}
	}
	if !try("root", "2") {
		t.Error("another user is locked out")
	}
	now = now.Add(attemptWindow)
	if !try("glass", "1") {
		t.Error("locked out for ever")
	}
	// A right password is no guess.
	for range 3 * perUserAndSource {
		at, wait := a.begin("root", "3", now)
		if wait > 0 {
			t.Fatal("right passwords are counted")
		}
		a.right(at)
	}
	for range perUserAndSource {
		try("root", "4")
	}
	for i := range maxTries {
		a.begin(fmt.Sprint("name ", i), fmt.Sprint("many ", i), now)
	}
	if len(a.tries) > maxTries {
		t.Errorf("%d are remembered", len(a.tries))
	}
	if try("root", "4") {
		t.Error("a flood of names and sources forgives")
	}
}

// TestSources: one holder of addresses is one source.
func TestSources(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1", "[2001:db8::1]:1": "2001:db8::/64", "[2001:db8::2]:9": "2001:db8::/64", "[::ffff:192.0.2.1]:1": "192.0.2.1", "@": "unknown", "": "unknown",
	} {
		r := httptest.NewRequest("POST", "/login", nil)
		r.RemoteAddr = address
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		if got := source(r); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}

// TestAProxyHereIsNotTheServer: what a proxy on the server's own machine hands on locks
// nobody out who asks the server itself.
func TestAProxyHereIsNotTheServer(t *testing.T) {
	w := local(t)
	request := func(password string, headers http.Header) *http.Request {
		r := httptest.NewRequest("POST", "/api/v1/login", strings.NewReader(`{"name":"glass","password":"`+password+`"}`))
		r.RemoteAddr, r.Header = "127.0.0.1:1", headers
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	try := func(password string, headers http.Header) int {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, request(password, headers))
		return rec.Code
	}
	for range perUserAndSource {
		try("wrong password", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	}
	if got := try("break the glass", http.Header{"X-Forwarded-For": {"203.0.113.10"}}); got != http.StatusTooManyRequests {
		t.Errorf("guesses by way of the proxy are not counted: %d", got)
	}
	if got := try("break the glass", http.Header{}); got != http.StatusOK {
		t.Errorf("strangers lock out who is at the server: %d", got)
	}
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		from := source(request("", http.Header{header: {""}}))
		if len(w.service.attempts.limits("glass", from)) != 3 {
			t.Errorf("%s: whoever comes by a proxy (%s) is not bounded for each user", header, from)
		}
	}
}

// TestFormsAreStrict: what a form does not have is refused.
func TestFormsAreStrict(t *testing.T) {
	w := local(t)
	b := w.browser()
	b.get("/login")
	form := b.form()
	for _, fields := range []url.Values{
		{"form": {form}, "name": {"glass", "root"}, "password": {"break the glass"}}, {"form": {form}, "name": {"glass"}, "password": {"break the glass"}, "admin": {"true"}},
	} {
		if b.post("/login", fields); b.status != http.StatusBadRequest {
			t.Errorf("%v: %d", fields, b.status)
		}
	}
	b.post("/login", url.Values{}, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	if b.status != http.StatusBadRequest {
		t.Errorf("%d", b.status)
	}
}
