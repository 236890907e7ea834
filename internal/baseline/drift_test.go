package baseline_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
)

// patch is what the patch of these tests changed: nginx, and a library that it added.
func patch() *backout.Delta {
	return &backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{
		{Name: "nginx", Arch: "x86_64", From: "1:1.20-1", To: "1:1.22-1"},
		{Name: "libnew", Arch: "x86_64", To: "0:1-1"},
	}}
}

func before() backout.Inventory {
	return rpmHost("bash", "0:5.1-9", "nginx", "1:1.20-1", "kernel-core", "0:5.14.0-427.el9", "tool", "0:1-1")
}

func TestDriftVerdict(t *testing.T) {
	none, some, notBack := backout.DriftNone, backout.DriftSome, backout.DriftNotBack
	for _, tt := range []struct {
		name   string
		change func(before, now *backout.Inventory)
		delta  *backout.Delta
		ignore []backout.IgnoreDrift
		want   backout.DriftVerdict
	}{
		{"nothing differs", func(_, _ *backout.Inventory) {}, patch(), nil, none},
		{"only what is expected", func(_, now *backout.Inventory) {
			now.Machine.BootID, now.Packages.History, now.Packages.Held = "b2", "19", []string{"nginx-1:1.22-1.*"}
		}, patch(), nil, none},
		{"the patch is there", func(_, now *backout.Inventory) { now.Packages.Installed[1].Version = "1:1.22-1" }, patch(), nil, notBack},
		{"the patch is there and a rule would hide it", func(_, now *backout.Inventory) { now.Packages.Installed[1].Version = "1:1.22-1" }, patch(), []backout.IgnoreDrift{{Part: "packages", Name: "**"}}, notBack},
		{"neither the old version nor the patch's", func(_, now *backout.Inventory) { now.Packages.Installed[1].Version = "1:1.19-1" }, patch(), nil, notBack},
		{"no delta, another version", func(_, now *backout.Inventory) { now.Packages.Installed[1].Version = "1:1.22-1" }, nil, []backout.IgnoreDrift{{Part: "packages", Name: "**"}}, notBack},
		{"an added package is left over", func(_, now *backout.Inventory) { add(now, "libnew", "0:1-1") }, patch(), nil, some},
		{"an added package is left over and a rule would hide it", func(_, now *backout.Inventory) { add(now, "libnew", "0:1-1") }, patch(), []backout.IgnoreDrift{{Part: "packages", Name: "libnew.*"}}, some},
		{"another package changed", func(_, now *backout.Inventory) { now.Packages.Installed[0].Version = "0:5.2-1" }, patch(), nil, some},
		{"another package changed, as expected", func(_, now *backout.Inventory) { now.Packages.Installed[0].Version = "0:5.2-1" }, patch(), []backout.IgnoreDrift{{Part: "packages", Name: "bash.*", Reason: "the updater's"}}, none},
		{"a package went with the rollback", func(_, now *backout.Inventory) { now.Packages.Installed = now.Packages.Installed[:3] }, patch(), nil, notBack},
		{"a package is half configured", func(_, now *backout.Inventory) { now.Packages.Installed[0].State = "iF" }, patch(), []backout.IgnoreDrift{{Part: "packages", Name: "**"}}, notBack},
		{"a killed transaction left both versions", func(_, now *backout.Inventory) { add(now, "nginx", "1:1.22-1") }, patch(), nil, notBack},
		{"a killed transaction left both versions of another package", func(_, now *backout.Inventory) { add(now, "bash", "0:5.2-1") }, patch(), nil, notBack},
		{"a unit failed", func(_, now *backout.Inventory) { now.Units[0].Active = "failed" }, patch(), nil, notBack},
		{"a unit is gone", func(_, now *backout.Inventory) { now.Units = nil }, patch(), nil, notBack},
		{"a unit is not active and a rule allows it", func(_, now *backout.Inventory) { now.Units[0].Active = "inactive" }, patch(), []backout.IgnoreDrift{{Part: "units", Name: "nginx.service", Reason: "retired"}}, none},
		{"a unit is disabled", func(_, now *backout.Inventory) { now.Units[0].Enabled = "disabled" }, patch(), nil, some},
		{"what has run once did not run again", unit("setup.service", "active (exited)", "inactive"), patch(), nil, some},
		{"what has run once failed", unit("setup.service", "active (exited)", "failed"), patch(), nil, notBack},
		{"a timer was stopped", unit("backup.timer", "active", "inactive"), patch(), nil, some},
		{"a helper left", unit("systemd-hostnamed.service", "active", "inactive"), patch(), nil, none},
		{"a helper failed", unit("systemd-hostnamed.service", "active", "failed"), patch(), nil, notBack},
		{"a unit that never ran failed", unit("odd.service", "inactive", "failed"), patch(), nil, some},
		{"a port is gone", func(_, now *backout.Inventory) { now.Ports = nil }, patch(), nil, notBack},
		{"a port is served by another address", func(_, now *backout.Inventory) { now.Ports[0].Address = "::" }, patch(), nil, some},
		{"a port is served on loopback only", func(_, now *backout.Inventory) { now.Ports[0].Address = "127.0.0.1" }, patch(), nil, notBack},
		{"any port became another", func(before, now *backout.Inventory) { listen(before, 40000); listen(now, 50000) }, patch(), nil, some},
		{"any port is gone", func(before, _ *backout.Inventory) { listen(before, 40000) }, patch(), nil, notBack},
		{"a mount is gone", func(_, now *backout.Inventory) { now.Mounts = nil }, patch(), nil, notBack},
		{"a mount is read-only", func(_, now *backout.Inventory) { now.Mounts[0].Options = "relatime,ro" }, patch(), nil, notBack},
		{"a mount is of another disk", func(_, now *backout.Inventory) { now.Mounts[0].Source = "/dev/vdb1" }, patch(), nil, some},
		{"a part is left out", func(_, now *backout.Inventory) { now.Mounts, now.Without = nil, []string{"mounts"} }, patch(), nil, none},
		{"a hold is gone", func(before, _ *backout.Inventory) { before.Packages.Held = []string{"postgresql-*"} }, patch(), nil, some},
		{"another kernel, not the patch's", func(_, now *backout.Inventory) { now.Machine.Kernel = "5.14.0-300.el9.x86_64" }, patch(), nil, some},
	} {
		was, now := before(), before()
		tt.change(&was, &now)
		verdict, list := baseline.Drift(was, now, tt.delta, tt.ignore)
		if verdict != tt.want {
			t.Errorf("%s: %s, want %s: %+v", tt.name, verdict, tt.want, list)
		}
		if counts := baseline.Summary(list) != ""; counts != (verdict != none) {
			t.Errorf("%s: %s and %q", tt.name, verdict, baseline.Summary(list))
		}
	}
}

