package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/auth/device"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/password"
)

// TestPeopleSignIn: the config lets a local user in, the session outlives a restart, and
// a reload without the user ends it at once.
func TestPeopleSignIn(t *testing.T) {
	hash, err := password.Hash("break the glass")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "backout.yaml")
	write := func(users string) {
		t.Helper()
		text := "listen: 127.0.0.1:0\nintake: {tokens: [{name: am, token: {env: BACKOUT_TEST_INTAKE}}]}\nauth:\n  roles: [{role: author, groups: [sre], where: everywhere}]\n  users:\n" + users
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("BACKOUT_TEST_INTAKE", "intake-0123456789abcdef")
	other := "    - {name: other, password_hash: \"" + hash + "\"}\n"
	write("    - {name: glass, groups: [sre], password_hash: \"" + hash + "\"}\n" + other)
	start := func() *app.App {
		t.Helper()
		a, err := app.New(context.Background(), app.Options{Config: path})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask := func(a *app.App, method, path, token, body string) (int, string) {
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	login := func(a *app.App, name string) string {
		t.Helper()
		status, text := ask(a, "POST", "/api/v1/login", "", `{"name":"`+name+`","password":"break the glass"}`)
		_, rest, ok := strings.Cut(text, `"token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		if status != http.StatusOK || !ok {
			t.Fatalf("%d %s", status, text)
		}
		return token
	}
	a := start()
	if status, _ := ask(a, "GET", "/api/v1/changes", "", ""); status != http.StatusUnauthorized {
		t.Errorf("this machine is let in without a login: %d", status)
	}
	token, roleless := login(a, "glass"), login(a, "other")
	if status, text := ask(a, "GET", "/api/v1/changes", token, ""); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	if status, text := ask(a, "GET", "/api/v1/changes", roleless, ""); status != http.StatusForbidden || !strings.Contains(text, "no_role") {
		t.Errorf("without a group: %d %s", status, text)
	}
	if status, _ := ask(a, "POST", "/api/v1/alertmanager", token, "{}"); status != http.StatusUnauthorized {
		t.Errorf("a person sends alerts: %d", status)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = start()
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	if status, text := ask(a, "GET", "/api/v1/changes", token, ""); status != http.StatusOK {
		t.Errorf("after a restart: %d %s", status, text)
	}
	write(other)
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(a, "GET", "/api/v1/changes", token, ""); status != http.StatusUnauthorized {
		t.Errorf("a user who is gone: %d", status)
	}
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "whether people sign in") {
		t.Errorf("the last way in is taken away by a reload: %v", err)
	}
}

// TestPeopleSignInAtAProvider: what the config says of a provider is what it is asked
// with, and a group that the config names counts.
func TestPeopleSignInAtAProvider(t *testing.T) {
	issuer := authtest.Start(t, "http://127.0.0.1:8420/login/callback", authtest.Person{Name: "alice", Password: "wonderland", Groups: []string{"sre", "else"}})
	t.Setenv("BACKOUT_TEST_INTAKE", "intake-0123456789abcdef")
	t.Setenv("BACKOUT_TEST_CLIENT", authtest.ClientSecret)
	path := filepath.Join(t.TempDir(), "backout.yaml")
	text := "listen: 127.0.0.1:8420\nintake: {tokens: [{name: am, token: {env: BACKOUT_TEST_INTAKE}}]}\n" +
		"auth: {roles: [{role: approver, groups: [sre], where: {env: prod}}], oidc: {issuer: \"" + issuer + "\", client_id: web, client_secret: {env: BACKOUT_TEST_CLIENT}, cli_client_id: cli, scopes: [openid, profile]}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(context.Background(), app.Options{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/login/start", nil))
	to, err := url.Parse(w.Header().Get("Location"))
	if q := to.Query(); err != nil || !strings.HasPrefix(to.String(), issuer) || q.Get("client_id") != "web" || q.Get("redirect_uri") != "http://127.0.0.1:8420/login/callback" || q.Get("scope") != "openid profile" || q.Get("max_age") != "43200" {
		t.Errorf("%d to %s", w.Code, to)
	}
	c, err := client.New(client.Options{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ways, err := c.LoginWays(t.Context())
	if err != nil || ways.Device == nil {
		t.Fatalf("%+v %v", ways, err)
	}
	d := ways.Device
	tokens, err := device.SignIn(t.Context(), device.Client{ID: d.ClientID, DeviceURL: d.DeviceURL, TokenURL: d.TokenURL, Scopes: d.Scopes}, func(code device.Code) error {
		return authtest.Approve(code.URL, code.Code, "alice", "wonderland")
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Login(t.Context(), handlers.LoginRequest{IDToken: tokens.ID.Reveal()})
	if err != nil || answer.Who.Name != "alice" || !slices.Equal(answer.Who.Groups, []string{"sre"}) || len(answer.Who.Grants) == 0 {
		t.Errorf("%+v %v", answer.Who, err)
	}
}
