package hosttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Operator is a user of a [Machine] beside root: the same key, and sudo without a
// password.
const Operator = "deploy"

// machineAddress is where the sshd of every machine listens, each on a port of its
// own: no connection of this machine begins there.
const machineAddress = "127.0.0.41"

// Machine is a host of its own: systemd as PID 1, an sshd, users, and a new boot
// id with every boot. It shares kernel and network with this machine.
type Machine struct {
	Access
	// Target is the machine as a target.
	Target backout.Target
	// Root is its root file system, as this machine sees it.
	Root string

	t     testing.TB
	group string
	disk  *Disk
	log   bytes.Buffer

	mu     sync.Mutex
	nspawn *exec.Cmd
	off    chan struct{} // closed when the machine is off
}

// Systemd boots a machine and switches it off with the test. It must be called by
// root; packages of Debian or Ubuntu can be added to it.
func Systemd(t testing.TB, packages ...string) *Machine {
	t.Helper()
	return SystemdOn(t, nil, packages...)
}

// SystemdOn is [Systemd] with its root on a disk; nil means a plain folder.
func SystemdOn(t testing.TB, disk *Disk, packages ...string) *Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "a machine with systemd needs root")
	}
	for _, part := range [][2]string{{"systemd-nspawn", "systemd-container"}, {"mmdebstrap", "mmdebstrap"}, {"ssh", "openssh-client"}} {
		if _, err := exec.LookPath(part[0]); err != nil {
			Missing(t, "no "+part[0]+" here: apt-get install "+part[1])
		}
	}
	dir, err := os.MkdirTemp("", "backout-machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	m := &Machine{t: t, disk: disk, Root: filepath.Join(dir, "root"), group: filepath.Base(dir), Access: Access{
		User: "root", Key: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), Attempts: "/var/lib/backout/attempts",
		Port: freePort(t, machineAddress),
	}}
	m.Target = backout.Target{Name: m.group, Address: net.JoinHostPort(machineAddress, strconv.Itoa(m.Port)), Transport: "ssh"}
	m.unpack(packages)
	t.Cleanup(func() {
		m.poweroff()
		m.sweep()
		if t.Failed() {
			t.Logf("the machine's console:\n%s", m.log.Bytes())
		}
	})
	m.Boot(t)
	return m
}

// unpack makes the root file system ready for its first boot.
func (m *Machine) unpack(packages []string) {
	t := m.t
	t.Helper()
	if err := os.Mkdir(m.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.insert(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.eject(); err != nil {
			t.Error(err)
		}
	}()
	run(t, "tar", "-xf", rootTar(t, packages), "-C", m.Root, "--exclude=./dev/*")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "key", "-f", m.Key)
	private, err := os.ReadFile(m.Key)
	if err != nil {
		t.Fatal(err)
	}
	m.KeySecret = backout.SecretValue(string(private))
	public, err := os.ReadFile(filepath.Join(m.Root, "etc/ssh/ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.KnownHosts, fmt.Appendf(nil, "[%s]:%d %s", machineAddress, m.Port, public), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "chroot", m.Root, "useradd", "-m", "-s", "/bin/sh", "-p", "*", Operator)
	for _, home := range []string{"root", "home/" + Operator} {
		run(t, "install", "-D", "-m", "644", m.Key+".pub", filepath.Join(m.Root, home, ".ssh/authorized_keys"))
	}
	for file, text := range map[string]string{
		"etc/hostname":                       m.group + "\n",
		"etc/hosts":                          "127.0.0.1 localhost " + m.group + "\n",
		"etc/sudoers.d/backout":              Operator + " ALL=(ALL) NOPASSWD: ALL\n",
		"etc/ssh/sshd_config.d/backout.conf": fmt.Sprintf("ListenAddress %s\nPort %d\nPermitRootLogin yes\nMaxStartups 100\n", machineAddress, m.Port),
	} {
		if err := os.WriteFile(filepath.Join(m.Root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{
		"console-getty.service", "getty.target", "e2scrub_reap.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer",
		"systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service",
	} {
		run(t, "ln", "-sf", "/dev/null", filepath.Join(m.Root, "etc/systemd/system", unit))
	}
}

// command is a command line for the machine's root, over SSH.
func (m *Machine) command(argv []string) *exec.Cmd { return sshCommand(m.Access, m.Target, argv) }

// sshCommand is a command line for the target's root, over SSH.
func sshCommand(a Access, target backout.Target, argv []string) *exec.Cmd {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = attempt.Quote(arg)
	}
	host, port, _ := net.SplitHostPort(target.Address)
	return exec.Command("ssh", "-F", "none", "-n", "-T", "-i", a.Key, "-p", port, "-o", "UserKnownHostsFile="+a.KnownHosts, "-o", "BatchMode=yes",
		"-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", "root@"+host, "exec "+strings.Join(quoted, " "))
}

// Do runs a command as the machine's root and returns what it said. One that fails
// fails the test.
func (m *Machine) Do(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := m.command(argv).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// BootID is the boot id of the machine now.
func (m *Machine) BootID(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(m.Do(t, "cat", "/proc/sys/kernel/random/boot_id"))
}

// Boot switches the machine on and waits until it has booted.
func (m *Machine) Boot(t testing.TB) {
	t.Helper()
	started := make(chan error, 1)
	off := make(chan struct{})
	m.mu.Lock()
	m.off = off
	m.mu.Unlock()
	go func() {
		defer close(off)
		m.mind(started)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	m.await(t, "")
}

// await waits until the machine is up, in another boot than the one named.
func (m *Machine) await(t testing.TB, before string) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		out, err := m.command([]string{"sh", "-c", "systemctl is-system-running --wait >/dev/null 2>&1; cat /proc/sys/kernel/random/boot_id"}).Output()
		// What a machine that goes down says beside its boot id is no other boot id.
		if id := strings.TrimSpace(string(out)); err == nil && len(id) == len(bootIDShape) && id != before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the machine is not up after 90 s: %v: %s", err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const bootIDShape = "00000000-0000-0000-0000-000000000000"

// AwaitReboot waits until the machine is up in another boot than the one named.
func (m *Machine) AwaitReboot(t testing.TB, before string) {
	t.Helper()
	m.await(t, before)
}

// Reboot reboots the machine in good order and waits until it is up again.
func (m *Machine) Reboot(t testing.TB) {
	t.Helper()
	before := m.BootID(t)
	// The connection may end before the answer comes.
	_ = m.command([]string{"systemctl", "reboot"}).Run()
	m.await(t, before)
}

// Kill cuts the machine off as a power cut would, except that nothing it wrote is
// lost. It stays off until Boot.
func (m *Machine) Kill(t testing.TB) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.killLeader(); err != nil {
		t.Fatal(err)
	}
	<-m.off
}
