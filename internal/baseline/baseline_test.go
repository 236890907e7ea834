package baseline_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
)

func rpms(list ...string) []backout.Package {
	var all []backout.Package
	for i := 0; i+1 < len(list); i += 2 {
		all = append(all, backout.Package{Name: list[i], Version: list[i+1], Arch: "x86_64"})
	}
	return all
}

func rpmHost(list ...string) backout.Inventory {
	return backout.Inventory{
		Schema:   1,
		Machine:  backout.Machine{Hostname: "web1", OS: "rhel", Version: "9.4", Arch: "x86_64", Kernel: "5.14.0-427.el9.x86_64", BootID: "b1", Init: "systemd"},
		Packages: backout.PackageState{Manager: "rpm", Tool: "dnf 4.14.0", History: "17", Installed: rpms(list...)},
		Units:    []backout.Unit{{Name: "nginx.service", Enabled: "enabled", Active: "active"}},
		Ports:    []backout.Port{{Protocol: "tcp", Address: "0.0.0.0", Port: 80}},
		Mounts:   []backout.Mount{{Path: "/", Source: "/dev/vda1", Type: "xfs", Options: "relatime,rw"}},
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after []backout.Package
		want          []backout.PackageChange
	}{
		{"nothing", rpms("a", "0:1-1"), rpms("a", "0:1-1"), nil},
		{"upgrade", rpms("a", "0:1-1", "b", "0:1-1"), rpms("a", "0:2-1", "b", "0:1-1"), []backout.PackageChange{{Name: "a", Arch: "x86_64", From: "0:1-1", To: "0:2-1"}}},
		{
			"added and removed", rpms("a", "0:1-1"), rpms("b", "0:1-1"),
			[]backout.PackageChange{{Name: "a", Arch: "x86_64", From: "0:1-1"}, {Name: "b", Arch: "x86_64", To: "0:1-1"}},
		},
		{
			"a kernel beside the old ones, of which the oldest went", rpms("kernel", "0:1-1", "kernel", "0:2-1"), rpms("kernel", "0:2-1", "kernel", "0:3-1"),
			[]backout.PackageChange{{Name: "kernel", Arch: "x86_64", To: "0:3-1"}, {Name: "kernel", Arch: "x86_64", From: "0:1-1"}},
		},
		{"a first kernel more", rpms("kernel", "0:1-1"), rpms("kernel", "0:1-1", "kernel", "0:2-1"), []backout.PackageChange{{Name: "kernel", Arch: "x86_64", To: "0:2-1"}}},
		{
			"another architecture",
			[]backout.Package{{Name: "a", Version: "0:1-1", Arch: "noarch"}},
			rpms("a", "0:2-1"),
			[]backout.PackageChange{{Name: "a", Arch: "noarch", From: "0:1-1"}, {Name: "a", Arch: "x86_64", To: "0:2-1"}},
		},
		{
			"both of two architectures",
			[]backout.Package{{Name: "libc6", Version: "1", Arch: "amd64"}, {Name: "libc6", Version: "1", Arch: "i386"}},
			[]backout.Package{{Name: "libc6", Version: "2", Arch: "i386"}, {Name: "libc6", Version: "2", Arch: "amd64"}},
			[]backout.PackageChange{{Name: "libc6", Arch: "amd64", From: "1", To: "2"}, {Name: "libc6", Arch: "i386", From: "1", To: "2"}},
		},
	} {
		before, after := rpmHost(), rpmHost()
		before.Packages.Installed, after.Packages.Installed = tt.before, tt.after
		after.Packages.History = "18"
		d := baseline.Compare(before, after)
		if diff := cmp.Diff(tt.want, d.Packages); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
		if d.Manager != "rpm" || d.HistoryFrom != "17" || d.HistoryTo != "18" {
			t.Errorf("%s: got %+v", tt.name, d)
		}
	}
}

