package capture_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// here runs the script on this machine: by a shell of choice, with folders before the
// PATH, and with more variables.
type here struct {
	backout.Host
	shell []string
	path  string
	env   []string
	// before is a script that runs in a mount namespace of its own and then becomes
	// the command.
	before string
}

// Run implements [backout.Host].
func (h here) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	argv := e.Argv
	if h.shell != nil {
		argv = append(append([]string{}, h.shell...), argv[1:]...)
	}
	if h.before != "" {
		argv = append([]string{"unshare", "-m", "sh", "-ec", h.before + "\nexec \"$@\"", "sh"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &stdout, &stderr
	cmd.Env = append([]string{"PATH=" + h.path + "/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}, h.env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return backout.ExecResult{}, err
	}
	return backout.ExecResult{ExitCode: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
}

// stubs is a folder with programs, as the beginning of a PATH.
func stubs(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir + ":"
}

// without leaves out what an ordinary user cannot read, and what this machine does
// meanwhile.
func without(parts ...string) backout.BaselineSpec {
	if os.Geteuid() != 0 {
		parts = append(parts, backout.PartAccounts)
	}
	return backout.BaselineSpec{Without: parts}
}

// TestTakeHere looks at this machine with each shell that may be /bin/sh somewhere.
func TestTakeHere(t *testing.T) {
	want, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}\n").Output()
	if err != nil {
		hosttest.Missing(t, "no dpkg-query here: the test needs Debian or Ubuntu")
	}
	installed := strings.Count(string(want), "installed\n") - strings.Count(string(want), "not-installed\n")
	spec := without(backout.PartPorts, backout.PartMounts)
	spec.Files = []string{"/etc/passwd", "/etc/host*", "/nowhere/at/all"}
	var first []byte
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			hosttest.Missing(t, "no "+shell[0]+" here: apt-get install "+shell[0])
		}
		inv, err := capture.Take(t.Context(), here{shell: shell}, spec)
		if err != nil {
			t.Fatalf("%v: %v", shell, err)
		}
		if len(inv.Packages.Installed) != installed || inv.Packages.Manager != "dpkg" || !strings.HasPrefix(inv.Packages.Tool, "apt ") {
			t.Errorf("%v: %d packages of %s by %s, dpkg has %d", shell, len(inv.Packages.Installed), inv.Packages.Manager, inv.Packages.Tool, installed)
		}
		if len(inv.Files) < 3 || inv.Files[0].Path != "/etc/host.conf" || inv.Files[len(inv.Files)-1].Kind != "absent" {
			t.Errorf("%v: %+v", shell, inv.Files)
		}
		inv.Machine.Build = "" // busybox has its own uname
		if data := baseline.EncodeInventory(inv); first == nil {
			first = data
		} else if !bytes.Equal(data, first) {
			t.Errorf("%v: the same state, and other bytes:\n%s\n%s", shell, first, data)
		}
	}
}

// TestPortsAndMountsHere: a listener is seen, and so is the root.
func TestPortsAndMountsHere(t *testing.T) {
	inv, err := capture.Take(t.Context(), here{}, without())
	if err != nil {
		t.Fatal(err)
	}
	root := false
	for _, m := range inv.Mounts {
		root = root || m.Path == "/" && m.Options != ""
		if m.Type == "proc" || strings.HasPrefix(m.Path, "/dev/") {
			t.Errorf("%+v is no file system of anybody", m)
		}
	}
	if !root {
		t.Errorf("no root in %+v", inv.Mounts)
	}
}

// TestLocaleAndTerminalDoNotMatter: not those of the caller either.
func TestLocaleAndTerminalDoNotMatter(t *testing.T) {
	spec := without(backout.PartPorts)
	plain, err := capture.Take(t.Context(), here{}, spec)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := capture.Take(t.Context(), here{env: []string{
		"LC_ALL=de_DE.UTF-8", "LANGUAGE=de", "TZ=Asia/Tokyo", "COLUMNS=20", "TERM=xterm-256color", "SYSTEMD_COLORS=1", "DPKG_COLORS=always", "PAGER=less", "IFS=e",
	}}, spec)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := baseline.EncodeInventory(plain), baseline.EncodeInventory(odd); !bytes.Equal(a, b) {
		t.Errorf("%s\n%s", a, b)
	}
}

// TestUnparsableOutputNamesToolAndVersion, and is never an empty list.
func TestUnparsableOutputNamesToolAndVersion(t *testing.T) {
	version := `case $1 in --version) echo "dpkg-query version 9.9"; exit;; esac; `
	for name, tt := range map[string]struct{ stub, want string }{
		"garbage":        {version + `echo "Desired=Unknown/Install"`, "version 9.9 says Desired=Unknown/Install"},
		"nothing":        {version + `true`, "version 9.9 knows of no package"},
		"fails":          {version + `echo "database is damaged" >&2; exit 2`, "version 9.9 ended with 2: database is damaged"},
		"a hostile name": {version + `printf 'ii \t$(reboot)\t1\tall\n'`, "version 9.9 says"},
		"a line break":   {version + `printf 'ii \tname\n@end 0\n@whole\n\t1\tall\n'`, "version 9.9 says"},
		"control bytes":  {version + `printf 'ii \tna\033[2Jme\t1\tall\n'`, `na\x1b[2Jme`},
		"an odd state":   {version + `printf 'ixx\tname\t1\tall\n'`, "version 9.9 says"},
		"is not there":   {`exit 127`, "install dpkg"},
	} {
		inv, err := capture.Take(t.Context(), here{path: stubs(t, map[string]string{"dpkg-query": tt.stub})}, without())
		if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, backout.ErrInvalid) || inv.Schema != 0 {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestBothPackageManagers: where both know of packages the system itself says which
// one it is made of. A tool that is only installed does not matter.
func TestBothPackageManagers(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "another os-release needs root")
	}
	rpm := `case $1 in --version) echo RPM version 4.16; exit;; -q) echo 4.14.0; exit;; esac; printf 'bash\t0:5.1-1\tx86_64\n'`
	dir := t.TempDir()
	for release, want := range map[string]string{
		"ID=debian\n": "dpkg",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n":    "dpkg",
		"ID=\"rocky\"\nID_LIKE='rhel centos fedora'\n": "rpm",
		"ID=\"opensuse-leap\"\nID_LIKE=\"suse\"\n":     "rpm",
		"ID=fedora\n": "rpm",
		"ID=own\n":    "dpkg", // which has packages, while rpm has none here
	} {
		file := filepath.Join(dir, "os-release")
		if err := os.WriteFile(file, []byte(release), 0o644); err != nil {
			t.Fatal(err)
		}
		h := here{before: "mount --bind " + file + " /etc/os-release", path: stubs(t, map[string]string{"rpm": rpm, "dnf": "true", "dnf5": "true"})}
		inv, err := capture.Take(t.Context(), h, without(backout.PartPorts))
		if err != nil || inv.Packages.Manager != want {
			t.Errorf("%q: %s, %v", release, inv.Packages.Manager, err)
		}
	}
}

// TestABusyManagerIsRefused: while packages change there is no state to be kept.
func TestABusyManagerIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "the lock of dpkg needs root")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		hosttest.Missing(t, "no python3 here: apt-get install python3")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o640); err != nil {
		t.Fatal(err)
	}
	before := `mount --bind ` + dir + `/lock /var/lib/dpkg/lock
set -- python3 -c 'import fcntl, subprocess, sys; f = open("/var/lib/dpkg/lock", "w"); fcntl.lockf(f, fcntl.LOCK_EX); sys.exit(subprocess.call(sys.argv[1:]))' "$@"`
	_, err := capture.Take(t.Context(), here{before: before}, without())
	if !errors.Is(err, capture.ErrBusy) || errors.Is(err, backout.ErrInvalid) || !strings.Contains(err.Error(), "dpkg is at work, its lock /var/lib/dpkg/lock is held") {
		t.Errorf("got %v", err)
	}
}

