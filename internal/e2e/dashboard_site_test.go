package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// duty is the shop with people who look at the dashboard: ann and ben are on duty and may
// approve, cy makes the changes, dee may only look.
type duty struct {
	*site
	shop *shop
	// homes keep what the command line is signed in with.
	homes map[string]string
}

// dutyPlan is the shop's plan with a window before L1 in which it can be held, and two
// votes before L2. The patch leaves a file behind that no level removes.
func dutyPlan(s *shop, veto time.Duration) string {
	return strings.NewReplacer(
		"baseline: {without: [units, ports, mounts, accounts]}", fmt.Sprintf("baseline: {without: [units, ports, mounts, accounts], files: [%s/shop/*]}", s.dir),
		"        approval: none\n        audience: [ops]\n", fmt.Sprintf("        approval: {veto: %s}\n        audience: [ops]\n", veto),
		"        approval: none\n        loses", "        destructive: true\n        approval: {groups: [sre], votes: 2}\n        loses",
		"escalate_after: 60s", "escalate_after: 10m",
	).Replace(s.plan())
}

// newDuty lays everything out; the server does not run yet. veto is how long L1 can be
// held before it starts.
func newDuty(t testing.TB, veto time.Duration) *duty {
	t.Helper()
	shop := newShop(t)
	shop.script(t, "patch", "echo 2.0 >$shop/shop/release; echo 2 >$shop/shop/schema; echo new >$shop/shop/whats-new; echo patched")
	return dutyAt(t, shop, dutyPlan(shop, veto), web1)
}

// dutyAt is newDuty with another plan and other targets.
func dutyAt(t testing.TB, shop *shop, plan, targets string) *duty {
	t.Helper()
	d := &duty{site: newSite(t, plan, autoRule, targets), shop: shop, homes: map[string]string{}}
	d.quiet()
	d.listen, d.holder = freePort(t), "robot"
	var users strings.Builder
	for name, group := range map[string]string{"ann": "sre", "ben": "sre", "cy": "sre", "dee": "guests"} {
		d.homes[name] = t.TempDir()
		fmt.Fprintf(&users, "    - {name: %s, groups: [%s], password_hash: %q}\n", name, group, strings.TrimSpace(d.as(name, passwordOf(name), "auth", "hash-password")))
	}
	d.auth = fmt.Sprintf(`  users:
%s  roles:
    - {role: author, groups: [sre], where: everywhere}
    - {role: operator, groups: [sre], where: everywhere}
    - {role: approver, groups: [sre], where: everywhere}
    - {role: viewer, groups: [guests], where: everywhere}
    - {role: admin, users: [robot], where: everywhere}
`, users.String())
	d.more = fmt.Sprintf("external_url: \"http://%s\"\n", d.listen)
	return d
}

func passwordOf(name string) string { return "the password of " + name }

// as runs the command line as one of the people, to its end.
func (d *duty) as(name, stdin string, args ...string) string {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), binary(d.t), args...)
	cmd.Stdin = strings.NewReader(stdin + "\n")
	cmd.Env = []string{"BACKOUT_SERVER=http://" + d.listen, "XDG_CONFIG_HOME=" + d.homes[name], "HOME=" + d.homes[name], "PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("%s: backout %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderrOf(err))
	}
	return string(out)
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// patched makes cy's change, with this title: its window is open and it is patched.
func (d *duty) patched(id, title string, targets ...string) {
	d.t.Helper()
	d.as("cy", passwordOf("cy"), "login", "--user", "cy")
	args := []string{"change", "create", "--id", id, "--title", title, "--plan", "web-shop", "--opens", "now", "--closes", "+1h", "--watch", "1h", "--owner", "cy"}
	for _, target := range targets {
		args = append(args, "--target", target)
	}
	d.as("cy", "", args...)
	d.as("cy", "", "change", "run", id, "--", d.shop.bin("patch"))
}

// watched runs Prometheus and Alertmanager beside the server, with an alert that always
// fires.
func (d *duty) watched(am string, srv *server) {
	t := d.t
	t.Helper()
	alertmanager(t, am, srv, `routes: [{matchers: [alertname="Watchdog"], receiver: backout, group_wait: 0s, group_interval: 1s, repeat_interval: 2s}]`)
	files := prometheusFiles(t, d.shop, through(am))
	rules, err := os.ReadFile(filepath.Join(files, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(files, "rules.yml"), string(rules)+watchdogRule, 0o644)
	runPrometheus(t, files, freePort(t))
}
