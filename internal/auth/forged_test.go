package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// forger is a provider that answers whatever a test wants.
type forger struct {
	t      *testing.T
	key    *rsa.PrivateKey
	issuer string
	nonce  string
	// alg and claims change the token that a good provider would give.
	alg    string
	claims func(claims map[string]any)
	// sign signs with another key than the one that is published.
	sign *rsa.PrivateKey
	info map[string]any
	// asked counts what came to the token endpoint; deny refuses every code there. ways
	// are what it says of how clients may prove who they are.
	asked atomic.Int32
	// keysRead counts how often its keys were read; keysDown answers that with a 503.
	keysRead atomic.Int32
	keysDown bool
	deny     bool
	ways     []string
}

func newForger(t *testing.T) *forger {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t: t, key: key}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.issuer = server.URL
	return f
}

func (f *forger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		out = map[string]any{
			"issuer": f.issuer, "authorization_endpoint": f.issuer + "/auth", "token_endpoint": f.issuer + "/token", "jwks_uri": f.issuer + "/keys",
			"userinfo_endpoint": f.issuer + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256", "none", "HS256"},
		}
		if f.ways != nil {
			out.(map[string]any)["token_endpoint_auth_methods_supported"] = f.ways
		}
	case "/keys":
		if f.keysRead.Add(1); f.keysDown {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		out = map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": b64(f.key.N.Bytes()), "e": b64(big.NewInt(int64(f.key.E)).Bytes()),
		}}}
	case "/userinfo":
		out = f.info
	default:
		if f.asked.Add(1); f.deny {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		out = map[string]any{"access_token": "access", "token_type": "Bearer", "id_token": f.token("web", f.nonce)}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		f.t.Error(err)
	}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// token is an ID token for a client.
func (f *forger) token(client, nonce string) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": f.issuer, "sub": "4711", "aud": client, "iat": now, "exp": now + 300, "auth_time": now, "preferred_username": "alice", "groups": []string{"sre"},
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if f.claims != nil {
		f.claims(claims)
	}
	alg := "RS256"
	if f.alg != "" {
		alg = f.alg
	}
	head, _ := json.Marshal(map[string]string{"alg": alg, "kid": "one", "typ": "JWT"})
	data, err := json.Marshal(claims)
	if err != nil {
		f.t.Error(err)
	}
	text := b64(head) + "." + b64(data)
	if alg == "none" {
		return text + "."
	}
	key := f.key
	if f.sign != nil {
		key = f.sign
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		f.t.Error(err)
	}
	return text + "." + b64(signature)
}

func (f *forger) world() *world {
	return newWorld(f.t, func(address string) Config {
		return testConfig(&Provider{
			Issuer: f.issuer, ClientID: "web", ClientSecret: backout.SecretValue("s"), CLIClientID: "cli", Scopes: []string{"openid"},
			NameClaim: "preferred_username", GroupsClaim: "groups", RedirectURL: address + "/login/callback",
		})
	})
}

// begin starts a login and returns its state; the forger learns the nonce.
func (f *forger) begin(b *browser, path string) string {
	f.t.Helper()
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.get(path)
	b.client.CheckRedirect = nil
	to, err := url.Parse(b.header.Get("Location"))
	if err != nil || b.status != http.StatusSeeOther {
		f.t.Fatalf("%d %s %v", b.status, b.body, err)
	}
	f.nonce = to.Query().Get("nonce")
	return to.Query().Get("state")
}

func (f *forger) back(b *browser, state string) *browser {
	f.t.Helper()
	return b.get("/login/callback?code=c&state=" + url.QueryEscape(state))
}

func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