func add(inv *backout.Inventory, name, version string) {
	inv.Packages.Installed = append(inv.Packages.Installed, rpms(name, version)...)
}

func listen(inv *backout.Inventory, port int) {
	inv.Ports = append(inv.Ports, backout.Port{Protocol: "tcp", Address: "0.0.0.0", Port: port})
}

func unit(name, was, is string) func(before, now *backout.Inventory) {
	return func(before, now *backout.Inventory) {
		before.Units = append(before.Units, backout.Unit{Name: name, Enabled: "enabled", Active: was})
		now.Units = append(now.Units, backout.Unit{Name: name, Enabled: "enabled", Active: is})
	}
}

// TestThePatchedKernelRuns: it does so until the reboot, whatever is installed.
func TestThePatchedKernelRuns(t *testing.T) {
	for _, tt := range []struct {
		name           string
		change         backout.PackageChange
		was, is        backout.Machine
		left, inPlaces bool
		want           backout.DriftVerdict
	}{
		{
			"rpm, still running and left",
			backout.PackageChange{Name: "kernel-core", Arch: "x86_64", To: "0:5.14.0-503.el9"},
			backout.Machine{Kernel: "5.14.0-427.el9.x86_64"},
			backout.Machine{Kernel: "5.14.0-503.el9.x86_64"},
			true, false, backout.DriftNotBack,
		},
		{
			"rpm, still running and removed",
			backout.PackageChange{Name: "kernel-core", Arch: "x86_64", To: "0:5.14.0-503.el9"},
			backout.Machine{Kernel: "5.14.0-427.el9.x86_64"},
			backout.Machine{Kernel: "5.14.0-503.el9.x86_64"},
			false, false, backout.DriftNotBack,
		},
		{
			"rpm, the old one runs and the new one is left",
			backout.PackageChange{Name: "kernel-core", Arch: "x86_64", To: "0:5.14.0-503.el9"},
			backout.Machine{Kernel: "5.14.0-427.el9.x86_64"},
			backout.Machine{Kernel: "5.14.0-427.el9.x86_64"},
			true, false, backout.DriftSome,
		},
		{
			"SUSE",
			backout.PackageChange{Name: "kernel-default", Arch: "x86_64", To: "0:5.14.21-150500.55.52.1"},
			backout.Machine{Kernel: "5.14.21-150500.55.49-default"},
			backout.Machine{Kernel: "5.14.21-150500.55.52-default"},
			true, false, backout.DriftNotBack,
		},
		{
			"Debian, another release",
			backout.PackageChange{Name: "linux-image-6.1.0-27-amd64", Arch: "amd64", To: "6.1.115-1"},
			backout.Machine{Kernel: "6.1.0-26-amd64"},
			backout.Machine{Kernel: "6.1.0-27-amd64"},
			true, false, backout.DriftNotBack,
		},
		{
			"Debian, the same release in another build",
			backout.PackageChange{Name: "linux-image-6.1.0-27-amd64", Arch: "amd64", From: "6.1.112-1", To: "6.1.115-1"},
			backout.Machine{Kernel: "6.1.0-27-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.112-1 (2024-09-30)"},
			backout.Machine{Kernel: "6.1.0-27-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.115-1 (2024-11-01)"},
			false, true, backout.DriftNotBack,
		},
		{
			"Debian, back in the build of the old package",
			backout.PackageChange{Name: "linux-image-6.1.0-27-amd64", Arch: "amd64", From: "6.1.112-1", To: "6.1.115-1"},
			backout.Machine{Kernel: "6.1.0-27-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.100-1 (2024-08-01)"},
			backout.Machine{Kernel: "6.1.0-27-amd64", Build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.112-1 (2024-09-30)"},
			false, true, backout.DriftSome,
		},
	} {
		was, now := before(), before()
		was.Machine, now.Machine = tt.was, tt.is
		one := backout.Package{Name: tt.change.Name, Arch: tt.change.Arch, Version: tt.change.To}
		if tt.left {
			now.Packages.Installed = append(now.Packages.Installed, one)
		}
		if tt.inPlaces {
			one.Version = tt.change.From
			was.Packages.Installed, now.Packages.Installed = append(was.Packages.Installed, one), append(now.Packages.Installed, one)
		}
		delta := &backout.Delta{Packages: []backout.PackageChange{tt.change}}
		hide := []backout.IgnoreDrift{{Part: "machine", Name: "nothing"}}
		if tt.want == backout.DriftNotBack {
			hide = []backout.IgnoreDrift{{Part: "machine", Name: "**"}, {Part: "packages", Name: "**"}}
		}
		if verdict, list := baseline.Drift(was, now, delta, hide); verdict != tt.want {
			t.Errorf("%s: %s, want %s: %+v", tt.name, verdict, tt.want, list)
		}
	}
}

// TestTheManagerRemovedAnOldKernel: the limit of kernels does so while patching, and
// nothing brings the oldest back.
func TestTheManagerRemovedAnOldKernel(t *testing.T) {
	was, now := before(), before()
	add(&was, "kernel-core", "0:5.14.0-300.el9")
	delta := &backout.Delta{Packages: []backout.PackageChange{{Name: "kernel-core", Arch: "x86_64", From: "0:5.14.0-300.el9"}}}
	if verdict, list := baseline.Drift(was, now, delta, nil); verdict != backout.DriftSome {
		t.Errorf("%s: %+v", verdict, list)
	}
	// So does apt, of which each kernel has a name of its own.
	was, now = before(), before()
	add(&was, "linux-image-6.1.0-20-amd64", "6.1.85-1")
	delta = &backout.Delta{Packages: []backout.PackageChange{{Name: "linux-image-6.1.0-20-amd64", Arch: "x86_64", From: "6.1.85-1"}}}
	if verdict, list := baseline.Drift(was, now, delta, nil); verdict != backout.DriftSome {
		t.Errorf("%s: %+v", verdict, list)
	}
}

// TestIgnoredIsShown: an expected difference stands behind those that count, with its
// rule.
func TestIgnoredIsShown(t *testing.T) {
	was, now := before(), before()
	now.Machine.BootID, now.Machine.Hostname, now.Ports = "b2", "web2", nil
	_, list := baseline.Drift(was, now, patch(), nil)
	if len(list) != 3 || list[0].Part != "ports" || list[1].Name != "hostname" || list[2].Ignored != "machine boot_id: it changes with each boot" {
		t.Errorf("%+v", list)
	}
	if got := baseline.Summary(list); got != "ports tcp/0.0.0.0:80: gone, was listening; machine hostname: web2, was web1" {
		t.Error(got)
	}
}

// TestAIDECountsOnlyAgainstItsBaseline: a report made with another database says
// nothing, and that it is another one is a difference.
func TestAIDECountsOnlyAgainstItsBaseline(t *testing.T) {
	was, now := before(), before()
	found := &backout.AIDEReport{Changed: []string{"/var/log/messages", "/usr/sbin/nginx"}, Added: []string{"/tmp/x"}}
	was.AIDE, now.AIDE = &backout.AIDEState{Version: "0.18.3", Database: "d1"}, &backout.AIDEState{Version: "0.18.3", Database: "d1", Report: found}
	verdict, list := baseline.Drift(was, now, patch(), nil)
	if got := baseline.Summary(list); verdict != backout.DriftSome || got != "aide /usr/sbin/nginx: changed, was as in the database" || len(list) != 3 {
		t.Errorf("%s, %s: %+v", verdict, got, list)
	}
	now.AIDE.Database = "d2"
	if _, list = baseline.Drift(was, now, patch(), nil); len(list) != 1 || list[0].Name != "database" {
		t.Errorf("%+v", list)
	}
}

func TestPatternsOfRules(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"/var/log/**", "/var/log/a/b", true},
		{"/var/log/**", "/var/log", true},
		{"/var/log/**", "/var/logs", false},
		{"/home/*/log/**", "/home/x/log/y", true},
		{"/home/*/log/**", "/home/x/y/log/z", false},
		{"/etc/*.conf", "/etc/a.conf", true},
		{"/etc/*.conf", "/etc/a/b.conf", false},
		{"/etc/a**", "/etc/abc/d", true},
		{"**", "anything/at:all", true},
		{"[", "[", false},
	} {
		was, now := before(), before()
		now.Files = []backout.FileState{{Path: tt.name, Kind: "file"}}
		_, list := baseline.Drift(was, now, nil, []backout.IgnoreDrift{{Part: "files", Name: tt.pattern, Reason: "r"}})
		if got := list[0].Ignored != ""; got != tt.want {
			t.Errorf("%q of %q: %t", tt.pattern, tt.name, got)
		}
	}
}

func TestDefaultIgnores(t *testing.T) {
	for _, r := range baseline.DefaultIgnores() {
		if _, err := path.Match(r.Name, ""); err != nil || r.Reason == "" || r.Part == "" {
			t.Errorf("%+v: %v", r, err)
		}
		// A rule for versions of packages, or what runs, could hide a patch.
		if r.Part == "packages" && !strings.Contains(r.Name, "/") && r.Name != "history" || r.Part == "machine" && r.Name != "boot_id" || slices.Contains([]string{"ports", "mounts", "accounts"}, r.Part) {
			t.Errorf("%+v hides too much", r)
		}
	}
}
