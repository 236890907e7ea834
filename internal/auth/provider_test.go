package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/auth/device"
)

func TestMain(m *testing.M) { authtest.Main(m) }

var people = []authtest.Person{
	{Name: "alice", Password: "wonderland", Email: "alice@example.org", Groups: []string{"sre", "everyone"}},
	{Name: "carol", Password: "christmas", Email: "carol@example.org", Groups: []string{"everyone"}},
	{Name: "glass", Password: "elsewhere", Email: "glass@example.org", Groups: []string{"sre"}},
}

// withProvider is a server whose people sign in at the real provider.
func withProvider(t *testing.T) (*world, string) {
	t.Helper()
	var issuer string
	w := newWorld(t, func(address string) Config {
		issuer = authtest.Start(t, address+"/login/callback", people...)
		return testConfig(&Provider{
			Issuer: issuer, ClientID: authtest.ClientID, ClientSecret: backout.SecretValue(authtest.ClientSecret), CLIClientID: authtest.CLIClientID,
			Scopes: []string{"openid", "profile", "email"}, NameClaim: "preferred_username", GroupsClaim: "groups", RedirectURL: address + "/login/callback",
		})
	})
	return w, issuer
}

var requestID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// atProvider begins a login and gives name and password where the provider asks.
func (b *browser) atProvider(start, name, password string) *browser {
	b.t.Helper()
	b.get(start)
	m := requestID.FindStringSubmatch(b.body)
	if m == nil {
		b.t.Fatalf("the provider does not ask: %s %d %s", b.at, b.status, b.body)
	}
	return b.post(b.at.Scheme+"://"+b.at.Host+b.at.Path, url.Values{"id": {m[1]}, "username": {name}, "password": {password}})
}

// callback is the address by which the browser came back last.
func (b *browser) callback() string {
	b.t.Helper()
	for _, v := range slices.Backward(b.visits) {
		if strings.Contains(v, "/login/callback?") {
			return v
		}
	}
	b.t.Fatalf("it never came back: %v", b.visits)
	return ""
}

