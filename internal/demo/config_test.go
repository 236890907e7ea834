package demo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/backout-io/backout/internal/app"
)

var update = flag.Bool("update", false, "write deploy/example from the templates")

// TestExampleIsTheDemoWithRealTimes: what people copy is what the demo shows.
func TestExampleIsTheDemoWithRealTimes(t *testing.T) {
	rendered, err := Render(RealTimes())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range rendered {
		path := filepath.Join("..", "..", "deploy", "example", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: go test ./internal/demo -run Example -update", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale (-want +got), go test ./internal/demo -run Example -update:\n%s", path, diff)
		}
	}
}

// TestExampleCredentialsAreThoseOfTheUnit: what the example names, systemd
// passes, and the README says how to make it.
func TestExampleCredentialsAreThoseOfTheUnit(t *testing.T) {
	deploy := filepath.Join("..", "..", "deploy")
	find := func(file, pattern string) []string {
		data, err := os.ReadFile(filepath.Join(deploy, file))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(data), -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	want := find("example/backout.yaml", `\{credential: ([^}]+)\}`)
	if len(want) < 4 {
		t.Fatalf("the example names %q", want)
	}
	if diff := cmp.Diff(want, find("backout.service", `(?m)^LoadCredential=([^:]+):/etc/backout/secrets/[^:]+$`)); diff != "" {
		t.Errorf("LoadCredential= of the unit (-example +unit):\n%s", diff)
	}
	if diff := cmp.Diff(want, find("README.md", `/etc/backout/secrets/([a-z]+\.[a-z]+)`)); diff != "" {
		t.Errorf("secrets that the README makes (-example +README):\n%s", diff)
	}
	if loose := find("example/backout.yaml", `(\{(?:file|env):.*)`); loose != nil {
		t.Errorf("secrets that are no credentials: %q", loose)
	}
}

// TestExamplePassesTheCheck: with its secrets in place, the example has no
// problem and no warning.
func TestExamplePassesTheCheck(t *testing.T) {
	dir := t.TempDir()
	v := RealTimes()
	v.KnownHosts = filepath.Join(dir, "known_hosts")
	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	if err := write(dir, v); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"alertmanager.token": "example-token-of-alertmanager", "ann.token": "example-token-of-ann-and-nobody", "hook.secret": "example-secret-of-the-hook", "ssh.key": sshKey(t),
	} {
		if err := writeFile(filepath.Join(credentials, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeFile(v.KnownHosts, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range app.Check(t.Context(), filepath.Join(dir, "backout.yaml")) {
		t.Errorf("%s", p)
	}
}

// TestPeopleExamplePassesTheCheck: so has the one with people in it, and the unit has a
// line for each of its secrets.
func TestPeopleExamplePassesTheCheck(t *testing.T) {
	deploy := filepath.Join("..", "..", "deploy")
	unit, err := os.ReadFile(filepath.Join(deploy, "backout.service"))
	if err != nil {
		t.Fatal(err)
	}
	dir, credentials := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(deploy, "example"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "people.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{credential: ([^}]+)\}`).FindAllSubmatch(text, -1) {
		name := string(m[1])
		if line := regexp.MustCompile(`(?m)^#?LoadCredential=` + regexp.QuoteMeta(name) + `:/etc/backout/secrets/` + regexp.QuoteMeta(name) + `$`); !line.Match(unit) {
			t.Errorf("backout.service has no line for %s, which people.yaml names", name)
		}
		secret := "0123456789abcdef0123456789abcdef"
		if name == "ssh.key" {
			secret = sshKey(t)
		}
		if err := writeFile(filepath.Join(credentials, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	known := filepath.Join(dir, "known_hosts")
	if err := writeFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("/etc/backout/known_hosts"), []byte(known)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range app.Check(t.Context(), file) {
		t.Errorf("%s", p)
	}
}

func sshKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}
