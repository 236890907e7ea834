package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func local(t *testing.T) *world {
	t.Helper()
	return newWorld(t, func(string) Config { return testConfig(nil) })
}

// TestNextStaysHere: nobody is sent to another site after a login.
func TestNextStaysHere(t *testing.T) {
	for _, evil := range []string{
		"https://evil.example.org", "//evil.example.org", "/\\evil.example.org", "\\/evil", "/\t/evil.example.org", "/\n/evil", "javascript:alert(1)", "evil", "",
		"///evil", "/%5cevil/..//x\\", " /x", "/x y", "/é", "http:/evil", "/" + strings.Repeat("a", maxNext), "/%2f%2fevil.example.org/../\\",
		"/\u2028", "/\x00", "/a\\b", "?next=/", "#", "/%zz",
	} {
		if got := ownPath(evil); got != "/" {
			t.Errorf("%q leads to %q", evil, got)
		}
	}
	for _, good := range []string{"/", "/account", "/account/slack?token=bol_ab", "/rules/explain?seen=1&change=C%201"} {
		if got := ownPath(good); got != good {
			t.Errorf("%q leads to %q", good, got)
		}
	}
	w := local(t)
	b := w.browser()
	b.get("/login?next=//evil.example.org")
	if strings.Contains(b.body, "evil") {
		t.Errorf("the page repeats it: %s", b.body)
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.post("/login", url.Values{"form": {b.form()}, "next": {"//evil.example.org"}, "name": {"glass"}, "password": {"break the glass"}})
	if to := b.header.Get("Location"); to != "/" || b.status != http.StatusSeeOther {
		t.Errorf("%d to %q", b.status, to)
	}
}

// TestFormsOfOtherSites: every POST with a cookie is refused unless a page of this server
// made it, and the form was made for that very session.
func TestFormsOfOtherSites(t *testing.T) {
	w := local(t)
	b := w.browser().signIn("glass", "break the glass").want(http.StatusOK, "approver")
	good := b.form()
	mallory := w.browser().signIn("root", "break the glass")
	foreign := mallory.form()
	link, err := w.service.LinkSlack(t.Context(), "T1", "U1")
	if err != nil {
		t.Fatal(err)
	}
	at, _ := url.Parse(link)
	headers := map[string]func(*http.Request){
		"another site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sister site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"nothing said":  func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		"another origin": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://evil.example.org")
		},
		"an origin without name": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	}
	posts := 0
	for _, rt := range w.service.Routes() {
		if rt.Method != "POST" || strings.HasPrefix(rt.Path, "/api/") || rt.Needs == "nothing" {
			continue
		}
		posts++
		fields := func(form string) url.Values {
			v := url.Values{"form": {form}}
			switch rt.Path {
			case "/account/end":
				v.Set("id", "x")
			case "/account/unlink":
				v.Set("team", "T1")
				v.Set("user", "U1")
			case "/account/slack":
				v.Set("token", at.Query().Get("token"))
				v.Set("user", "U1")
			}
			return v
		}
		for name, change := range headers {
			if b.post(rt.Path, fields(good), change); b.status != http.StatusForbidden {
				t.Errorf("%s, %s: %d %s", rt.Path, name, b.status, b.body)
			}
		}
		for _, form := range []string{"", foreign, "x", good[:63] + "x"} {
			if b.post(rt.Path, fields(form)); b.status != http.StatusForbidden {
				t.Errorf("%s with form %q: %d %s", rt.Path, form, b.status, b.body)
			}
		}
		// What is in the address is no form.
		if b.post(rt.Path+"?form="+good, url.Values{}); b.status != http.StatusForbidden {
			t.Errorf("%s with its form in the address: %d", rt.Path, b.status)
		}
	}
	if posts < 4 {
		t.Errorf("only %d forms were tried", posts)
	}
	for _, path := range []string{"/api/v1/logout", "/api/v1/sessions/end"} {
		for name, change := range headers {
			if b.post(path, url.Values{}, change); b.status != http.StatusForbidden {
				t.Errorf("%s, %s: %d %s", path, name, b.status, b.body)
			}
		}
	}
	if _, status := b.who(); status != http.StatusOK {
		t.Errorf("a forged request ended the session: %d", status)
	}
	// The login form too: else somebody is signed in as another without knowing.
	stranger := w.browser()
	stranger.get("/login")
	stranger.post("/login", url.Values{"form": {foreign}, "name": {"glass"}, "password": {"break the glass"}}).want(http.StatusForbidden, "out of date")
	stranger.post("/login", url.Values{"form": {stranger.form()}, "name": {"glass"}, "password": {"break the glass"}}, headers["another site"]).want(http.StatusForbidden, "another site")
}

