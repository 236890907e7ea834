package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/auth"
	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/password"
	"github.com/backout-io/backout/internal/store"
)

// documents are in memory.
type documents struct {
	mu   sync.Mutex
	docs map[string]store.Document
}

func (d *documents) Get(_ context.Context, key string) (store.Document, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, ok := d.docs[key]
	if !ok {
		return doc, backout.ErrNotFound
	}
	return doc, nil
}

func (d *documents) Put(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.docs[key].Revision != revision {
		return 0, backout.ErrConflict
	}
	d.docs[key] = store.Document{Value: value, Revision: revision + 1}
	return revision + 1, nil
}

func (d *documents) Keys(context.Context, string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []string
	for key := range d.docs {
		if strings.HasPrefix(key, "auth.person.") {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// signInServer lets the local user glass in.
func signInServer(t *testing.T) string {
	t.Helper()
	hash, err := password.Hash("break the glass")
	if err != nil {
		t.Fatal(err)
	}
	return serveLogin(t, auth.Config{
		Users: []auth.User{{Name: "glass", Hash: hash}}, Lifetime: time.Hour, Idle: time.Hour,
		GrantsFor: func(string, []string) []backout.Grant {
			return []backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"env": "prod"}}}
		},
	})
}

func serveLogin(t *testing.T, c auth.Config) string {
	t.Helper()
	s, err := auth.New(auth.Options{Documents: &documents{docs: map[string]store.Document{}}, ExternalURL: "http://127.0.0.1"}, c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handlers.New(handlers.Options{Sessions: s, Pages: s.Routes()}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestLoginOnThisMachine: a session is kept for its server and its user alone, used by
// later commands, and gone after the logout, here and there.
func TestLoginOnThisMachine(t *testing.T) {
	server, home := signInServer(t), t.TempDir()
	env := func(typed string, more ...string) Options {
		return Options{Stdin: strings.NewReader(typed), Getenv: func(name string) string {
			for i := 0; i < len(more); i += 2 {
				if more[i] == name {
					return more[i+1]
				}
			}
			return map[string]string{"HOME": home, "BACKOUT_SERVER": server}[name]
		}}
	}
	want := func(o Options, code int, part string, args ...string) string {
		t.Helper()
		out, errs, got := run(t, o, args...)
		if got != code || !strings.Contains(out+errs, part) {
			t.Fatalf("%v: %d, want %d with %q\n%s%s", args, got, code, part, out, errs)
		}
		return out
	}
	want(env(""), ExitUnauthenticated, "backout login", "whoami")
	want(env("a wrong password\n"), ExitUnauthenticated, "name or password is wrong", "login", "--user", "glass")
	want(env(""), ExitUsage, "standard input", "login", "--user", "glass")
	want(env(""), ExitFailed, "local users sign in with --user", "login")
	want(env("break the glass\n"), ExitDone, "signed in as glass", "login", "--user", "glass")
	want(env(""), ExitDone, "approver where env=prod", "whoami")
	want(env(""), ExitDone, "this one", "session", "list")
	want(env("", "BACKOUT_TOKEN", "another-0123456789"), ExitUnauthenticated, "", "whoami")
	want(env("", "BACKOUT_SERVER", signInServer(t)), ExitUnauthenticated, "", "whoami")
	path := filepath.Join(home, ".config", "backout", "sessions.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	data, err := os.ReadFile(path)
	var saved map[string]savedSession
	if err != nil || json.Unmarshal(data, &saved) != nil || len(saved) != 1 {
		t.Fatalf("%s %v", data, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	want(env(""), ExitFailed, "by others: chmod 600", "whoami")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	want(env(""), ExitDone, "signed out", "logout")
	want(env(""), ExitUnauthenticated, "", "whoami")
	want(env(""), ExitDone, "not signed in", "logout")
	want(env("", "BACKOUT_TOKEN", saved[server].Token), ExitUnauthenticated, "session has ended", "whoami")
	for _, args := range [][]string{{"login"}, {"whoami"}, {"session", "list"}, {"logout"}} {
		out, errs, _ := run(t, env(""), args...)
		if strings.Contains(out+errs, saved[server].Token) {
			t.Errorf("%v shows the token", args)
		}
	}
}

func TestMain(m *testing.M) { authtest.Main(m) }

// TestLoginAtAProvider is the whole way on a command line: the code that it shows is given
// in a browser somewhere, and the session that it gets is used.
func TestLoginAtAProvider(t *testing.T) {
	issuer := authtest.Start(t, "http://127.0.0.1/unused", authtest.Person{Name: "alice", Password: "wonderland", Groups: []string{"sre"}})
	server, home := serveLogin(t, auth.Config{
		Provider: &auth.Provider{
			Issuer: issuer, ClientID: authtest.ClientID, CLIClientID: authtest.CLIClientID, Scopes: []string{"openid", "profile"},
			NameClaim: "preferred_username", GroupsClaim: "groups",
		},
		Lifetime: time.Hour, Idle: time.Hour, KnownGroup: func(g string) bool { return g == "sre" },
	}), t.TempDir()
	getenv := func(name string) string { return map[string]string{"HOME": home, "BACKOUT_SERVER": server}[name] }
	shown := regexp.MustCompile(`(?s)open (\S+)\nand give the code  (\S+)\n`)
	var out strings.Builder
	said := writerFunc(func(text []byte) (int, error) {
		if m := shown.FindSubmatch(text); m != nil {
			return len(text), authtest.Approve(string(m[1]), string(m[2]), "alice", "wonderland")
		}
		return len(text), nil
	})
	if code := Run(t.Context(), []string{"login"}, Options{Stdout: &out, Stderr: said, Getenv: getenv}); code != ExitDone || !strings.Contains(out.String(), "signed in as alice (sre)") {
		t.Fatalf("%d %s", code, out.String())
	}
	if text, errs, code := run(t, Options{Getenv: getenv}, "whoami"); code != ExitDone || !strings.Contains(text, "alice (sre)\n  no role") {
		t.Errorf("%d %s%s", code, text, errs)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// TestLogoutKeepsWhatItCouldNotEnd: a session that the server was not told of is kept for
// the next try.
func TestLogoutKeepsWhatItCouldNotEnd(t *testing.T) {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer down.Close()
	home := t.TempDir()
	p := newProgram(Options{Getenv: func(name string) string { return map[string]string{"XDG_CONFIG_HOME": home}[name] }})
	p.server = down.URL
	if err := p.saveSession(&savedSession{Token: "bos_x"}); err != nil {
		t.Fatal(err)
	}
	if _, _, code := run(t, p.Options, "--server", down.URL, "logout"); code != ExitFailed {
		t.Errorf("exit %d", code)
	}
	if token, err := p.sessionToken(); err != nil || token.Reveal() != "bos_x" {
		t.Errorf("forgotten: %v", err)
	}
}

func TestHashPassword(t *testing.T) {
	out, _, code := run(t, Options{Stdin: strings.NewReader("a long enough one\n")}, "auth", "hash-password")
	if code != ExitDone || !password.Matches(strings.TrimSpace(out), "a long enough one") {
		t.Errorf("%d %s", code, out)
	}
	if out, errs, code := run(t, Options{Stdin: strings.NewReader("short\n")}, "auth", "hash-password"); code != ExitUsage || strings.Contains(out+errs, "short\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
