package capture_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// TestTakeOfAMachineWithSystemd looks at a whole Debian over SSH: twice the same
// bytes, also after transient units and a reboot, and what breaks is seen.
func TestTakeOfAMachineWithSystemd(t *testing.T) {
	m := hosttest.Systemd(t)
	network, err := ssh.New(ssh.Options{User: m.User, Key: m.KeySecret, KnownHosts: m.KnownHosts, Dir: m.Attempts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = network.Close() })
	h, err := network.Host(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	m.Do(t, "sh", "-c", "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/app.service; systemctl daemon-reload; systemctl enable --now app.service")
	spec := backout.BaselineSpec{Files: []string{"/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*"}, Without: []string{backout.PartPorts}}
	take := func() backout.Inventory {
		t.Helper()
		inv, err := capture.Take(t.Context(), h, spec)
		if err != nil {
			t.Fatal(err)
		}
		return inv
	}
	before := take()
	if before.Machine.Init != "systemd" || before.Packages.Manager != "dpkg" || len(before.Packages.Installed) < 100 || len(before.Files) != 2 || len(before.Accounts) < 3 {
		t.Errorf("%+v", before)
	}
	if !slices.Contains(before.Units, backout.Unit{Name: "app.service", Enabled: "enabled", Active: "active"}) {
		t.Errorf("no app.service in %+v", before.Units)
	}
	m.Do(t, "systemd-run", "--quiet", "--unit=passing", "sleep", "infinity")
	m.Do(t, "systemd-run", "--quiet", "--on-calendar=2099-01-01", "true")
	if one, two := baseline.EncodeInventory(before), baseline.EncodeInventory(take()); !bytes.Equal(one, two) {
		t.Errorf("the same state, and other bytes: %s", diffs(before, take()))
	}
	m.Reboot(t)
	if verdict, list := baseline.Drift(before, take(), nil, nil); verdict != backout.DriftNone {
		t.Errorf("after a reboot %s: %+v", verdict, list)
	}
	m.Do(t, "sh", "-c", "systemctl kill -s SIGKILL app.service; rm /etc/ssh/sshd_config.d/backout.conf; useradd intruder; until systemctl is-failed app.service; do sleep 0.1; done")
	verdict, list := baseline.Drift(before, take(), nil, nil)
	if verdict != backout.DriftNotBack || len(list) < 4 || list[0].Name != "app.service" || list[0].Now != "failed, enabled" {
		t.Errorf("%s: %+v", verdict, list)
	}
	for _, want := range []string{"files /etc/ssh/sshd_config.d/backout.conf", "accounts /etc/passwd", "accounts /etc/group"} {
		if !slices.ContainsFunc(list, func(d backout.Difference) bool { return d.Part+" "+d.Name == want && d.Ignored == "" }) {
			t.Errorf("no %s in %+v", want, list)
		}
	}
	// Without root the accounts cannot be read: told of, not left out.
	plain, err := ssh.New(ssh.Options{User: hosttest.Operator, Key: m.KeySecret, KnownHosts: m.KnownHosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	user, err := plain.Host(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Take(t.Context(), user, spec); err == nil || !strings.Contains(err.Error(), "/etc/sudoers cannot be read: log in to the target as root") {
		t.Errorf("got %v", err)
	}
	spec.Without = append(spec.Without, backout.PartAccounts)
	if inv, err := capture.Take(t.Context(), user, spec); err != nil || len(inv.Units) != len(before.Units) {
		t.Errorf("%d units, %d before, %v", len(inv.Units), len(before.Units), err)
	}
}

func diffs(before, now backout.Inventory) string {
	return fmt.Sprintf("%+v", baseline.Compare(before, now))
}
