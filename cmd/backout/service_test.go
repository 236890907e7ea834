package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// shipped installs the binary, both units and the example on a machine, as
// deploy/README.md and docs/runners.md say.
func shipped(t *testing.T) *hosttest.Machine {
	t.Helper()
	m := hosttest.Systemd(t)
	at := func(name string) string { return filepath.Join(m.Root, name) }
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", at("usr/local/bin/backout"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.CopyFS(at("etc/backout"), os.DirFS("../../deploy/example")); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(m.Key)
	if err != nil {
		t.Fatal(err)
	}
	known, err := os.ReadFile(m.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	write(t, at("etc/backout/known_hosts"), string(known), 0o644)
	m.Do(t, "install", "-d", "-m", "700", "/etc/backout/secrets")
	for name, secret := range map[string]string{
		"alertmanager.token": strings.Repeat("a", 48), "ann.token": strings.Repeat("b", 48), "hook.secret": strings.Repeat("c", 48), "ssh.key": string(key),
	} {
		write(t, at("etc/backout/secrets/"+name), secret, 0o600)
	}
	for _, unit := range []string{"backout.service", "backout-runner.service"} {
		text, err := os.ReadFile("../../deploy/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		write(t, at("etc/systemd/system/"+unit), string(text), 0o644)
	}
	m.Do(t, "systemctl", "daemon-reload")
	return m
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// change replaces text in a file of the machine; each piece must be there.
func change(t *testing.T, m *hosttest.Machine, file string, oldnew ...string) {
	t.Helper()
	file = filepath.Join(m.Root, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(text), oldnew[i]) {
			t.Fatalf("%s has no %q", file, oldnew[i])
		}
	}
	write(t, file, strings.NewReplacer(oldnew...).Replace(string(text)), 0o644)
}

// awaitService waits until the unit's newest log says the text, and fails when it
// ends instead.
func awaitService(t *testing.T, m *hosttest.Machine, unit, text string) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		log := m.Do(t, "sh", "-c", `journalctl --output=cat _SYSTEMD_INVOCATION_ID="$(systemctl show --value -p InvocationID "$0")"`, unit)
		if strings.Contains(log, text) {
			return log
		}
		if restarts := m.Do(t, "systemctl", "show", "--value", "-p", "NRestarts", unit); strings.TrimSpace(restarts) != "0" || time.Now().After(deadline) {
			t.Fatalf("%s is not up after %s restarts:\n%s", unit, restarts, m.Do(t, "journalctl", "--output=cat", "--unit="+unit))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestShippedUnitsStart: the binary starts under both units as they are shipped,
// and the server can keep attempts of local targets.
func TestShippedUnitsStart(t *testing.T) {
	m := shipped(t)
	change(t, m, "etc/backout/backout.yaml", "127.0.0.1:8420", "127.0.0.1:0")
	change(t, m, "etc/backout/inventory/web-tier.yaml", "targets:\n", "targets:\n  - {name: here, transport: local, os: linux}\n")
	m.Do(t, "systemctl", "start", "backout")
	if log := awaitService(t, m, "backout", `"serving"`); strings.Contains(log, "not armed") {
		t.Errorf("it has no place for attempts of local targets:\n%s", log)
	}
	if left := m.Do(t, "ls", "-A", "/var/lib/backout/.local/state/backout/attempts"); !strings.HasPrefix(left, ".idle-") {
		t.Errorf("attempts: %q", left)
	}

	key := regexp.MustCompile(`backout-server-key:\S+`).FindString(m.Do(t, "backout", "runner", "keygen", "--file", "/etc/backout/secrets/runners.key"))
	url := "nats://" + bustest.External(t, "debug: false")
	change(t, m, "etc/backout/runner/runner.yaml",
		"tls://nats.example.com:4222", url, "  credentials: {credential: nats.creds}\n", "", "backout-server-key:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", key)
	change(t, m, "etc/systemd/system/backout-runner.service", "LoadCredential=nats.creds:/etc/backout/secrets/nats.creds\n", "")
	m.Do(t, "cp", "/etc/backout/runner/runner.yaml", "/etc/backout/")
	m.Do(t, "systemctl", "daemon-reload")
	m.Do(t, "systemctl", "start", "backout-runner")
	awaitService(t, m, "backout-runner", `"waiting for steps"`)
	m.Do(t, "systemctl", "stop", "backout-runner", "backout")
}

// TestRestoreWithTheShippedUnit: the lines of docs/backup.md, as they stand there.
func TestRestoreWithTheShippedUnit(t *testing.T) {
	m := shipped(t)
	change(t, m, "etc/backout/backout.yaml", "127.0.0.1:8420", "127.0.0.1:0")
	m.Do(t, "systemctl", "start", "backout")
	awaitService(t, m, "backout", `"serving"`)
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(page), "\n### With the shipped unit\n")
	if !ok {
		t.Fatal("docs/backup.md says nothing of the shipped unit")
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(part, 3)
	if len(blocks) != 3 {
		t.Fatalf("docs/backup.md has %d blocks of the shipped unit, want a function, a backup and a restore", len(blocks))
	}
	log := ""
	for _, lines := range blocks[1:] {
		m.Do(t, "sh", "-ec", blocks[0][1]+lines[1])
		m.Do(t, "systemctl", "start", "backout")
		log = awaitService(t, m, "backout", `"serving"`)
	}
	address := regexp.MustCompile(`"address":"([^"]+)"`).FindStringSubmatch(log)
	if address == nil {
		t.Fatalf("it says no address:\n%s", log)
	}
	status := m.Do(t, "sh", "-c", `BACKOUT_TOKEN_FILE=/etc/backout/secrets/ann.token backout pause --status --server "http://$0"`, address[1])
	if !strings.Contains(status, "backup") {
		t.Errorf("after the restore: %s", status)
	}
	if left := m.Do(t, "find", "/var/lib/private/backout", "-uid", "0"); left != "" {
		t.Errorf("files of root are left:\n%s", left)
	}
	if said := m.Do(t, "sh", "-c", "! CREDENTIALS_DIRECTORY=/etc/backout/secrets backout backup -c /etc/backout/backout.yaml --server http://127.0.0.1:1 - 2>&1 >/dev/null"); !strings.Contains(said, "a server runs on this store") {
		t.Errorf("root, while the server runs: %s", said)
	}
	m.Do(t, "systemctl", "stop", "backout")
	if said := m.Do(t, "sh", "-c", "! CREDENTIALS_DIRECTORY=/etc/backout/secrets backout backup -c /etc/backout/backout.yaml - 2>&1 >/dev/null"); !strings.Contains(said, "run this as that user") {
		t.Errorf("root, while it is stopped: %s", said)
	}
}
