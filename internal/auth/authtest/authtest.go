// Package authtest runs a real OpenID Connect provider for tests: the example server
// of github.com/zitadel/oidc, a module of its own in internal/auth/testdata/provider,
// built when the first test needs it.
package authtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The clients that the provider knows: one with a secret and the code flow, and a public
// one with the device flow.
const (
	ClientID     = "web"
	ClientSecret = "web-secret"
	CLIClientID  = "cli"
)

// Person is somebody whom the provider knows, by password.
type Person struct {
	Name     string   `json:"name"`
	Password string   `json:"password"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"`
}

// Main runs the tests of a package, and removes what [Start] has built for them.
func Main(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}

// Clean removes what [Start] has built, for packages that run their tests themselves.
func Clean() {
	building.Lock()
	defer building.Unlock()
	if built != "" {
		_ = os.RemoveAll(filepath.Dir(built))
		built = ""
	}
}

var (
	building sync.Mutex
	built    string
)

// build makes the provider once for all tests of a package.
func build() (string, error) {
	building.Lock()
	defer building.Unlock()
	if built != "" {
		return built, nil
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("where this file is, is not known")
	}
	dir, err := os.MkdirTemp("", "backout-provider")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "provider")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "testdata", "provider")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s%w", err, out, os.RemoveAll(dir))
	}
	built = program
	return built, nil
}

// Start runs the provider until the test ends, and returns its issuer. People who sign in
// in a browser are sent back to redirect. Where it cannot be built the test is skipped,
// or fails when BACKOUT_E2E=require.
func Start(t testing.TB, redirect string, people ...Person) string {
	t.Helper()
	program, err := build()
	if err != nil {
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatalf("the identity provider for the tests cannot be built: %v", err)
		}
		t.Skipf("the identity provider for the tests cannot be built (go build in internal/auth/testdata/provider): %v", err)
	}
	users := filepath.Join(t.TempDir(), "users.json")
	data, err := json.Marshal(people)
	if err == nil {
		err = os.WriteFile(users, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-redirect", redirect, "-users", users)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	issuer, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider did not say its issuer: %v", err)
	}
	return strings.TrimSpace(issuer)
}

// Approve does what a person does in a browser during a device login: it opens the
// address, signs in and gives the code.
func Approve(address, code, name, password string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar}
	for _, step := range []struct {
		path   string
		fields url.Values
	}{
		{"/login", url.Values{"user_code": {code}, "username": {name}, "password": {password}}},
		{"/confirm", url.Values{"action": {"allowed"}}},
	} {
		res, err := client.PostForm(address+step.path, step.fields)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the provider answers %s", res.Status)
		}
	}
	return nil
}