// TestTokensThatAreNotGood: each is refused with its reason, and lets nobody in.
func TestTokensThatAreNotGood(t *testing.T) {
	f := newForger(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	for _, c := range []struct {
		name, alg string
		sign      *rsa.PrivateKey
		claims    func(map[string]any)
		fresh     bool
		want      string
	}{
		{name: "nonce of another login", claims: set("nonce", "x"), want: "made for another login"},
		{name: "no nonce", claims: func(c map[string]any) { delete(c, "nonce") }, want: "made for another login"},
		{name: "another audience", claims: set("aud", "other"), want: "ID token is not good"},
		{name: "several parties", claims: set("aud", []string{"web", "other"}), want: "made for another party"},
		{name: "made for another party", claims: set("azp", "other"), want: "made for another party"},
		{name: "another issuer", claims: set("iss", "https://evil.example.org"), want: "ID token is not good"},
		{name: "expired", claims: set("exp", ago(2*time.Minute)), want: "expired"},
		{name: "from the future", claims: set("iat", ago(-time.Hour)), want: "from the future"},
		{name: "not yet", claims: set("nbf", ago(-time.Hour)), want: "ID token is not good"},
		{name: "of nobody", claims: set("sub", ""), want: "says of nobody"},
		{name: "not signed", alg: "none", want: "ID token is not good"},
		{name: "signed with a shared secret", alg: "HS256", want: "ID token is not good"},
		{name: "signed by another", sign: other, want: "ID token is not good"},
		{name: "no name", claims: set("preferred_username", ""), want: "does not say your name"},
		{name: "a hostile name", claims: set("preferred_username", "<script>alert(1)</script>"), want: "none that this server takes"},
		{name: "a local user's name", claims: set("preferred_username", "glass"), want: "local user"},
		{name: "too many groups to tell", claims: func(c map[string]any) {
			c["_claim_names"], c["_claim_sources"] = map[string]any{"groups": "src1"}, map[string]any{"src1": map[string]any{"endpoint": "https://graph.example.org/groups"}}
		}, want: "more groups"},
		{name: "step-up without a fresh login", claims: set("auth_time", ago(time.Hour)), fresh: true, want: "did not ask you again"},
		{name: "step-up without a time", claims: func(c map[string]any) { delete(c, "auth_time") }, fresh: true, want: "auth_time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.alg, f.sign, f.claims, f.info = c.alg, c.sign, c.claims, map[string]any{"sub": "4711"}
			w := f.world()
			b := w.browser()
			state := f.begin(b, fmt.Sprintf("/login/start?next=/account&fresh=%t", c.fresh))
			f.back(b, state).want(http.StatusForbidden, c.want)
			if _, status := b.who(); status != http.StatusUnauthorized || b.cookie("backout-session") != "" {
				t.Errorf("somebody is in: %d", status)
			}
			if strings.Contains(b.body, "<script") {
				t.Errorf("an element made from data: %s", b.body)
			}
		})
	}
}

// TestClocksMayBeALittleOff: a provider whose clock is half a minute behind, or two
// ahead, lets people in, and nobody proved who they are in the future.
func TestClocksMayBeALittleOff(t *testing.T) {
	for _, off := range []time.Duration{-30 * time.Second, 2 * time.Minute} {
		f := newForger(t)
		f.claims = func(c map[string]any) {
			at := time.Now().Add(off).Unix()
			c["iat"], c["exp"], c["auth_time"] = at, at+20, at
		}
		w := f.world()
		b := w.browser()
		f.back(b, f.begin(b, "/login/start?next=/account&fresh=true")).want(http.StatusOK, "alice")
		if who, _ := b.who(); who.LoginAt.After(time.Now()) || time.Since(who.LoginAt) > time.Minute {
			t.Errorf("off by %s: login at %s", off, who.LoginAt)
		}
	}
}

// TestStatesAreNotForged: only the browser that began a login comes back with it, once,
// within ten minutes.
func TestStatesAreNotForged(t *testing.T) {
	f := newForger(t)
	w := f.world()
	b := w.browser()
	state := f.begin(b, "/login/start?next=/account")
	body, mac, _ := strings.Cut(state, ".")
	evil := newFlow(randomHex(32), "/account", false, time.Now())
	_, evilMAC, _ := strings.Cut(evil.State, ".")
	old := newFlow(b.cookie("backout-login"), "/account", false, time.Now().Add(-maxFlow-time.Second))
	for name, forged := range map[string]string{
		"none": "", "without seal": body, "another's seal": body + "." + evilMAC, "another's": evil.State, "changed": b64([]byte(`{"id":"x","at":9999999999,"next":"//evil.example.org"}`)) + "." + mac,
		"too old": old.State,
	} {
		f.nonce = evil.Nonce
		f.back(b, forged).want(http.StatusForbidden, "not begun in this browser")
		if _, status := b.who(); status != http.StatusUnauthorized {
			t.Errorf("%s: somebody is in", name)
		}
	}
	// A victim who is sent somebody else's way back does not end up as them.
	victim := w.browser()
	victim.get("/login")
	f.back(victim, state).want(http.StatusForbidden, "not begun in this browser")
	// A provider that takes a code twice does not let in twice.
	secret := b.cookie("backout-login")
	state = f.begin(b, "/login/start?next=/account")
	f.back(b, state).want(http.StatusOK, "alice")
	b.setCookie("backout-login", secret)
	f.back(b, state).want(http.StatusForbidden, "used already")
	b.get("/login/callback?state="+url.QueryEscape(f.begin(b, "/login/start"))+"&error=access_denied%3Cscript%3E").want(http.StatusForbidden, "access_denied&lt;script&gt;")
	b.get("/login/callback?code=c&iss=https%3A%2F%2Fevil.example.org&state="+url.QueryEscape(f.begin(b, "/login/start"))).want(http.StatusForbidden, "another provider")
}

