package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// TestBtrfsIsPutBackByItsSnapshot: deploy/plans/btrfs.yaml on a real Debian with / on
// btrfs. The packages cannot be had, L2 is asked for, and the next boot is as before.
func TestBtrfsIsPutBackByItsSnapshot(t *testing.T) {
	t.Parallel()
	d := hosttest.Btrfs(t, "subvol=@")
	p := newPatched(t, hosttest.SystemdOn(t, d, "btrfs-progs", "snapper"), "apt")
	p.sh(t, "echo '"+d.Device+" / btrfs subvol=@ 0 0' >/etc/fstab")
	plan := shopPlan(t, p, "btrfs", "nginx.service", `["/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf", "/etc/apt/sources.list", "/etc/apt/sources.list.d/*"]`)
	st := newStory(t, "btrfs", plan, p.Target, p.Access)
	st.putBackBySnapshot(p, "data written to / since 20", `btrfs subvolume list / | grep backout || :; ls -d /.backout* 2>/dev/null || :`)
}

// TestSUSEIsPutBackByItsSnapshot: the same with deploy/plans/suse-snapper.yaml, and
// zypper and snapper, on a machine that says it is like SUSE.
func TestSUSEIsPutBackByItsSnapshot(t *testing.T) {
	t.Parallel()
	d := hosttest.Btrfs(t, "")
	p := newPatched(t, hosttest.SystemdOn(t, d, "btrfs-progs", "rpm", "snapper", "zypper"), "zypper")
	// No device unit comes up in a container, and so no mount of a device by itself.
	p.sh(t, `snapper -c root create-config / && systemctl -q disable --now snapper-boot.timer snapper-timeline.timer snapper-cleanup.timer
echo '`+d.Device+` /.snapshots btrfs noauto,subvol=@/.snapshots 0 0' >/etc/fstab
printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=mount /.snapshots\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/snapshots-mount.service
systemctl daemon-reload; systemctl -q enable --now snapshots-mount.service`)
	plan := shopPlan(t, p, "suse-snapper", "apache2.service", `["/etc/apache2/*.conf", "/etc/apache2/vhosts.d/*.conf", "/etc/zypp/repos.d/*.repo"]`)
	st := newStory(t, "suse-snapper", plan, p.Target, p.Access)
	st.putBackBySnapshot(p, "since 20", "")
}

// putBackBySnapshot tells the story of L2. The words are what is lost; left is a
// script that says what there is of the snapshots, and nothing in the end.
func (st *story) putBackBySnapshot(p *patched, loses, left string) {
	t := st.t
	t.Helper()
	chg := st.site.change
	p.offer(t, "1.0", "2.0")
	st.gate(0, "passed")
	st.patch(patchCommand(t, st.site, p.Access, p.Target.Address, p.upgrade+"\nsystemctl restart shop.service\necho order >/root/order"), "libshop", "1.0", "2.0", "extrashop")
	if got := p.versions(t); got != badVersions || p.well() == nil {
		t.Fatalf("after the patch the shop answers %v, with\n%s", p.well(), got)
	}
	// L1 will not work: the old packages are gone, and those that were kept too.
	p.offer(t, "2.0")
	p.sh(t, "rm -r /var/lib/backout/stash")
	before := p.BootID(t)

	id := st.turnsRed()
	st.approves(id, loses)
	st.turnsGreen(3*time.Minute, p.well)
	r := st.recovered(id, 1, 90*time.Second)
	if d := r.Targets[0].Drift; d == nil || d.Verdict == backout.DriftNotBack {
		t.Errorf("recovered with drift %+v", d)
	}
	if got := p.versions(t); got != goodVersions || p.BootID(t) == before {
		t.Errorf("after the reboot (another boot: %v) there are\n%s", p.BootID(t) != before, got)
	}
	if got := p.sh(t, "ls /root"); strings.Contains(got, "order") {
		t.Error("what was written since the snapshot is still there")
	}
	st.staysBack(p)
	if left != "" {
		eventually(t, 60*time.Second, "the snapshot of "+chg+" is removed", func() error { return notYet(p.sh(t, left) == "") })
	}
}

// approves lets another person say yes to L2, who is told what is lost.
func (st *story) approves(id, loses string) {
	st.t.Helper()
	st.awaitStatus(id, backout.RollbackAwaiting, 90*time.Second)
	st.box.awaitNotice(st.t, 20*time.Second, "approval", "L2", loses)
	code, _, said := run(st.t, []string{"BACKOUT_SERVER=" + st.url, "BACKOUT_TOKEN=" + annToken}, "rollback", "approve", id, "--level", "L2")
	if code == 0 {
		st.t.Errorf("who asked for the change may approve its rollback: %s", said)
	}
	if code, stdout, stderr := run(st.t, []string{"BACKOUT_SERVER=" + st.url, "BACKOUT_TOKEN=" + bobToken}, "rollback", "approve", id, "--level", "L2", "--reason", "L1 failed"); code != 0 {
		st.t.Fatalf("approve: exit code %d\n%s%s", code, stdout, stderr)
	}
}