// TestGetChangesNothing: every page may be fetched by anything that looks ahead.
func TestGetChangesNothing(t *testing.T) {
	w := local(t)
	b := w.browser().signIn("glass", "break the glass")
	link, err := w.service.LinkSlack(t.Context(), "T1", "U1")
	if err != nil {
		t.Fatal(err)
	}
	before := w.docs.all()
	for range 3 {
		for _, rt := range w.service.Routes() {
			if rt.Method == "GET" {
				b.get(rt.Path)
			}
		}
		b.get(link).want(http.StatusOK, "Only go on if you asked")
	}
	if after := w.docs.all(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestSessionsAreNotFixed: a login never goes on with a session that somebody else may
// have put into the browser.
func TestSessionsAreNotFixed(t *testing.T) {
	w := local(t)
	b := w.browser()
	planted := newToken(SessionPrefix, personID("glass"))
	b.setCookie("backout-session", planted)
	b.get("/login")
	b.post("/login", url.Values{"form": {b.form()}, "name": {"glass"}, "password": {"break the glass"}, "next": {"/account"}}).want(http.StatusOK, "glass")
	first := b.cookie("backout-session")
	if first == planted {
		t.Fatal("the planted session is the person's now")
	}
	if status, _ := w.program("GET", "/api/v1/session", planted, ""); status != http.StatusUnauthorized {
		t.Errorf("the planted session: %d", status)
	}
	// Another login, of the same person or of another, ends what the browser had.
	for _, name := range []string{"glass", "root"} {
		was := b.cookie("backout-session")
		b.signIn(name, "break the glass").want(http.StatusOK, name)
		if status, _ := w.program("GET", "/api/v1/session", was, ""); status != http.StatusUnauthorized {
			t.Errorf("after %s signed in, the session before is there: %d", name, status)
		}
	}
	// A header counts before a cookie, whatever it holds.
	r, _ := http.NewRequest("GET", w.url+"/api/v1/session", nil)
	r.Header.Set("Authorization", "Bearer something-else-0123456789")
	if b.do(r); b.status != http.StatusUnauthorized {
		t.Errorf("a wrong token beside a cookie: %d %s", b.status, b.body)
	}
	for _, bad := range []string{"bos_", "bos_zz", first[:len(first)-1], first + "0", strings.ToUpper(first), "bos_" + strings.Repeat("g", 96)} {
		if status, _ := w.program("GET", "/api/v1/session", bad, ""); status != http.StatusUnauthorized {
			t.Errorf("%q: %d", bad, status)
		}
	}
}

// TestCookiesAreGuarded: outside of this machine they have every guard, whatever the
// server itself is reached by.
func TestCookiesAreGuarded(t *testing.T) {
	for external, secure := range map[string]bool{
		"https://backout.example.org": true, "http://backout.example.org": true, "https://localhost": true, "http://127.0.0.1:8420": false, "http://localhost:1": false, "http://[::1]:1": false,
	} {
		w := &world{t: t, docs: &memory{}}
		w.start(external, testConfig(nil))
		res := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/login", nil)
		w.handler.ServeHTTP(res, r)
		cookies := res.Result().Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%s: %v", external, cookies)
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != secure || strings.HasPrefix(c.Name, "__Host-") != secure || c.MaxAge > 600 {
			t.Errorf("%s: %s", external, c)
		}
		csp := res.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("policy %q", csp)
		}
		if res.Header().Get("Cache-Control") != "no-store" || res.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%v", res.Header())
		}
	}
}

