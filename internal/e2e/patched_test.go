package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/host/hosttest"
)

// manager is how packages are built, published, patched and listed.
type manager struct {
	// build makes a package of the files below "tree" in folder $1: $2 is its name,
	// $3 its version, $4 what it depends on.
	build string
	// index makes folder $1 a repository, as this machine's user.
	index string
	// refresh, install, upgrade and list run on the machine.
	refresh, install, upgrade, list string
	// ready makes the machine ready for it.
	ready string
}

// like makes a machine say that it is of another family.
const like = "echo 'ID=test\nID_LIKE=\"%s\"\nVERSION_ID=9' >/etc/os-release\n"

const rpmbuild = `mkdir -p "$1/files"
{ printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: a shop\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n' "$2" "$3"
[ -z "$4" ] || printf 'Requires: %s\n' "$4"
printf '%%description\na shop\n%%install\ncp -a %s/tree/. %%{buildroot}\n%%files\n' "$1"
(cd "$1/tree" && find . -type f | sed 's/^\.//'); } >"$1/spec"
rpmbuild -bb --quiet --define "_topdir $1/top" --define "_rpmdir $1/files" --define "_build_name_fmt %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" "$1/spec"`

// managers are the package managers that a machine of the tests can have.
var managers = map[string]manager{
	"apt": {
		build: `mkdir -p "$1/files" "$1/tree/DEBIAN"
{ printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a shop\n' "$2" "$3"
[ -z "$4" ] || printf 'Depends: %s\n' "$4"; } >"$1/tree/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -b "$1/tree" "$1/files/$2_$3.deb" >/dev/null`,
		index:   `cd "$1" && apt-ftparchive packages . >Packages && apt-ftparchive release . >Release.new && mv Release.new Release`,
		ready:   `rm -rf /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list && echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/test`,
		refresh: `apt-get -qq update`,
		install: `apt-get -qq -y install shop >/dev/null`,
		upgrade: `DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Get::Upgrade-Allow-New=true upgrade`,
		list:    `dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' '*shop*' | sed -n 's/^.i *//p' | sort`,
	},
	"dnf": {
		build: rpmbuild,
		index: `createrepo_c -q "$1"`,
		ready: fmt.Sprintf(like, "rhel fedora") + `mkdir -p /etc/yum.repos.d /etc/dnf/vars
printf '[main]\ngpgcheck=0\nbest=True\nskip_if_unavailable=False\n' >/etc/dnf/dnf.conf
echo 9 >/etc/dnf/vars/releasever
printf '[base]\nname=base\nbaseurl=file:///srv/repo\nenabled=1\n' >/etc/yum.repos.d/base.repo
sed -i 's/^enabled.*/enabled = 0/' /etc/dnf/plugins/local.conf`,
		refresh: `dnf -q clean all && dnf -q makecache`,
		install: `dnf -q -y install shop`,
		upgrade: `dnf -y upgrade`,
		list:    `rpm -qa --qf '%{NAME} %{VERSION}\n' | sort`,
	},
	"zypper": {
		build: rpmbuild,
		index: `createrepo_c -q "$1"`,
		ready: fmt.Sprintf(like, "suse") + `mkdir -p /etc/zypp/repos.d /etc/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros
printf '[base]\nname=base\nbaseurl=dir:///srv/repo\nenabled=1\nautorefresh=1\ngpgcheck=0\n' >/etc/zypp/repos.d/base.repo`,
		refresh: `zypper -n -q refresh -f >/dev/null`,
		install: `zypper -n -q install shop >/dev/null`,
		upgrade: `zypper -n update`,
		list:    `rpm -qa --qf '%{NAME} %{VERSION}\n' | sort`,
	},
}

// The two states of the machine: version 2.0 of the library is the bad one, and the
// patch brings a package that was not there.
const (
	goodVersions = "libshop 1.0\nshop 1.0\n"
	badVersions  = "extrashop 2.0\nlibshop 2.0\nshop 2.0\n"
)

// patched is a machine with systemd whose service shop a real patch breaks.
type patched struct {
	*hosttest.Machine
	manager
	dir, url, port string
}

