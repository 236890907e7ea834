package ssh_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

func onMachine(m *hosttest.Machine, user string, sudo bool) ssh.Options {
	return ssh.Options{User: user, Sudo: sudo, Key: m.KeySecret, KnownHosts: m.KnownHosts, Port: m.Port, ConnectTimeout: 20 * time.Second}
}

// waiting is a step that says something, waits for a file and leaves an effect.
func waiting(work, id string) backout.Exec {
	return hosttest.Shell(`echo up; until [ -e "$GATE" ]; do sleep 0.05; done; echo x >>"$GATE.effect"; exit 5`, "GATE", filepath.Join(work, id))
}

// goesOn lets the step of waiting end, and asserts that it ran once, to its end.
func goesOn(t *testing.T, h backout.Host, work, id string) {
	t.Helper()
	if r := hosttest.Probe(t, h, id); r.State != backout.AttemptRunning || r.Detail != "" {
		t.Fatalf("%s: %+v, want running under its supervisor", id, r)
	}
	gate := filepath.Join(work, id)
	hosttest.Look(t, h, `>"$GATE"`, "GATE", gate)
	r, _ := hosttest.Follow(t, h, id)
	hosttest.Finished(t, r, 5)
	if got := hosttest.Look(t, h, `cat "$GATE.effect"`, "GATE", gate); got != "x\n" {
		t.Errorf("%s had the effects %q", id, got)
	}
}

