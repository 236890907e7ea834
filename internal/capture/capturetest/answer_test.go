package capturetest_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/capture/capturetest"
)

type host struct {
	backout.Host
	answer []byte
	asked  backout.Exec
}

func (h *host) Run(_ context.Context, e backout.Exec) (backout.ExecResult, error) {
	h.asked = e
	return backout.ExecResult{Stdout: h.answer}, nil
}

func inventories() map[string]backout.Inventory {
	sum := strings.Repeat("ab", 32)
	inv := backout.Inventory{
		Schema:  1,
		Machine: backout.Machine{Hostname: "web1", OS: "debian", Version: "12", Arch: "x86_64", Kernel: "6.1.0-27-amd64", Build: "#1 SMP Debian 6.1.115-1", BootID: "b", MachineID: "m", Init: "systemd"},
		Packages: backout.PackageState{
			Manager: "dpkg", Tool: "apt 2.6.1", History: "2026-11-26 17:59:57", Held: []string{"nginx", "libc6:i386"},
			Installed: []backout.Package{
				{Name: "apt", Version: "2.6.1", Arch: "amd64"},
				{Name: "dpkg", Version: "1.21.22", Arch: "amd64"},
				{Name: "libc6", Version: "2.36-9+deb12u8", Arch: "amd64"},
				{Name: "libc6", Version: "2.36-9+deb12u8", Arch: "i386"},
				{Name: "nginx", Version: "1.22.1-9", Arch: "amd64"},
				{Name: "broken", Version: "1", Arch: "all", State: "iU"},
			},
		},
		Units:    []backout.Unit{{Name: "nginx.service", Enabled: "enabled", Active: "active"}, {Name: "nftables.service", Enabled: "enabled", Active: "active (exited)"}, {Name: "ssh.socket", Enabled: "disabled", Active: "inactive"}},
		Ports:    []backout.Port{{Protocol: "tcp", Address: "0.0.0.0", Port: 80}, {Protocol: "tcp", Address: "::", Port: 443}, {Protocol: "udp", Address: "127.0.0.1", Port: 53}},
		Mounts:   []backout.Mount{{Path: "/", Source: "/dev/vda1", Type: "ext4", Options: "relatime,rw"}, {Path: "/srv/with space", Source: "/dev/vdb", Type: "xfs", Options: "rw"}},
		Accounts: []backout.FileState{{Path: "/etc/passwd", SHA256: sum, Kind: "file", Mode: "644", Owner: "0:0"}},
		Files:    []backout.FileState{{Path: "/etc/a", Kind: "absent"}, {Path: "/etc/b", Kind: "link", Target: "/etc/c d", Mode: "777", Owner: "0:0"}},
		AIDE:     &backout.AIDEState{Version: "AIDE 0.18.3", Database: sum},
	}
	all := map[string]backout.Inventory{"dpkg": inv, "none": {Schema: 1, Machine: inv.Machine, Packages: backout.PackageState{Manager: "none"}, Units: inv.Units}}
	for tool, history := range map[string]string{"dnf 4.14.0": "17", "dnf5 5.2.6": "3", "zypper 1.14.59": "2026-11-26 17:59:57", "yum 3.4.3": "9"} {
		next := inv
		next.Packages = backout.PackageState{
			Manager: "rpm", Tool: tool, History: history, Held: []string{"bash-0:5.1.8-9.el9.*"},
			Installed: []backout.Package{
				{Name: "bash", Version: "0:5.1.8-9.el9", Arch: "x86_64", Repository: "baseos"},
				{Name: "kernel-core", Version: "0:5.14.0-427.el9", Arch: "x86_64"},
				{Name: "kernel-core", Version: "0:5.14.0-503.el9", Arch: "x86_64"},
			},
		}
		all[tool] = next
	}
	return all
}

// TestAnswerIsTaken: what a simulated host answers is what Take returns.
func TestAnswerIsTaken(t *testing.T) {
	for name, inv := range inventories() {
		h := &host{answer: capturetest.Answer(inv)}
		got, err := capture.Take(t.Context(), h, backout.BaselineSpec{Files: []string{"/etc/*"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		inv.Sort()
		if !reflect.DeepEqual(got, inv) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, inv)
		}
		if !capturetest.IsCapture(h.asked) {
			t.Errorf("%s: the command is not known for what it is", name)
		}
	}
}

// TestTheLeastAnswerIsTaken: a simulated host need not say much.
func TestTheLeastAnswerIsTaken(t *testing.T) {
	h := &host{answer: capturetest.Answer(backout.Inventory{})}
	inv, err := capture.Take(t.Context(), h, backout.BaselineSpec{})
	if err != nil || inv.Packages.Manager != "none" || inv.Machine.Init != "systemd" {
		t.Fatalf("got %+v, %v", inv, err)
	}
}