// TestSignInAtAProvider is the whole way in a browser: from a page that needs somebody,
// to the provider, and back to that page.
func TestSignInAtAProvider(t *testing.T) {
	w, issuer := withProvider(t)
	b := w.browser()
	b.get("/account?").want(http.StatusOK, "Sign in at "+strings.TrimPrefix(issuer, "http://"))
	if b.at.Path != "/login" || b.at.Query().Get("next") != "/account?" {
		t.Fatalf("sent to %s", b.at)
	}
	before := time.Now().Add(-2 * time.Second)
	b.atProvider("/login/start?next=/account", "alice", "wonderland").want(http.StatusOK, "approver where env=prod")
	if b.at.String() != w.url+"/account" {
		t.Errorf("came back to %s", b.at)
	}
	who, _ := b.who()
	if who.Name != "alice" || !slices.Equal(who.Groups, []string{"sre"}) || who.LoginAt.Before(before) || who.LoginAt.After(time.Now()) || who.Session == "" {
		t.Errorf("%+v", who)
	}
	if b.get("/api/v1/targets"); b.status != http.StatusOK {
		t.Errorf("with a role: %d %s", b.status, b.body)
	}
	if all := w.docs.all() + w.log.String(); strings.Contains(all, b.cookie("backout-session")) || strings.Contains(all, "web-secret") {
		t.Errorf("a secret is kept or logged:\n%s", all)
	}
	asked, err := url.Parse(b.visits[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range b.visits {
		if u, _ := url.Parse(v); u.Path == "/auth" {
			asked = u
		}
	}
	q := asked.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("max_age") == "" {
		t.Errorf("asked with %v", q)
	}
}

// TestACodeIsGoodOnce: neither another browser nor the same one gets in by an address
// that was used.
func TestACodeIsGoodOnce(t *testing.T) {
	w, _ := withProvider(t)
	b := w.browser()
	b.get("/login")
	secret := b.cookie("backout-login")
	b.atProvider("/login/start?next=/account", "alice", "wonderland").want(http.StatusOK, "alice")
	back := b.callback()
	b.get(back).want(http.StatusForbidden, "not begun in this browser")
	thief := w.browser()
	thief.get("/login")
	thief.get(back).want(http.StatusForbidden, "not begun in this browser")
	thief.setCookie("backout-login", secret)
	thief.get(back).want(http.StatusForbidden, "takes this login")
	if _, status := thief.who(); status != http.StatusUnauthorized {
		t.Errorf("the thief is in: %d", status)
	}
	if _, status := b.who(); status != http.StatusOK {
		t.Errorf("the person is out: %d", status)
	}
}

// TestNobodyWithoutARole: who is in no group that the config knows may do nothing, and
// is told so.
func TestNobodyWithoutARole(t *testing.T) {
	w, _ := withProvider(t)
	b := w.browser()
	b.atProvider("/login/start?next=/rules", "carol", "christmas").want(http.StatusOK, "You are signed in, and may do nothing here")
	if b.at.Path != "/account" {
		t.Errorf("sent to %s", b.at)
	}
	b.get("/api/v1/targets").want(http.StatusForbidden, "no_role")
	if b.get("/rules").want(http.StatusOK, "may do nothing"); b.at.Path != "/account" {
		t.Errorf("a page sends to %s", b.at)
	}
	b.atProvider("/login/start", "glass", "elsewhere").want(http.StatusForbidden, "that of a local user")
}

// TestStepUp: a fresh login asks again, makes a new session and ends the old one.
func TestStepUp(t *testing.T) {
	w, _ := withProvider(t)
	b := w.browser()
	b.atProvider("/login/start?next=/account", "alice", "wonderland")
	old, first := b.cookie("backout-session"), handlers.Who{}
	first, _ = b.who()
	b.get("/login?next=/account&fresh=true").want(http.StatusOK, "Sign in again")
	b.atProvider("/login/start?next=/account&fresh=true", "alice", "wonderland").want(http.StatusOK, "alice")
	for _, v := range b.visits {
		if u, _ := url.Parse(v); u.Path == "/auth" && u.Query().Get("prompt") == "login" && u.Query().Get("max_age") == "0" {
			first.Groups = nil
		}
	}
	if first.Groups != nil {
		t.Error("the provider was not told to ask again")
	}
	if second, _ := b.who(); second.Session == first.Session || second.LoginAt.Before(first.LoginAt) {
		t.Errorf("%+v after %+v", second, first)
	}
	if status, _ := w.program("GET", "/api/v1/session", old, ""); status != http.StatusUnauthorized {
		t.Errorf("the session before still is: %d", status)
	}
}

// TestDeviceLogin is the whole way without a browser on this machine.
func TestDeviceLogin(t *testing.T) {
	w, _ := withProvider(t)
	status, text := w.program("GET", "/api/v1/login", "", "")
	var ways handlers.LoginWays
	if err := json.Unmarshal([]byte(text), &ways); err != nil || status != http.StatusOK || ways.Device == nil {
		t.Fatalf("%d %s", status, text)
	}
	d := ways.Device
	tokens, err := device.SignIn(t.Context(), device.Client{ID: d.ClientID, DeviceURL: d.DeviceURL, TokenURL: d.TokenURL, Scopes: d.Scopes}, func(c device.Code) error {
		return authtest.Approve(c.URL, c.Code, "alice", "wonderland")
	})
	if err != nil {
		t.Fatal(err)
	}
	given, _ := json.Marshal(handlers.LoginRequest{IDToken: tokens.ID.Reveal(), AccessToken: tokens.Access.Reveal()})
	status, text = w.program("POST", "/api/v1/login", "", string(given))
	var begun handlers.LoginAnswer
	if err := json.Unmarshal([]byte(text), &begun); err != nil || status != http.StatusOK || begun.Who.Name != "alice" || !slices.Equal(begun.Who.Groups, []string{"sre"}) {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := w.program("GET", "/api/v1/targets", begun.Token, ""); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if status, text := w.program("POST", "/api/v1/login", "", string(given)); status != http.StatusForbidden || !strings.Contains(text, "used already") {
		t.Errorf("the ID token lets in twice: %d %s", status, text)
	}
	if status, _ := w.program("POST", "/api/v1/logout", begun.Token, ""); status != http.StatusNoContent {
		t.Errorf("logout: %d", status)
	}
	if status, text := w.program("GET", "/api/v1/session", begun.Token, ""); status != http.StatusUnauthorized || !strings.Contains(text, "backout login") {
		t.Errorf("after the logout: %d %s", status, text)
	}
}