// TestCompareTellsOfAllElse: what is no version is a difference.
func TestCompareTellsOfAllElse(t *testing.T) {
	before, after := rpmHost("a", "0:1-1"), rpmHost("a", "0:1-1")
	before.Files = []backout.FileState{{Path: "/etc/a", Kind: "file", SHA256: "aa", Mode: "644", Owner: "0:0"}}
	after.Files = []backout.FileState{{Path: "/etc/a", Kind: "file", SHA256: "bb", Mode: "644", Owner: "0:0"}}
	after.Packages.Installed[0].State = "iU"
	after.Units[0].Active, after.Ports, after.Machine.Version = "failed", nil, "9.5"
	var got []string
	for _, d := range baseline.Compare(before, after).Differences {
		got = append(got, fmt.Sprintf("%s %s: %s > %s", d.Part, d.Name, d.Was, d.Now))
	}
	want := []string{
		"packages a.x86_64: 0:1-1 > 0:1-1 (iU)", "machine version: 9.4 > 9.5", "units nginx.service: active, enabled > failed, enabled",
		"ports tcp/0.0.0.0:80: listening > ", "files /etc/a: sha256 aa, mode 644, owner 0:0 > sha256 bb, mode 644, owner 0:0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestSameStateSameBytes: neither order nor who asks changes the digest.
func TestSameStateSameBytes(t *testing.T) {
	one := rpmHost("a", "0:1-1", "b", "0:1-1", "kernel", "0:1-1", "kernel", "0:2-1")
	one.Without, one.Packages.Held = []string{"aide", "files"}, []string{"x", "y"}
	two := rpmHost("kernel", "0:2-1", "b", "0:1-1", "a", "0:1-1", "kernel", "0:1-1")
	two.Without, two.Packages.Held = []string{"files", "aide"}, []string{"y", "x"}
	b := func(inv backout.Inventory) []byte {
		return baseline.Encode(backout.Baseline{ChangeID: "C", Target: "t", Inventory: inv, Prepared: []backout.Prepared{{Uses: "u", Facts: map[string]string{"b": "1", "a": "2"}}}})
	}
	if !bytes.Equal(b(one), b(two)) || !bytes.Equal(baseline.EncodeInventory(one), baseline.EncodeInventory(two)) {
		t.Errorf("%s\n%s", b(one), b(two))
	}
	if two.Packages.Installed[0].Name != "kernel" {
		t.Error("the caller's list was sorted")
	}
	if got := baseline.Digest([]byte("x")); got != "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" {
		t.Error(got)
	}
}

func big() backout.Inventory {
	inv := rpmHost()
	for i := range 2500 {
		inv.Packages.Installed = append(inv.Packages.Installed, backout.Package{Name: fmt.Sprintf("package-%d", i), Version: fmt.Sprintf("0:%d.2.3-4.el9_4", i), Arch: "x86_64", Repository: "baseos"})
	}
	for i := range 400 {
		inv.Units = append(inv.Units, backout.Unit{Name: fmt.Sprintf("unit-%d.service", i), Enabled: "enabled", Active: "active"})
		inv.Files = append(inv.Files, backout.FileState{Path: fmt.Sprintf("/etc/app/%d.conf", i), Kind: "file", SHA256: fmt.Sprintf("%064x", i), Mode: "644", Owner: "0:0"})
	}
	return inv
}

// BenchmarkDrift compares two baselines of a host with 2,500 packages; the bar is
// 50 ms.
func BenchmarkDrift(b *testing.B) {
	before, now := big(), big()
	for i := range 200 {
		now.Packages.Installed[i].Version += ".1"
		now.Files[i].SHA256 = "changed"
	}
	delta := baseline.Compare(before, now)
	slices.Reverse(now.Packages.Installed)
	for b.Loop() {
		if verdict, list := baseline.Drift(before, now, &delta, nil); verdict != backout.DriftNotBack || len(list) < 400 {
			b.Fatal(verdict, len(list))
		}
	}
}
