package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// guestShop makes the packages of a shop that busybox serves, and lets init run it.
const guestShop = `set -e
for v in 1.0 2.0; do
	rm -rf /tmp/p; mkdir -p /tmp/p/DEBIAN /tmp/p/srv/www
	printf 'Package: shop\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a shop\n' $v >/tmp/p/DEBIAN/control
	echo "$v" >/tmp/p/srv/www/version
	[ $v != 1.0 ] || echo well >/tmp/p/srv/www/health
	dpkg-deb --root-owner-group -Znone -b /tmp/p /root/shop-$v.deb >/dev/null
done
dpkg -i /root/shop-1.0.deb >/dev/null
echo '::respawn:/bin/busybox httpd -f -p 127.0.0.1:8080 -h /srv/www' >>/etc/inittab
kill -HUP 1; sync`

const bootID = "cat /proc/sys/kernel/random/boot_id"

// guestShell runs scripts as the guest's root, on one connection.
func guestShell(t *testing.T, g *hosttest.Guest) func(script string) string {
	t.Helper()
	n, err := ssh.New(ssh.Options{User: "root", Key: g.KeySecret, KnownHosts: g.KnownHosts, ConnectTimeout: 60 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	h, err := n.Host(g.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	return func(script string) string {
		t.Helper()
		r, err := h.Run(t.Context(), backout.Exec{Argv: []string{"sh", "-c", script}})
		if err != nil || r.ExitCode != 0 {
			t.Fatalf("%s: exit code %d, %v\n%s%s", script, r.ExitCode, err, r.Stdout, r.Stderr)
		}
		return string(r.Stdout)
	}
}

// lvmPlan is deploy/plans/rhel-lvm.yaml for the guest, which has dpkg and no dnf, and
// no systemd: the steps of those are commands, the first of which fails.
func lvmPlan(t *testing.T) string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "awx.token")
	write(t, token, "awx-token-0123456789abcdef", 0o600)
	return shipped(t, "rhel-lvm", soon(
		"volumes: [rootvg/root, rootvg/var], size: auto", "volumes: [vg0/root], size: 64m",
		`["/etc/httpd/conf/httpd.conf", "/etc/httpd/conf.d/*.conf", "/etc/yum.repos.d/*.repo"]`, "[/etc/inittab]",
		"unit: {name: httpd.service}", `command: {argv: [sh, -c, "grep -qs '[h]ttpd' /proc/[0-9]*/cmdline"]}`,
		`http: {url: "http://{address}/health", expect_status: 200}`, `command: {argv: [busybox, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/health"]}`,
		"uses: dnf.undo", "uses: command", "with: {stash: true, hold: true}", "with: {argv: [/bin/false]}",
		"uses: systemd.restart, with: {unit: httpd.service}", "uses: command, with: {argv: [/bin/true]}",
		"uses: package.hold", "uses: command, with: {argv: [/bin/true]}",
		"https://awx.example.com", rebuilder(t), "{credential: awx-token}", fmt.Sprintf("{file: %q}", token))...)
}

// TestLVMIsPutBackByItsSnapshot: a real root on LVM, with a device mapper of its own:
// the snapshot is made while the window opens, the patch breaks the service, L1
// fails, a person who knows what is lost says yes to L2, and after the reboot the
// merge ends and everything is as it was.
func TestLVMIsPutBackByItsSnapshot(t *testing.T) {
	t.Parallel()
	g := hosttest.LVM(t)
	sh := guestShell(t, g)
	sh(guestShop)
	st := newStory(t, "rhel-lvm", lvmPlan(t), g.Target, g.Access)
	st.patch(patchCommand(t, st.site, g.Access, g.Target.Address, "dpkg -i /root/shop-2.0.deb >/dev/null && echo order >/root/order && sync"), "shop", "1.0", "2.0")
	if got := sh("lvs --noheadings -o lv_name,lv_tags vg0"); !strings.Contains(got, st.site.change) {
		t.Fatalf("no snapshot of the change: %s", got)
	}
	st.snapshotFills(sh)
	before := sh(bootID)

	id := st.turnsRed()
	st.approves(id, "since 20")
	well := func() error {
		if r, err := st.client.Rollback(t.Context(), id); err != nil || r.Status != backout.RollbackVerifying {
			return fmt.Errorf("the rollback is %s, %w", r.Status, err)
		}
		return nil
	}
	st.turnsGreen(5*time.Minute, well)
	r := st.recovered(id, 1, 3*time.Minute)
	if d := r.Targets[0].Drift; d == nil || d.Verdict != backout.DriftNone {
		t.Errorf("recovered with drift %+v", d)
	}
	if sh(bootID) == before {
		t.Error("it has not rebooted")
	}
	if got := sh("cat /srv/www/version; dpkg-query -W -f '${Version}\n' shop; ls /root"); !strings.HasPrefix(got, "1.0\n1.0\n") || strings.Contains(got, "order") {
		t.Errorf("after the reboot there is\n%s", got)
	}
	st.says(0, []string{"drift", st.site.change}, "back to baseline", "web-1")
	eventually(t, 2*time.Minute, "nothing of the snapshot is left", func() error {
		left := sh("lvs -a --noheadings -o lv_name,lv_tags vg0 | grep -e backout -e " + st.site.change + "; ls -d /.backout 2>/dev/null; true")
		if left != "" {
			return fmt.Errorf("left are %s", left)
		}
		return nil
	})
}

// snapshotFills: while the window is open something writes so much that the snapshot
// is about to overflow, and people are told; with room again the way back is there.
func (st *story) snapshotFills(sh func(string) string) {
	st.t.Helper()
	sh("dd if=/dev/urandom of=/var/tmp/fill bs=1M count=52 2>/dev/null; sync")
	st.gate(3, "web-1", "L2", "fill")
	st.box.awaitNotice(st.t, 20*time.Second, "not_ready", "web-1", "fill")
	sh("lvextend -q -L +64M $(lvs --noheadings -o lv_path,lv_tags vg0 | awk '/backout.change/ { print $1 }')")
	st.gate(0)
}
