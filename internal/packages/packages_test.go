package packages

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func TestCheckRefusesWhatATargetCouldSayInBadFaith(t *testing.T) {
	good := map[string][]backout.PackageChange{
		RPM: {
			{Name: "bash", Arch: "x86_64", From: "0:5.1.8-6.el9", To: "0:5.1.8-9.el9"},
			{Name: "java-1.8.0-openjdk", Arch: "x86_64", To: "1:1.8.0.392.b08-4.el9"},
			{Name: "libstdc++", Arch: "i686", From: "0:11.4.1-2.1.el9"},
			{Name: "kernel-core", Arch: "noarch", To: "0:6.5~rc1^20230101git-0.rc1.fc40"},
		},
		DPKG: {
			{Name: "libstdc++6", Arch: "amd64", From: "12.2.0-14", To: "12.2.0-14+deb12u1"},
			{Name: "bind9", Arch: "all", To: "1:9.18.24-1~deb12u1"},
		},
	}
	for manager, changes := range good {
		for _, c := range changes {
			if err := Check(manager, c); err != nil {
				t.Errorf("%s: %v", manager, err)
			}
		}
	}
	hostile := []string{"", "-y", "--installroot=/x", "a b", "a;b", "$(id)", "`id`", "a\nb", "*", "a?", "[a]", "a/b", "é", "a'b", `a"b`, "!a", strings.Repeat("a", 256), "a\x00b"}
	for _, manager := range []string{RPM, DPKG} {
		for _, text := range hostile {
			if CheckName(manager, text) == nil {
				t.Errorf("%s takes the name %q", manager, text)
			}
			if CheckVersion(manager, text) == nil {
				t.Errorf("%s takes the version %q", manager, text)
			}
			if CheckArch(manager, text) == nil {
				t.Errorf("%s takes the architecture %q", manager, text)
			}
		}
	}
	if Check(RPM, backout.PackageChange{Name: "bash", Arch: "x86_64"}) == nil {
		t.Error("a change without any version is taken")
	}
	if CheckVersion(RPM, "5.1.8-6.el9") == nil {
		t.Error("a version of rpm without its epoch is taken")
	}
}

func TestCheckDelta(t *testing.T) {
	bash := backout.PackageChange{Name: "bash", Arch: "x86_64", From: "0:5.1.8-6.el9", To: "0:5.1.8-9.el9"}
	for name, c := range map[string]struct {
		d    *backout.Delta
		want string
	}{
		"good":          {&backout.Delta{Manager: RPM, Packages: []backout.PackageChange{bash}}, ""},
		"none":          {nil, "not known yet"},
		"other manager": {&backout.Delta{Manager: DPKG}, "not of rpm"},
		"hostile":       {&backout.Delta{Manager: RPM, Packages: []backout.PackageChange{bash, {Name: "-x", Arch: "noarch", To: "0:1-1"}}}, "cannot be used"},
	} {
		err := CheckDelta(RPM, c.d)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUndoSortsByWhatUndoesIt(t *testing.T) {
	in := Undo([]backout.PackageChange{{Name: "a", From: "1", To: "2"}, {Name: "b", To: "2"}, {Name: "c", From: "1"}, {Name: "d", From: "1", To: "1"}, {Name: "e", From: "3", To: "2"}})
	if len(in.Back) != 2 || in.Back[1].Name != "e" || len(in.Remove) != 1 || in.Remove[0].Name != "b" || len(in.Install) != 1 || in.Install[0].Name != "c" {
		t.Errorf("%+v", in)
	}
}

func TestKernelsAndProtected(t *testing.T) {
	for _, c := range []struct {
		manager, name     string
		kernel, protected bool
	}{
		{RPM, "kernel", true, false},
		{RPM, "kernel-core", true, false},
		{RPM, "kernel-modules-extra", true, false},
		{RPM, "kernel-tools", false, false},
		{RPM, "kernel-headers", false, false},
		{RPM, "glibc-common", false, true},
		{RPM, "selinux-policy-targeted", false, true},
		{RPM, "openssl-libs", false, true},
		{RPM, "openssl", false, false},
		{RPM, "dnf-data", false, true},
		{RPM, "shim-x64", false, true},
		{RPM, "httpd", false, false},
		{RPM, "mysite", false, true},
		{DPKG, "linux-image-6.1.0-18-amd64", true, false},
		{DPKG, "libc6", false, true},
		{DPKG, "nginx", false, false},
	} {
		if got := Kernel(c.manager, c.name); got != c.kernel {
			t.Errorf("kernel %s: %v", c.name, got)
		}
		if got := Protected(c.manager, c.name, []string{"mysi*"}); got != c.protected {
			t.Errorf("protected %s: %v", c.name, got)
		}
	}
}

func TestHoldArgs(t *testing.T) {
	changes := []backout.PackageChange{{Name: "a", Arch: "noarch", From: "0:1-1", To: "0:2-1"}, {Name: "b", Arch: "noarch", To: "0:2-1"}, {Name: "c", Arch: "noarch", From: "0:1-1"}}
	if got := strings.Join(HoldArgs(HoldPlace, FrontDNF, "CHG1", changes), " "); got != "place dnf CHG1 a 0:2-1 noarch b 0:2-1 noarch" {
		t.Error(got)
	}
	// What a rollback of apt removes is not installed any more, and apt-mark holds
	// only what is.
	if got := strings.Join(HoldArgs(HoldPlace, FrontAPT, "CHG1", changes), " "); got != "place apt CHG1 a 0:2-1 noarch" {
		t.Error(got)
	}
	if HoldCount(FrontDNF, changes) != 2 || HoldCount(FrontAPT, changes) != 1 {
		t.Error("wrong count")
	}
}

func TestParseLocks(t *testing.T) {
	locks, err := ParseLocks([]byte("Lock added\nbackout-lock ours !a-0:2-1.*\nbackout-lock before b != 0:2-1\nbackout-lock free c == 1\n"), 3)
	if err != nil || strings.Join(Ours(locks), "|") != "!a-0:2-1.*" || strings.Join(Free(locks), "|") != "c == 1" || !locks[1].Held || locks[1].Ours {
		t.Errorf("%+v %v", locks, err)
	}
	for _, bad := range []string{"", "backout-lock odd a\n", "backout-lock ours\n"} {
		if _, err := ParseLocks([]byte(bad), 1); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestKeysAreNoPackages(t *testing.T) {
	d := &backout.Delta{Manager: RPM, Packages: []backout.PackageChange{{Name: "boa", Arch: "noarch", To: "0:1-1"}, {Name: "gpg-pubkey", Arch: "(none)", To: "0:5a6340b3-6229229e"}}}
	if c := Clean(d); len(c.Packages) != 1 || len(d.Packages) != 2 || CheckDelta(RPM, c) != nil {
		t.Errorf("%+v", c)
	}
	if Clean(nil) != nil {
		t.Error("a delta was made of none")
	}
}