// noUnits asserts that no unit of an attempt stays once its processes are gone.
func noUnits(t *testing.T, m *hosttest.Machine) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := m.Do(t, "systemctl", "list-units", "--all", "--no-legend", "backout-*")
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("units are left:\n%s", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestHostsWithSystemd(t *testing.T) {
	m := hosttest.Systemd(t)
	for _, user := range []string{"root", hosttest.Operator} {
		t.Run(user, func(t *testing.T) {
			work := "/tmp/work-" + user
			m.Do(t, "install", "-d", work)
			m.Do(t, "rm", "-rf", m.Attempts)
			hosttest.Suite{
				Host: func(t testing.TB) backout.Host {
					return host(t, network(t, onMachine(m, user, user != "root")), m.Target)
				},
				Attempts: m.Attempts, Work: work,
			}.Run(t)
			noUnits(t, m)
		})
	}
}

func TestUnitOfAnAttempt(t *testing.T) {
	const work = "/tmp"
	m := hosttest.Systemd(t)
	h := host(t, network(t, onMachine(m, hosttest.Operator, true)), m.Target)
	start := func(id string) {
		t.Helper()
		hosttest.Start(t, h, id, waiting(work, id))
		hosttest.AwaitOutput(t, h, id)
	}

	start("a1")
	for file, field := range map[string]string{"claim": "2", "pid": "1"} {
		group := m.Do(t, "sh", "-c", `cat "/proc/$(cut -d' ' -f`+field+` "/var/lib/backout/attempts/a1/`+file+`")/cgroup"`)
		if !strings.Contains(group, "/system.slice/"+attempt.Unit("a1")+"\n") {
			t.Errorf("the process of %s is in\n%s", file, group)
		}
	}
	m.Do(t, "systemctl", "restart", "ssh")
	m.Do(t, "systemctl", "daemon-reexec")
	m.Do(t, "systemctl", "daemon-reload")
	m.Do(t, "systemctl", "restart", "systemd-logind")
	goesOn(t, h, work, "a1")

	// Its unit outlived its directory: somebody removed that.
	start("a2")
	m.Do(t, "rm", "-rf", "/var/lib/backout/attempts/a2")
	hosttest.Start(t, h, "a2", waiting(work, "a2"))
	if r, out := hosttest.Follow(t, h, "a2"); r.State != backout.AttemptUnknown || r.Detail != attempt.DetailNeverStarted || !strings.Contains(out, "is active") {
		t.Errorf("a second start while the first one's unit is active: %+v %q", r, out)
	}
	m.Do(t, "systemctl", "stop", attempt.Unit("a2"))

	// Without the bus systemd cannot be asked.
	m.Do(t, "systemctl", "stop", "dbus.socket", "dbus.service")
	start("a3")
	goesOn(t, h, work, "a3")
	m.Do(t, "systemctl", "start", "dbus.socket")

	for _, id := range []string{"a1", "a3"} {
		if err := h.Forget(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	noUnits(t, m)
}

// TestLogoutWithKillUserProcesses: what package attempt and docs/targets.md say of
// each way to log in.
func TestLogoutWithKillUserProcesses(t *testing.T) {
	const work = "/tmp"
	m := hosttest.Systemd(t)
	configure := func(lines string) {
		t.Helper()
		m.Do(t, "sh", "-c", `mkdir -p /etc/systemd/logind.conf.d; printf "[Login]\nKillUserProcesses=yes\n$0\n" >/etc/systemd/logind.conf.d/kill.conf; systemctl restart systemd-logind`, lines)
	}
	for i, tt := range []struct {
		name, config, linger string
		sudo, survives       bool
	}{
		{name: "sudo", sudo: true, survives: true},
		{name: "user"},
		{name: "lingering user", linger: "enable-linger"},
		{name: "excluded user", config: "KillExcludeUsers=root " + hosttest.Operator, survives: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			configure(tt.config)
			if tt.linger != "" {
				m.Do(t, "loginctl", tt.linger, hosttest.Operator)
				defer m.Do(t, "loginctl", "disable-linger", hosttest.Operator)
			}
			o := onMachine(m, hosttest.Operator, tt.sudo)
			id := fmt.Sprint("a", i)
			n := network(t, o)
			h := host(t, n, m.Target)
			hosttest.Start(t, h, id, waiting(work, id))
			hosttest.AwaitOutput(t, h, id)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(30 * time.Second)
			for strings.Contains(m.Do(t, "loginctl", "list-sessions", "--no-legend"), hosttest.Operator) && tt.config == "" {
				if time.Now().After(deadline) {
					t.Fatal("it is still logged in")
				}
				time.Sleep(50 * time.Millisecond)
			}
			h = host(t, network(t, o), m.Target)
			if tt.survives {
				goesOn(t, h, work, id)
				return
			}
			if r, _ := hosttest.Follow(t, h, id); r.State != backout.AttemptUnknown || r.Detail != attempt.DetailGone || r.Rebooted() {
				t.Errorf("%+v, want its processes gone", r)
			}
		})
	}
}

func TestRebootInTheMiddle(t *testing.T) {
	const work = "/root"
	m := hosttest.Systemd(t)
	h := host(t, network(t, onMachine(m, "root", false)), m.Target)
	hosttest.Start(t, h, "before", hosttest.Shell("exit 4"))
	r, _ := hosttest.Follow(t, h, "before")
	hosttest.Finished(t, r, 4)
	for i, reboot := range []func(){
		func() { m.Reboot(t) },
		func() { m.Kill(t); m.Boot(t) },
	} {
		id := fmt.Sprint("a", i)
		first, err := h.BootID(t.Context())
		if err != nil || first != m.BootID(t) {
			t.Fatalf("boot id %q, %v", first, err)
		}
		hosttest.Start(t, h, id, waiting(work, id))
		hosttest.AwaitOutput(t, h, id)
		reboot()
		// The old connection may be found gone by the first use.
		_, _ = h.Probe(t.Context(), id)
		second, err := h.BootID(t.Context())
		if err != nil || second == first || second != m.BootID(t) {
			t.Fatalf("boot id after the reboot: %q, %v; before: %q", second, err, first)
		}
		want := backout.AttemptReport{State: backout.AttemptUnknown, Detail: attempt.DetailRebooted, Boot: second, ClaimBoot: first}
		if r, out := hosttest.Follow(t, h, id); r != want || !r.Rebooted() || out != "up\n" {
			t.Errorf("%+v %q, want %+v", r, out, want)
		}
		hosttest.Look(t, h, `>"$GATE"`, "GATE", filepath.Join(work, id))
		hosttest.Start(t, h, id, waiting(work, id))
		if r := hosttest.Probe(t, h, id); r != want {
			t.Errorf("a second start: %+v", r)
		}
		if r := hosttest.Probe(t, h, "before"); r.State != backout.AttemptFinished || r.ExitCode != 4 || r.Boot != second || !r.Rebooted() {
			t.Errorf("one that had finished: %+v", r)
		}
		if err := h.Stop(t.Context(), id); err != nil {
			t.Errorf("stop of what a reboot ended: %v", err)
		}
		if got := hosttest.Look(t, h, `cat "$GATE.effect" 2>/dev/null || true`, "GATE", filepath.Join(work, id)); got != "" {
			t.Errorf("it had the effects %q", got)
		}
	}
}
