package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// guestKernel returns a folder with the kernel for guests and its modules, and its
// release. It is fetched from this machine's package sources, unpacked and never
// installed, unless it is in the cache.
func guestKernel(t testing.TB) (dir, release string) {
	t.Helper()
	name := kernelName()
	if name == "" {
		// Package lists that are not there yet.
		_ = exec.Command("apt-get", "update", "-qq").Run()
		name = kernelName()
	}
	if name == "" {
		Missing(t, "the package sources have no linux-image-cloud-amd64: apt-get update")
	}
	dir = filepath.Join(cache(t), "kernel-"+name)
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, name
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(part, 0o700); err != nil {
		t.Fatal(err)
	}
	fetch := exec.Command("sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; apt-get download -qq "linux-image-$1" && dpkg -x ./*.deb . && rm ./*.deb && depmod -b . "$1"`, "sh", name)
	fetch.Dir = part
	if out, err := fetch.CombinedOutput(); err != nil {
		Missing(t, "no kernel for a guest could be had, are the package sources reachable? "+err.Error()+"\n"+string(out))
	}
	if err := os.Rename(part, dir); err != nil {
		t.Fatal(err)
	}
	return dir, name
}

// kernelName is the release that the package sources have now.
func kernelName() string {
	out, _ := exec.Command("apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-cloud-amd64").Output()
	for line := range strings.Lines(string(out)) {
		if _, n, ok := strings.Cut(line, "Depends: linux-image-"); ok {
			return strings.TrimSpace(n)
		}
	}
	return ""
}