// TestOneNameForOneAccount: neither may somebody else take a name, nor may one account
// have two.
func TestOneNameForOneAccount(t *testing.T) {
	f := newForger(t)
	w := f.world()
	login := func() *browser {
		b := w.browser()
		return f.back(b, f.begin(b, "/login/start?next=/account"))
	}
	login().want(http.StatusOK, "alice")
	_, first, err := w.service.Person(t.Context(), "alice")
	if err != nil || first == "" {
		t.Fatalf("%q %v", first, err)
	}
	f.claims = set("sub", "0815")
	login().want(http.StatusForbidden, "belongs to another account")
	f.claims = set("preferred_username", "alice2")
	login().want(http.StatusForbidden, "this account was alice here before")
	// An admin lets the name go.
	admin := w.browser().signIn("root", "break the glass")
	token := admin.cookie("backout-session")
	if status, text := w.program("POST", "/api/v1/sessions/end", token, `{"user":"alice","forget":true}`); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, text)
	}
	login().want(http.StatusOK, "alice2")
	f.claims = set("sub", "0815")
	login().want(http.StatusOK, "alice")
	// What alice has left behind is not the new alice's.
	if _, second, err := w.service.Person(t.Context(), "alice"); err != nil || second == first {
		t.Errorf("the new alice is the old one: %q %v", second, err)
	}
}

