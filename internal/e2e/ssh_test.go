package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// reach tells the site how the sshd's targets are reached.
func (s *site) reach(d *hosttest.Server, knownHosts string) {
	s.more += fmt.Sprintf("ssh: {user: %s, key: {file: %q}, known_hosts: %q, port: %d}\n", d.User, d.Key, knownHosts, d.Port)
}

// sshInventory lists the sshd's addresses as targets.
func sshInventory(d *hosttest.Server) (yaml string, names []string) {
	yaml = "targets:\n"
	for _, target := range d.Targets {
		host, _, _ := strings.Cut(target.Address, ":")
		yaml += fmt.Sprintf("  - {name: %s, address: %s}\n", target.Name, host)
		names = append(names, target.Name)
	}
	return yaml, names
}

// sshPlan runs a step on two targets at a time. It notes when it begins and ends,
// and what it was told, in files that do not name what came from the alert.
func sshPlan(dir string) string {
	return fmt.Sprintf(`plans:
  - name: web-shop
    baseline: {without: [units, ports, mounts, accounts]}
    verify: {every: 100ms, hold_for: 300ms, ignore_alerts: true, checks: [{name: done, command: {argv: [grep, -q, "end", %[1]s/effects]}}]}
    levels:
      - name: L1
        escalate_after: 2m
        max_parallel: 2
        steps: [{name: note, uses: command, with: {argv: [/bin/sh, %[1]s/note, "${BACKOUT_ALERT_NAME}"]}, timeout: 1m}]
`, dir)
}

const noteScript = `cd "$(dirname "$0")" || exit 1
echo "begin $BACKOUT_TARGET" >>effects
printf '%s' "$1" >"argument.$BACKOUT_TARGET"
printf '%s' "$BACKOUT_ALERT_NAME" >"environment.$BACKOUT_TARGET"
env | grep '^BACKOUT_' | sort >"facts.$BACKOUT_TARGET"
sleep 0.5
echo "end $BACKOUT_TARGET" >>effects
`

// TestSSHTargets: a level runs on real hosts over SSH, two at a time, once on
// each; what an alert says reaches the step as data and nothing else.
func TestSSHTargets(t *testing.T) {
	t.Parallel()
	d := hosttest.SSHD(t, 3)
	write(t, filepath.Join(d.Attempts, "note"), noteScript, 0o644)
	inventory, names := sshInventory(d)
	s := newSite(t, sshPlan(d.Attempts), strings.Replace(autoRule, "scope: target", "scope: change", 1), inventory)
	s.reach(d, d.KnownHosts)
	srv := s.serve()
	srv.open(names...)
	hostile := "$(touch owned); `touch owned`\n'\"; touch owned #\\ ${BACKOUT_TARGET} {{ .Change.ID }} <script> é\t%s"
	red := shopDown(names[0])
	red.labels["alertname"] = hostile
	red.labels["$(touch owned)"] = "ignored"
	srv.mustPost(red)
	id := srv.awaitRollback(20 * time.Second)
	r := srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	if len(r.Targets) != 3 {
		t.Errorf("%d targets, want 3", len(r.Targets))
	}

	effects := read(filepath.Join(d.Attempts, "effects"))
	running, most := 0, 0
	for line := range strings.Lines(effects) {
		if strings.HasPrefix(line, "begin") {
			running++
		} else {
			running--
		}
		most = max(most, running)
	}
	if most != 2 {
		t.Errorf("%d targets at a time, want 2:\n%s", most, effects)
	}
	for _, name := range names {
		if b, e := strings.Count(effects, "begin "+name+"\n"), strings.Count(effects, "end "+name+"\n"); b != 1 || e != 1 {
			t.Errorf("%s began %d times and ended %d times, want once each", name, b, e)
		}
		for _, kind := range []string{"argument", "environment"} {
			if got := read(filepath.Join(d.Attempts, kind+"."+name)); got != hostile {
				t.Errorf("%s of %s is %q, want %q", kind, name, got, hostile)
			}
		}
		facts := read(filepath.Join(d.Attempts, "facts."+name))
		for _, want := range []string{"BACKOUT_CHANGE_ID=" + s.change, "BACKOUT_ROLLBACK_ID=" + id, "BACKOUT_LEVEL=L1", "BACKOUT_TARGET=" + name, "BACKOUT_RULE=ErrorsAfterPatch", "BACKOUT_ATTEMPT=" + id} {
			if !strings.Contains(facts, want) {
				t.Errorf("%s was not told %s:\n%s", name, want, facts)
			}
		}
	}
	for _, place := range []string{d.Attempts, s.dir, "/", "/home/" + d.User} {
		if _, err := os.Stat(filepath.Join(place, "owned")); err == nil {
			t.Errorf("the alert's text was run: %s/owned is there", place)
		}
	}
}

// TestWrongHostKeyKeepsTheWindowShut: a host that is not the one we know gets
// nothing, and the gate says so before the patch.
func TestWrongHostKeyKeepsTheWindowShut(t *testing.T) {
	t.Parallel()
	d := hosttest.SSHD(t, 2)
	write(t, filepath.Join(d.Attempts, "note"), noteScript, 0o644)
	inventory, names := sshInventory(d)
	s := newSite(t, sshPlan(d.Attempts), autoRule, inventory)
	// The second host's line gets another key.
	other := s.path("other")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	known := strings.SplitAfter(read(d.KnownHosts), "\n")
	address, _, _ := strings.Cut(known[1], " ")
	known[1] = address + " " + read(other+".pub")
	write(t, s.path("known_hosts"), strings.Join(known, ""), 0o644)
	s.reach(d, s.path("known_hosts"))
	srv := s.serve()
	srv.plan(s.change, names...)
	code, stdout, stderr := srv.cli("change", "run", s.change, "--", "touch", s.path("patched"))
	said := stdout + stderr
	if code != 3 || !strings.Contains(said, names[1]) || !strings.Contains(said, "host key") || strings.Contains(said, names[0]+" ") {
		t.Errorf("exit code %d, want 3 and the reason on %s alone:\n%s", code, names[1], said)
	}
	if _, err := os.Stat(s.path("patched")); err == nil {
		t.Error("the patch was applied though the gate said no")
	}
	if show := srv.mustCLI("change", "show", s.change); !strings.Contains(show, "planned") || !strings.Contains(show, "host key") {
		t.Errorf("change show does not say why it is shut:\n%s", show)
	}
}