// virtual is a service in the time of a bubble.
func virtual(t *testing.T, c Config) *Service {
	t.Helper()
	s, err := New(Options{Documents: &memory{}, ExternalURL: "https://backout.example.org"}, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seen identifies by a session token.
func seen(s *Service, token string) (handlers.Actor, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	actor, ok, err := s.Identify(r)
	if err == nil && !ok {
		err = errEnded
	}
	return actor, err
}

func begun(t *testing.T, s *Service, who identity) string {
	t.Helper()
	if config, _ := s.now(); who.Local {
		user, _ := config.user(who.Name)
		who.Key = user.key()
	}
	b, err := s.begin(t.Context(), who, "", "test", false)
	if err != nil {
		t.Fatal(err)
	}
	return b.Token
}

// TestOnlyBrowsersAreTheDashboard: a token that a program got is a program's wherever it
// puts it, and a browser's is the dashboard's only from the browser's cookie.
func TestOnlyBrowsersAreTheDashboard(t *testing.T) {
	s := virtual(t, testConfig(nil))
	user, _ := func() (User, bool) { c, _ := s.now(); return c.user("glass") }()
	for _, browser := range []bool{false, true} {
		b, err := s.begin(t.Context(), identity{Name: "glass", Local: true, Key: user.key()}, "", "test", browser)
		if err != nil {
			t.Fatal(err)
		}
		for _, cookie := range []bool{false, true} {
			r := httptest.NewRequest("GET", "/", nil)
			want := "cli"
			if r.Header.Set("User-Agent", "backout/1"); cookie {
				r.AddCookie(&http.Cookie{Name: "__Host-" + sessionCookie, Value: b.Token})
			} else {
				r.Header.Set("Authorization", "Bearer "+b.Token)
			}
			if browser && cookie {
				want = "dashboard"
			}
			if actor, ok, err := s.Identify(r); err != nil || !ok || actor.Via != want {
				t.Errorf("a browser's %t, in a cookie %t: via %q %t %v, want %q", browser, cookie, actor.Via, ok, err, want)
			}
		}
	}
}

// TestSessionsEnd: by their lifetime however busy, and by being idle.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := virtual(t, testConfig(nil))
		token := begun(t, s, identity{Name: "glass", Local: true})
		start := time.Now()
		for time.Since(start) < 12*time.Hour-time.Minute {
			if _, err := seen(s, token); err != nil {
				t.Fatalf("after %s of use: %v", time.Since(start), err)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Minute)
		if _, err := seen(s, token); err == nil {
			t.Error("a session outlives its lifetime")
		}
		token = begun(t, s, identity{Name: "glass", Local: true})
		time.Sleep(2*time.Hour - time.Second)
		if _, err := seen(s, token); err != nil {
			t.Errorf("before it was idle for long: %v", err)
		}
		time.Sleep(2*time.Hour + time.Second)
		if _, err := seen(s, token); err == nil {
			t.Error("a session is there though nobody used it")
		}
	})
}