// TestExchangedTokens: what the command line brings must be made for it, fresh, and new.
func TestExchangedTokens(t *testing.T) {
	f := newForger(t)
	w := f.world()
	for _, c := range []struct {
		name, client, nonce string
		claims              func(map[string]any)
		alg, want           string
	}{
		{name: "made for the browser's client", client: "web", want: "ID token is not good"},
		{name: "made for a browser", client: "cli", nonce: "n", want: "made for a browser"},
		{name: "old", client: "cli", claims: set("iat", time.Now().Add(-7*time.Minute).Unix()), want: "older than 5m"},
		{name: "not signed", client: "cli", alg: "none", want: "ID token is not good"},
		{name: "a local user's name", client: "cli", claims: set("preferred_username", "root"), want: "local user"},
	} {
		f.claims, f.alg = c.claims, c.alg
		given, _ := json.Marshal(handlers.LoginRequest{IDToken: f.token(c.client, c.nonce)})
		if status, text := w.program("POST", "/api/v1/login", "", string(given)); status != http.StatusForbidden || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
	// Groups may come from the userinfo endpoint, of the same person only.
	f.alg, f.claims = "", func(c map[string]any) { delete(c, "groups") }
	f.info = map[string]any{"sub": "0815", "groups": []string{"sre"}}
	given, _ := json.Marshal(handlers.LoginRequest{IDToken: f.token("cli", ""), AccessToken: "a"})
	if status, text := w.program("POST", "/api/v1/login", "", string(given)); status != http.StatusForbidden || !strings.Contains(text, "about somebody else") {
		t.Errorf("%d %s", status, text)
	}
	f.info["sub"] = "4711"
	if status, text := w.program("POST", "/api/v1/login", "", string(given)); status != http.StatusOK || !strings.Contains(text, `"groups":["sre"]`) {
		t.Errorf("%d %s", status, text)
	}
	for _, body := range []string{`{}`, `{"id_token":"a","name":"b"}`, `{"id_token":"a","x":1}`, `[]`, `{"id_token":"a"}{}`} {
		if status, _ := w.program("POST", "/api/v1/login", "", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
}

// TestATokenHasOneSpelling: an ID token that let somebody in lets nobody in again, however
// it is written.
func TestATokenHasOneSpelling(t *testing.T) {
	f := newForger(t)
	w := f.world()
	// A content whose last letter has bits that nobody reads.
	pad, raw := "", ""
	f.claims = func(c map[string]any) { c["pad"] = pad }
	for parts := []string{"", ""}; len(parts[1])%4 != 2; pad += "x" {
		raw = f.token("cli", "")
		parts = strings.Split(raw, ".")
	}
	parts := strings.Split(raw, ".")
	flat, _ := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	last := len(parts[1]) - 1
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	flipped := parts[1][:last] + string(alphabet[strings.IndexByte(alphabet, parts[1][last])|1])
	send := func(token string) (int, string) {
		given, _ := json.Marshal(handlers.LoginRequest{IDToken: token})
		return w.program("POST", "/api/v1/login", "", string(given))
	}
	if status, text := send(raw); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	for name, again := range map[string]string{
		"as it was": raw, "a space": raw[:30] + " " + raw[30:], "a space after it": raw + " ", "a new line": parts[0] + "." + parts[1][:9] + "\r\n" + parts[1][9:] + "." + parts[2],
		"as JSON": string(flat), "padded": parts[0] + "." + parts[1] + "==." + parts[2], "bits that nobody reads": parts[0] + "." + flipped + "." + parts[2],
	} {
		if status, text := send(again); status != http.StatusForbidden || !strings.Contains(text, "used already") && !strings.Contains(text, "is not good") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// TestWithoutTheProvider: when it does not answer, people are told, and local users get in.
func TestWithoutTheProvider(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	w := newWorld(t, func(address string) Config {
		return testConfig(&Provider{Issuer: gone.URL, ClientID: "web", NameClaim: "n", GroupsClaim: "g", CLIClientID: "cli", RedirectURL: address + "/login/callback"})
	})
	b := w.browser()
	b.get("/login/start").want(http.StatusServiceUnavailable, "does not answer")
	if status, text := w.program("GET", "/api/v1/login", "", ""); status != http.StatusOK || !strings.Contains(text, "does not answer") {
		t.Errorf("%d %s", status, text)
	}
	b.signIn("glass", "break the glass").want(http.StatusOK, "approver where env=prod")
}

// TestWhatAFailingProviderWroteIsNotRepeated: to whoever asks, that is. The log has it.
func TestWhatAFailingProviderWroteIsNotRepeated(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("upstream 10.0.0.7 refused"))
	}))
	defer broken.Close()
	w := newWorld(t, func(address string) Config {
		c := testConfig(&Provider{Issuer: broken.URL, ClientID: "web", NameClaim: "n", GroupsClaim: "g", CLIClientID: "cli", RedirectURL: address + "/login/callback"})
		c.Users = nil
		return c
	})
	for path, body := range map[string]string{"GET /api/v1/login": "", "POST /api/v1/login": `{"id_token":"x"}`, "GET /login/start": ""} {
		method, path, _ := strings.Cut(path, " ")
		if status, text := w.program(method, path, "", body); status != http.StatusServiceUnavailable || strings.Contains(text, "10.0.0.7") || !strings.Contains(text, "does not answer") {
			t.Errorf("%s %s: %d %s", method, path, status, text)
		}
	}
	if !strings.Contains(w.log.String(), "10.0.0.7") {
		t.Error("the log does not tell why")
	}
}

// TestAProviderThatFailsIsLeftAlone: those who come while it is down do not each wait for
// it, and it is asked again soon.
func TestAProviderThatFailsIsLeftAlone(t *testing.T) {
	asked, f := 0, newForger(t)
	down := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	f.issuer = server.URL
	p := newProvider(&Provider{Issuer: server.URL}, http.DefaultClient)
	for range 3 {
		if _, err := p.discover(t.Context()); !errors.Is(err, backout.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	down, p.failedAt = false, time.Now().Add(-askAgain)
	if _, err := p.discover(t.Context()); err != nil {
		t.Error(err)
	}
}