// TestTheHistoryOfAptRotates: after a month its last transaction stands in a file
// that is packed.
func TestTheHistoryOfAptRotates(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "another /var/log/apt needs root")
	}
	const old = "\nStart-Date: 2026-10-01  08:00:00\nUpgrade: a:amd64 (1, 2)\nEnd-Date: 2026-10-01  08:00:09\n\nStart-Date: 2026-10-30  06:10:11\nEnd-Date: 2026-10-30  06:10:12\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"never":  {map[string]string{}, ""},
		"fresh":  {map[string]string{"history.log": old}, "2026-10-30 06:10:11"},
		"packed": {map[string]string{"history.log": "", "history.log.1.gz": string(zipped(t, []byte(old)))}, "2026-10-30 06:10:11"},
		"older":  {map[string]string{"history.log": "", "history.log.1.gz": string(zipped(t, nil)), "history.log.2.gz": string(zipped(t, []byte(old)))}, "2026-10-30 06:10:11"},
	} {
		dir := t.TempDir()
		for file, text := range tt.files {
			write(t, filepath.Join(dir, file), text)
		}
		inv, err := capture.Take(t.Context(), here{before: "mount --bind " + dir + " /var/log/apt"}, without())
		if err != nil || inv.Packages.History != tt.want {
			t.Errorf("%s: %q, %v", name, inv.Packages.History, err)
		}
	}
}

// TestFrontEndsWithoutAPackage say their version themselves.
func TestFrontEndsWithoutAPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "another os-release needs root")
	}
	file := filepath.Join(t.TempDir(), "os-release")
	write(t, file, "ID=opensuse-leap\nID_LIKE='suse opensuse'\n")
	rpm := `case $1 in --version) echo RPM version 4.16; exit;; --eval) echo /none; exit;; -q) exit 1;; esac; printf 'bash\t0:5.1-1\tx86_64\n'`
	for said, want := range map[string]string{"4.14.0": "dnf 4.14.0", "dnf 4.2": "dnf 4.2", "dnf version 5.2.6": "dnf 5.2.6"} {
		h := here{before: "mount --bind " + file + " /etc/os-release", path: stubs(t, map[string]string{"rpm": rpm, "dnf": "case $* in *--version) printf '" + said + "\\n  Installed: x\\n';; *history*) echo 'ID | x';; esac"})}
		inv, err := capture.Take(t.Context(), h, without(backout.PartPorts))
		if err != nil || inv.Packages.Tool != want || inv.Packages.Manager != "rpm" {
			t.Errorf("%q: %+v, %v", said, inv.Packages, err)
		}
	}
}