// TestWhoIsGoneIsOut: a local user who was removed, a provider that was replaced, a name
// that became a local user's, and a group that the config forgets, at once.
func TestWhoIsGoneIsOut(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	config := testConfig(provider)
	s := virtual(t, config)
	glass := begun(t, s, identity{Name: "glass", Local: true})
	alice := begun(t, s, identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre", "else"}})
	out := func(what, token string) {
		t.Helper()
		if actor, err := seen(s, token); err == nil {
			t.Errorf("%s: %+v", what, actor)
		}
	}
	if actor, err := seen(s, alice); err != nil || len(actor.Groups) != 1 || len(actor.Grants) != 1 || actor.Grants[0].Role != backout.RoleApprover {
		t.Fatalf("%+v %v", actor, err)
	}
	less := config
	less.KnownGroup = func(string) bool { return false }
	s.Set(less)
	if actor, err := seen(s, alice); err != nil || len(actor.Groups)+len(actor.Grants) != 0 {
		t.Errorf("a group that nobody knows counts: %+v %v", actor, err)
	}
	less = config
	less.Users = nil
	s.Set(less)
	out("a local user who is gone", glass)
	less = config
	less.Users = []User{{Name: "glass", Hash: strings.Replace(glassHash, "C3Xx", "C3Xy", 1), Groups: []string{"sre"}}}
	s.Set(less)
	out("a local user with another password", glass)
	begun(t, s, identity{Name: "glass", Local: true})
	out("a session of the password before", glass)
	s.Set(config)
	out("a session of the password before, which is the password again", glass)
	less = config
	less.Provider = &Provider{Issuer: "https://other.example.org"}
	s.Set(less)
	out("another provider", alice)
	less = config
	less.Users = append(less.Users, User{Name: "alice", Hash: glassHash})
	s.Set(less)
	out("a local user of that name", alice)
	s.Set(config)
	if _, err := seen(s, alice); err != nil {
		t.Errorf("as before: %v", err)
	}
	if err := s.shutOut(t.Context(), "alice", false); err != nil {
		t.Fatal(err)
	}
	out("shut out", alice)
}

// TestSessionsOfOthers: only an admin sees and ends them.
func TestSessionsOfOthers(t *testing.T) {
	w := local(t)
	glass := w.browser().signIn("glass", "break the glass")
	root := w.browser().signIn("root", "break the glass")
	who, _ := glass.who()
	token, admin := glass.cookie("backout-session"), root.cookie("backout-session")
	for body, want := range map[string]int{
		`{"user":"root"}`: 403, `{"user":"root","id":"x"}`: 403, `{"user":"glass","forget":true}`: 403, `{}`: 400, `{"id":"nothing"}`: 404, `{"id":"x","user":"glass","forget":true}`: 403,
	} {
		if status, text := w.program("POST", "/api/v1/sessions/end", token, body); status != want {
			t.Errorf("%s: %d %s, want %d", body, status, text, want)
		}
	}
	if status, _ := w.program("GET", "/api/v1/sessions?all=true", token, ""); status != 403 {
		t.Errorf("all sessions for anybody: %d", status)
	}
	status, text := w.program("GET", "/api/v1/sessions?all=true", admin, "")
	var list struct{ Items []handlers.SessionStatus }
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 || len(list.Items) != 2 {
		t.Errorf("%d %s", status, text)
	}
	if status, text := w.program("POST", "/api/v1/sessions/end", admin, fmt.Sprintf(`{"user":"glass","id":%q}`, who.Session)); status != 204 {
		t.Errorf("%d %s", status, text)
	}
	if _, status := glass.who(); status != 401 {
		t.Errorf("the session goes on: %d", status)
	}
	if status, _ := w.program("POST", "/api/v1/sessions/end", admin, `{"user":"nobody"}`); status != 404 {
		t.Errorf("somebody who never was: %d", status)
	}
}

// TestATokenShutsNobodyOut: not even its maker, unless it lends the role admin.
func TestATokenShutsNobodyOut(t *testing.T) {
	w := local(t)
	b := w.browser().signIn("glass", "break the glass")
	end := func(by handlers.Actor) error {
		r := httptest.NewRequest("POST", "/api/v1/sessions/end", strings.NewReader(`{"user":"glass"}`))
		r.Header.Set("Content-Type", "application/json")
		return w.service.endAPI(httptest.NewRecorder(), r, by)
	}
	by := handlers.Actor{Name: "glass", TokenID: "t1", Grants: []backout.Grant{{Role: backout.RoleApprover, Everywhere: true}}}
	if err := end(by); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("%v", err)
	}
	if _, status := b.who(); status != http.StatusOK {
		t.Errorf("shut out: %d", status)
	}
	by.Grants = []backout.Grant{{Role: backout.RoleAdmin, Everywhere: true}}
	if err := end(by); err != nil {
		t.Error(err)
	}
}

// TestTheStoreIsDown: then nobody is let in, and nobody is told that they are nobody.
func TestTheStoreIsDown(t *testing.T) {
	w := local(t)
	b := w.browser().signIn("glass", "break the glass")
	w.docs.down = backout.ErrUnavailable
	if _, status := b.who(); status != http.StatusServiceUnavailable {
		t.Errorf("%d", status)
	}
	w.docs.down = nil
	if _, status := b.who(); status != http.StatusOK {
		t.Errorf("%d", status)
	}
}

// TestEveryRouteAsksWho: but for those by which people come in, no route answers nobody.
func TestEveryRouteAsksWho(t *testing.T) {
	w := local(t)
	open := []string{"GET /login", "POST /login", "GET /login/start", "GET /login/callback", "GET /api/v1/login", "POST /api/v1/login"}
	for _, rt := range w.service.Routes() {
		if rt.Needs == "nothing" != slices.Contains(open, rt.Method+" "+rt.Path) {
			t.Errorf("%s %s is open: %t", rt.Method, rt.Path, rt.Needs == "nothing")
		}
		if rt.Needs == "nothing" {
			continue
		}
		for _, token := range []string{"", "bos_x", newToken(SessionPrefix, personID("glass"))} {
			if status, text := w.program(rt.Method, rt.Path, token, ""); status != http.StatusUnauthorized {
				t.Errorf("%s %s with %q: %d %s", rt.Method, rt.Path, token, status, text)
			}
		}
	}
}
