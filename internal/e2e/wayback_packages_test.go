package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// soon are the times of the plans for tests: nothing is waited for longer than
// what is tested takes.
func soon(more ...string) []string {
	return append([]string{"every: 15s", "every: 500ms", "hold_for: 2m", "hold_for: 1s"}, more...)
}

// shopPlan is a plan of deploy/plans for the patched machine.
func shopPlan(t *testing.T, p *patched, name, unit, files string) string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "awx.token")
	write(t, token, "awx-token-0123456789abcdef", 0o600)
	// The machines of the tests share the ports of this one.
	return shipped(t, name, soon("valid_for: 24h", "valid_for: 24h\n      without: [ports]",
		unit, "shop.service", "http://{address}/health", "http://{address}:"+p.port+"/health", files, "[/etc/shop.conf]",
		"https://awx.example.com", rebuilder(t), "{credential: awx-token}", fmt.Sprintf("{file: %q}", token))...)
}

// TestDebianIsPutBackByItsPackages is the whole way with deploy/plans/debian.yaml on
// a real Debian: no window without the old packages, a patch that breaks a service,
// the exact versions back, held, and compared with the baseline.
func TestDebianIsPutBackByItsPackages(t *testing.T) {
	t.Parallel()
	p := newPatched(t, hosttest.Systemd(t, "unattended-upgrades", "dpkg-repack"), "apt")
	// It would pack the old versions again from what is installed.
	p.sh(t, "dpkg --purge dpkg-repack >/dev/null")
	plan := shopPlan(t, p, "debian", "nginx.service", `["/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf", "/etc/apt/sources.list", "/etc/apt/sources.list.d/*"]`)
	st := newStory(t, "debian", plan, p.Target, p.Access)
	st.putBackByPackages(p, "no repository of the target has", "dpkg-repack")
}

// TestRHELIsPutBackByItsPackages is the same with deploy/plans/rhel.yaml and a real
// dnf, on a machine that says it is like RHEL.
func TestRHELIsPutBackByItsPackages(t *testing.T) {
	t.Parallel()
	p := newPatched(t, hosttest.Systemd(t, "dnf", "dnf-plugins-core", "rpm", "createrepo-c"), "dnf")
	plan := shopPlan(t, p, "rhel", "httpd.service", `["/etc/httpd/conf/httpd.conf", "/etc/httpd/conf.d/*.conf", "/etc/yum.repos.d/*.repo"]`)
	st := newStory(t, "rhel", plan, p.Target, p.Access)
	st.putBackByPackages(p, "no enabled repository has")
}

// putBackByPackages tells the story; the words are those of the gate when the old
// packages are not to be had.
func (st *story) putBackByPackages(p *patched, gone ...string) {
	t := st.t
	t.Helper()
	chg := st.site.change
	// The repository has the new versions only.
	p.offer(t, "2.0")
	st.gate(3, append([]string{"web-1", "L1", "shop", "1.0"}, gone...)...)
	st.says(3, []string{"change", "open", chg}, "shop")
	// It has the old ones once more, for long enough to keep them.
	p.offer(t, "1.0", "2.0")
	st.says(0, []string{"baseline", "capture", chg}, "1 of 1 target captured")
	p.offer(t, "2.0")
	st.gate(0, "passed")
	st.patch(patchCommand(t, st.site, p.Access, p.Target.Address, p.upgrade+"\nsystemctl restart shop.service"), "libshop", "1.0", "2.0", "extrashop")
	if got := p.versions(t); got != badVersions || p.well() == nil {
		t.Fatalf("after the patch the shop answers %v, with\n%s", p.well(), got)
	}
	st.losesTheStash(p)

	id := st.turnsRed()
	st.turnsGreen(90*time.Second, p.well)
	r := st.recovered(id, 0, 90*time.Second)
	if d := r.Targets[0].Drift; d == nil || d.Verdict != backout.DriftNone {
		t.Errorf("recovered with drift %+v", d)
	}
	if got := p.versions(t); got != goodVersions {
		t.Errorf("after the rollback there are\n%s", got)
	}
	st.box.awaitNotice(t, 20*time.Second, "recovered")
	st.staysBack(p)
}

// losesTheStash: while the window is open somebody takes the old packages away, and
// people are told at once; then they are there again.
func (st *story) losesTheStash(p *patched) {
	st.t.Helper()
	p.sh(st.t, "mv /var/lib/backout/stash /var/lib/backout/away")
	st.gate(3, "web-1", "L1")
	st.box.awaitNotice(st.t, 20*time.Second, "not_ready", "web-1")
	p.sh(st.t, "mv /var/lib/backout/away /var/lib/backout/stash")
	st.gate(0)
}

// staysBack: the next update does not bring the patch back before the hold is
// released, and then it does.
func (st *story) staysBack(p *patched) {
	t := st.t
	t.Helper()
	chg := st.site.change
	st.says(0, []string{"hold", "list"}, chg, "web-1", "shop")
	p.sh(t, p.upgrade+" >/dev/null 2>&1 || :")
	if got := p.versions(t); got != goodVersions {
		t.Errorf("the next update made it\n%s", got)
	}
	st.says(0, []string{"drift", chg}, "back to baseline", "web-1")
	st.says(0, []string{"hold", "release", chg, "--target", "web-1", "--reason", "2.1 is out"}, "released")
	if held := st.says(0, []string{"hold", "list"}); strings.Contains(held, chg) {
		t.Errorf("after the release there is\n%s", held)
	}
	p.sh(t, p.upgrade)
	if got := p.versions(t); got != badVersions {
		t.Errorf("the update after the release made it\n%s", got)
	}
	st.says(1, []string{"drift", chg}, "not back")
}