// newPatched makes the machine with version 1.0 installed and running.
func newPatched(t *testing.T, m *hosttest.Machine, manager string) *patched {
	t.Helper()
	for _, p := range [][2]string{{"dpkg-deb", "dpkg"}, {"apt-ftparchive", "apt-utils"}, {"rpmbuild", "rpm"}, {"createrepo_c", "createrepo-c"}} {
		part(t, p[0], p[1])
	}
	host, _, err := net.SplitHostPort(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	p := &patched{Machine: m, manager: managers[manager], dir: t.TempDir()}
	_, p.port, _ = net.SplitHostPort(freePort(t))
	p.url = "http://" + net.JoinHostPort(host, p.port)
	p.sh(t, "mkdir -p /srv/repo\n"+p.ready)
	for _, v := range []string{"1.0", "2.0"} {
		p.packages(t, host, v)
	}
	p.offer(t, "1.0")
	p.sh(t, p.install+"; systemctl daemon-reload; systemctl -q enable --now shop.service")
	if got := p.versions(t); got != goodVersions {
		t.Fatalf("installed is\n%s", got)
	}
	eventually(t, 20*time.Second, "the shop answers", p.well)
	return p
}

// packages builds one version of all.
func (p *patched) packages(t *testing.T, host, version string) {
	t.Helper()
	serve := fmt.Sprintf(`use strict; use IO::Socket::INET;
open(my $f, '<', '/usr/lib/shop/health') or die; my $health = <$f>;
die "libshop is broken\n" if $health ne "well\n";
my $s = IO::Socket::INET->new(LocalAddr => '%s', LocalPort => %s, Listen => 16, ReuseAddr => 1) or die "listen: $!";
while (my $c = $s->accept) { while (<$c>) { last if /^\r?$/ } print $c "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"; close $c }
`, host, p.port)
	health := map[string]string{"1.0": "well\n", "2.0": "broken\n"}[version]
	extra := map[string]string{"1.0": "", "2.0": "extrashop"}[version]
	p.pack(t, "libshop", version, extra, map[string]string{"usr/lib/shop/health": health})
	p.pack(t, "shop", version, "libshop", map[string]string{
		"usr/lib/shop/serve":                  serve,
		"usr/lib/systemd/system/shop.service": "[Service]\nExecStart=/usr/bin/perl /usr/lib/shop/serve\n[Install]\nWantedBy=multi-user.target\n",
	})
	if extra != "" {
		p.pack(t, extra, version, "", map[string]string{"usr/lib/shop/extra": version + "\n"})
	}
}

func (p *patched) pack(t *testing.T, name, version, depends string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(p.dir, name+"-"+version)
	for file, text := range files {
		write(t, filepath.Join(dir, "tree", file), text, 0o644)
	}
	here(t, p.build, dir, name, version, depends)
}

// here runs a script on the machine of the tests.
func here(t testing.TB, script string, args ...string) {
	t.Helper()
	if out, err := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// offer makes the machine's repository hold exactly these versions.
func (p *patched) offer(t *testing.T, versions ...string) {
	t.Helper()
	repo := filepath.Join(p.Root, "srv/repo")
	script := `repo=$1 dir=$2; shift 2; rm -rf "$repo"/*; for v; do cp "$dir"/*-"$v"/files/* "$repo"/; done`
	here(t, script, append([]string{repo, p.dir}, versions...)...)
	here(t, p.index, repo)
	p.sh(t, p.refresh)
}

// sh runs a script as the machine's root.
func (p *patched) sh(t testing.TB, script string) string {
	t.Helper()
	return p.Do(t, "sh", "-c", script)
}

func (p *patched) versions(t testing.TB) string {
	t.Helper()
	return p.sh(t, p.list)
}

// well asks the shop.
func (p *patched) well() error { return get(p.url+"/health", http.StatusOK) }

// patchCommand is a command line of this machine that patches the other one.
func patchCommand(t testing.TB, s *site, a hosttest.Access, address, script string) string {
	t.Helper()
	write(t, s.path("patch.remote"), script, 0o600)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.path("patch"), fmt.Sprintf(`#!/bin/sh
exec ssh -F none -T -i %s -p %d -o UserKnownHostsFile=%s -o BatchMode=yes -o ConnectTimeout=20 -o LogLevel=ERROR root@%s sh -s <%s
`, a.Key, a.Port, a.KnownHosts, host, s.path("patch.remote")), 0o700)
	return s.path("patch")
}
