package hosttest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// CacheEnv names the folder in which [Systemd] keeps the root file systems it has
// made, for the next run. Empty means backout-test in the user's cache folder.
const CacheEnv = "BACKOUT_TEST_CACHE"

// rootPackages are what every machine needs beyond a minimal Debian.
var rootPackages = []string{"dbus", "libpam-systemd", "openssh-server", "sudo", "systemd-sysv"}

// furtherPackages are what tests may ask for beside, in sets: a machine has all of
// the first set that holds what it asks for. Making a root takes minutes, unpacking a
// larger one a second. Debian's dnf-plugins-core and zypper do not go together.
var furtherPackages = [][]string{
	{},
	{"btrfs-progs", "createrepo-c", "dnf", "dnf-plugins-core", "dpkg-repack", "rpm", "snapper", "unattended-upgrades"},
	{"btrfs-progs", "createrepo-c", "rpm", "snapper", "zypper"},
}

// furtherSet is the first set that holds all of these.
func furtherSet(t testing.TB, more []string) []string {
	t.Helper()
	for _, set := range furtherPackages {
		if !slices.ContainsFunc(more, func(name string) bool { return !slices.Contains(set, name) }) {
			return set
		}
	}
	t.Fatalf("no root of a machine has all of %q: add them to a set of furtherPackages", more)
	return nil
}

// rootTar returns an archive with the root file system of a machine, made anew
// unless it is in the cache. It has what more asks for.
func rootTar(t testing.TB, more []string) string {
	t.Helper()
	packages := slices.Sorted(slices.Values(slices.Concat(rootPackages, furtherSet(t, more))))
	list := strings.Join(packages, ",")
	suite := codename(t)
	key := sha256.Sum256([]byte(runtime.GOARCH + " " + suite + " " + list))
	name := filepath.Join(cache(t), fmt.Sprintf("root-%s-%x.tar", suite, key[:8]))
	// Tests of several packages run at once: one makes it, the others wait.
	lock, err := os.OpenFile(name+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		return name
	}
	part := name + ".part"
	argv := []string{
		"mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*", "--include=" + list, suite, part,
	}
	_ = os.Remove(part)
	if out, err := exec.Command(argv[0], append(argv[1:], sources()...)...).CombinedOutput(); err != nil {
		Missing(t, fmt.Sprintf("no root file system could be made, are the package sources reachable? %v\n%s", err, out))
	}
	if err := os.Rename(part, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// cache returns the folder of CacheEnv, or one that ends with the test where none
// can be had.
func cache(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(CacheEnv)
	if dir == "" {
		if home, err := os.UserCacheDir(); err == nil {
			dir = filepath.Join(home, "backout-test")
		}
	}
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return t.TempDir()
	}
	return dir
}

// codename is the release of Debian or Ubuntu that runs here: machines are of the
// same.
func codename(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	Missing(t, "/etc/os-release has no VERSION_CODENAME: a machine with systemd can be made on Debian and Ubuntu only")
	return ""
}

// sources are the package sources of this machine, so that a mirror is used.
func sources() []string {
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources", "/etc/apt/sources.list"} {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return []string{file}
		}
	}
	return nil
}
