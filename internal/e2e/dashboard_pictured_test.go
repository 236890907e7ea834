package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// pictured runs a server on a story with something for every page: a rollback that waits
// for votes, one that is over and left a difference, a change that is watched, one that is
// to come, and one whose way back would not work. It returns the rollback that waits.
func pictured(t *testing.T) (srv *server, id string) {
	t.Helper()
	shop := newShop(t)
	d := dutyAt(t, shop, picturedPlans(shop, picturedCache(t, shop)), picturedTargets)
	write(t, d.path("rules/rules.yaml"), picturedRules, 0o644)
	d.name, d.change = "backout", "CHG004101" // with which all changes here begin
	d.forget()
	d.near = true
	d.more += "monitoring: {watchdog: ['alertname=\"Watchdog\"'], missing_after: 10m, audience: [ops]}\n"
	srv = d.serve()
	srv.mustPost(alert{labels: map[string]string{"alertname": "Watchdog", "severity": "none"}, started: time.Now()})
	d.as("cy", passwordOf("cy"), "login", "--user", "cy")

	d.plans("CHG0041011", "cache", "redis 7.4.2 on the cache", "now", "cache-1")
	d.as("cy", "", "change", "run", "CHG0041011", "--", shop.bin("patch-cache"))
	red := picturedAlert("CacheDown", "cache-1", "the cache does not answer")
	srv.mustPost(red)
	srv.awaitStatus("CHG0041011-r1", backout.RollbackVerifying, 30*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus("CHG0041011-r1", backout.RollbackRecovered, 30*time.Second)

	d.plans("CHG0041012", "database", "kernel 6.1.112 on the database", "now", "db-1")
	d.as("cy", "", "change", "run", "CHG0041012", "--", "true")
	d.plans("CHG0041014", "web-shop", "web shop 2.0, checkout by card", "now", "web-1", "web-2", "web-3")
	d.as("cy", "", "change", "run", "CHG0041014", "--", shop.bin("patch"))
	srv.mustPost(picturedAlert("ShopSlow", "web-3", "orders take 3 s, half a second is usual"))
	srv.mustPost(picturedAlert("ShopDown", "web-1", "the web shop cannot read its orders"))
	srv.mustPost(picturedAlert("ShopDown", "web-2", "the web shop cannot read its orders"))
	id = "CHG0041014-r1"
	srv.awaitStatus(id, backout.RollbackVerifying, 60*time.Second)
	srv.mustCLI("rollback", "escalate", id, "--reason", "orders fail as before, and the schema is the new one")
	srv.awaitStatus(id, backout.RollbackAwaiting, 60*time.Second)
	d.plans("CHG0041015", "web-shop", "web shop 2.0.1", "+26h", "web-3")
	d.plans("CHG0041016", "gold", "firmware of the database host", "+50h", "db-1")
	for _, change := range []string{"CHG0041015", "CHG0041016"} {
		srv.cli("gate", change) // its no is to be seen
	}
	return srv, id
}

// plans makes cy's change; opens is now, or how many hours from now.
func (d *duty) plans(id, plan, title, opens string, targets ...string) {
	d.t.Helper()
	closes := "+4h"
	if opens != "now" {
		closes = strings.TrimSuffix(opens, "h") + "h30m"
	}
	number := id[len(id)-4:]
	args := []string{
		"change", "create", "--id", id, "--title", title, "--plan", plan, "--opens", opens, "--closes", closes, "--watch", "2h", "--owner", "cy",
		"--patch-kind", "advisory", "--patch-id", "SEC-2026:" + number, "--cve", "CVE-2026-" + number,
	}
	for _, target := range targets {
		args = append(args, "--target", target)
	}
	d.as("cy", "", args...)
}

func picturedAlert(name, target, summary string) alert {
	a := shopDown(target)
	a.labels["alertname"], a.summary = name, summary
	if name == "ShopSlow" {
		a.labels["severity"] = "warning"
	}
	return a
}

// picturedCache adds a cache beside the shop, whose patch L1 undoes but for one setting. It
// returns where its files are.
func picturedCache(t testing.TB, s *shop) string {
	t.Helper()
	dir := t.TempDir()
	if *pictures != "" { // which are to show the name of a place that is like one in life
		dir = "/var/tmp/redis"
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	write(t, filepath.Join(dir, "redis.conf"), "maxmemory 1gb\nappendonly yes\n", 0o600)
	s.script(t, "patch-cache", "cd "+dir+"; printf 'maxmemory 2gb\\nappendonly no\\n' >redis.conf; echo loaded >modules.conf; echo patched to 7.4.2")
	s.script(t, "uninstall-cache", "cd "+dir+"; printf 'maxmemory 1gb\\nappendonly no\\n' >redis.conf; echo back to 7.2.6")
	return dir
}

const picturedTargets = `targets:
  - {name: web-1, address: 127.0.0.1, transport: local, labels: {team: web}}
  - {name: web-2, address: 127.0.0.1, transport: local, labels: {team: web}}
  - {name: web-3, address: 127.0.0.1, transport: local, labels: {team: web}}
  - {name: cache-1, address: 127.0.0.1, transport: local, labels: {team: web}}
  - {name: db-1, address: 127.0.0.1, transport: local, labels: {team: data}}
`

const picturedRules = `groups:
  - name: web
    target_label: instance
    rules:
      - rule: ErrorsAfterPatch
        match: [severity="critical"]
        when: evidence.red_share_patched > evidence.red_share_unpatched
        mode: auto
        start_at: L1
        scope: change
        annotations: {summary: "{{ .Change.ID }} turned {{ .Alert.Name }} red on {{ .Targets }}"}
      - rule: SlowAfterPatch
        match: [severity="warning", alertname="ShopSlow"]
        when: evidence.red_targets > 1 and alert.age > duration("5m")
        mode: ask
        start_at: L1
  - name: data
    target_label: instance
    rules:
      - rule: ReplicaLagsAfterPatch
        match: [alertname="ReplicaLags"]
        when: evidence.minutes_since_patch < 60
        mode: shadow
`

// picturedPlans are four plans: the one of the shop, with a third level; one that works,
// one that is never needed, and one whose way back is not there.
func picturedPlans(s *shop, cache string) string {
	const without = "without: [units, ports, mounts, accounts]"
	return strings.Replace(dutyPlan(s, 2*time.Second), "escalate_after: 3s", "escalate_after: 20m", 1) + fmt.Sprintf(`      - name: L3
        summary: rebuild from the gold image
        escalate_after: 2h
        destructive: true
        approval: {groups: [sre], votes: 2}
        loses: everything written since the last backup
        audience: [ops, stakeholders]
        steps:
          - {name: rebuild, uses: command, with: {argv: [%[1]s/bin/restore]}, timeout: 20m}
  - name: cache
    author: paul
    audience: [ops]
    baseline: {%[2]s, files: [%[3]s/*]}
    verify: {every: 200ms, hold_for: 500ms, checks: [{name: configured, command: {argv: [test, -s, %[3]s/redis.conf]}}]}
    levels:
      - name: L1
        summary: uninstall the patch
        escalate_after: 30m
        approval: none
        audience: [ops]
        steps:
          - {name: uninstall, uses: command, with: {argv: [%[1]s/bin/uninstall-cache, "${BACKOUT_CHANGE_ID}"]}, timeout: 20s}
  - name: database
    author: paul
    audience: [ops]
    baseline: {%[2]s}
    verify: {every: 200ms, hold_for: 1m, checks: [{name: answers, command: {argv: ["true"]}}]}
    levels:
      - name: L1
        summary: boot the kernel before
        escalate_after: 20m
        approval: {groups: [sre]}
        audience: [ops]
        steps:
          - {name: boot, uses: command, with: {argv: ["true"]}, timeout: 10m}
  - name: gold
    author: paul
    audience: [ops]
    baseline: {%[2]s}
    verify: {every: 200ms, hold_for: 1m, checks: [{name: answers, command: {argv: ["true"]}}]}
    levels:
      - name: L1
        summary: write the firmware before
        escalate_after: 30m
        approval: {groups: [sre]}
        audience: [ops]
        steps:
          - {name: firmware, uses: command, with: {argv: [/usr/local/sbin/firmware-before]}, timeout: 10m}
`, s.dir, without, cache)
}
