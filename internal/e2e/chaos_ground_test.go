package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// ground is what the trials of a chaos run share: real parts that live long, are
// killed, and start again in place.
type ground struct {
	t testing.TB
	// dir is where steps write their effects, one file a change.
	dir  string
	sshd *hosttest.Server
	// near are the links to the targets behind sshd.
	near  []*link
	box   *inbox
	sites []*site
	// mu guards servers, those of sites, nil while one is dead; and started.
	mu      sync.Mutex
	servers []*server
	// started is when a server was started last.
	started time.Time
	// cluster is nil on the embedded store; nats are each server's links to it.
	cluster *natsCluster
	nats    [][]*link
	// runners are those of the first target behind sshd, where it has any, and
	// theirs the links of each to the cluster.
	runners []*nearRunner
	theirs  [][]*link
}

// chaosStep notes that it began and that it ended, each by one write. It is held
// up while a file says so.
const chaosStep = `f=%[1]s/$BACKOUT_CHANGE_ID
printf '%%s begin\n' "$BACKOUT_ATTEMPT" >>"$f"
n=0
while [ -e "$f.hold" ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done
sleep 0.02
printf '%%s end\n' "$BACKOUT_ATTEMPT" >>"$f"
case $1 in
heal) : >"$f.healed.$BACKOUT_TARGET" ;;
fail) exit 7 ;;
esac
`

// chaosPlans: one whose first level heals, one whose first level fails, and one
// whose first level runs out of time.
func chaosPlans(dir string) string {
	step := func(name, does string) string {
		return fmt.Sprintf("{name: %s, uses: command, with: {argv: [/bin/sh, %s/step, %s]}, timeout: 60s}", name, dir, does)
	}
	text := "plans:\n"
	for _, p := range []struct{ name, clock, first string }{
		{"heals", "60s", step("one", "plain") + ", " + step("two", "heal")},
		{"fails", "60s", step("one", "plain") + ", " + step("two", "fail")},
		{"escalates", "700ms", step("one", "plain")},
	} {
		text += fmt.Sprintf(`  - name: %s
    author: paul
    audience: [ops]
    baseline: {without: [units, ports, mounts, accounts]}
    verify: {every: 100ms, hold_for: 150ms, ignore_alerts: true, checks: [{name: healed, command: {argv: [/bin/sh, %s/check]}}]}
    levels:
      - {escalate_after: %s, approval: none, steps: [%s]}
      - {escalate_after: 60s, approval: none, audience: [stakeholders], steps: [%s]}
`, p.name, dir, p.clock, p.first, step("last", "heal"))
	}
	return text
}

// newGround starts sshd and the hook of notices and lays out n servers: on the
// embedded store, or on a cluster. On a cluster with users, one target is reached
// by two runners of its site.
func newGround(t testing.TB, n int, cluster *natsCluster) *ground {
	t.Helper()
	g := &ground{t: t, sshd: hosttest.SSHD(t, 2, "LogLevel ERROR"), cluster: cluster}
	g.dir = g.sshd.Attempts
	t.Cleanup(g.forget)
	write(t, filepath.Join(g.dir, "step"), fmt.Sprintf(chaosStep, g.dir), 0o644)
	write(t, filepath.Join(g.dir, "check"), fmt.Sprintf("test -e %s/$BACKOUT_CHANGE_ID.healed.$BACKOUT_TARGET\n", g.dir), 0o644)
	inventory, known := g.targets()
	url, box := hook(t)
	g.box = box
	write(t, filepath.Join(g.dir, "known_hosts"), known, 0o644)
	reach := fmt.Sprintf("ssh: {user: %s, key: {file: %q}, known_hosts: %s/known_hosts}\n", g.sshd.User, g.sshd.Key, g.dir)
	signing := ""
	if cluster != nil && cluster.users != nil {
		inventory = strings.Replace(inventory, "{name: far-1,", "{name: far-1, site: fra,", 1)
		signing = g.newRunners(reach)
	}
	for i := range n {
		s := newSite(t, chaosPlans(g.dir), strings.Replace(autoRule, "scope: target", "scope: change", 1), inventory)
		s.name = fmt.Sprintf("server-%d", i+1)
		s.more = reach
		if cluster != nil {
			links, urls := cluster.links()
			g.nats = append(g.nats, links)
			s.more += fmt.Sprintf("nats: {url: %q, replicas: 3}\n", urls)
		}
		if signing != "" {
			write(t, s.path("secrets/nats.creds"), cluster.users.creds("--server"), 0o600)
			s.more = strings.Replace(s.more, "replicas: 3", "replicas: 3, credentials: {file: secrets/nats.creds}", 1) + signing
		}
		s.channels = fmt.Sprintf("  hook: {type: webhook, url: %q, secret: {file: secrets/hook.secret}}\n", url)
		s.audience = "  ops: [hook]\n  stakeholders: [hook]\n"
		g.sites, g.servers = append(g.sites, s), append(g.servers, nil)
	}
	return g
}

// chaosTargets are the targets' names: this machine, and two behind sshd.
var chaosTargets = []string{"here", "far-1", "far-2"}

// targets are reached over links; every one has the same host key.
func (g *ground) targets() (inventory, known string) {
	_, key, _ := strings.Cut(strings.SplitN(read(g.sshd.KnownHosts), "\n", 2)[0], " ")
	inventory = fmt.Sprintf("targets:\n  - {name: %s, transport: local}\n", chaosTargets[0])
	for i, target := range g.sshd.Targets {
		l := newLink(g.t, target.Address)
		g.near = append(g.near, l)
		host, port, _ := strings.Cut(l.addr(), ":")
		inventory += fmt.Sprintf("  - {name: %s, address: %q}\n", chaosTargets[i+1], l.addr())
		known += fmt.Sprintf("[%s]:%s %s\n", host, port, key)
	}
	return inventory, known
}

// boot starts every server and every runner.
func (g *ground) boot() {
	g.t.Helper()
	for i := range g.sites {
		g.revive(i)
	}
	for _, r := range g.runners {
		r.start(60 * time.Second)
		r.silent.Store(true)
	}
}

// revive starts a server that is dead, again and again as a service manager does,
// and returns when it is ready.
func (g *ground) revive(i int) {
	g.t.Helper()
	within := 30 * time.Second
	if g.cluster != nil {
		within = 90 * time.Second // a start waits a minute for an election
	}
	began := time.Now()
	srv, err := g.sites[i].tryServe(within)
	for until := time.Now().Add(within); errors.Is(err, errEnded) && g.cluster != nil && time.Now().Before(until); srv, err = g.sites[i].tryServe(within) {
		g.t.Logf("%s is started again: %v", g.sites[i].name, err)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	srv.silent.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.servers[i], g.started = srv, began
}

// slay kills a server.
func (g *ground) slay(i int) {
	g.mu.Lock()
	srv := g.servers[i]
	g.servers[i] = nil
	g.mu.Unlock()
	srv.kill()
}

// alive are the servers that were not killed.
func (g *ground) alive() []*server {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.servers), func(s *server) bool { return s == nil })
}

// calm waits until every part is well.
func (g *ground) calm() {
	g.t.Helper()
	if g.cluster != nil {
		g.cluster.await(60 * time.Second)
	}
	for _, srv := range g.alive() {
		eventually(g.t, 60*time.Second, srv.site.name+" is ready", func() error { return get(srv.url+"/readyz", http.StatusOK) })
	}
}

// call asks the servers in turn until one has answered without an error.
func (g *ground) call(within time.Duration, what string, do func(context.Context, *client.Client) error) error {
	err := errNotYet
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, srv := range g.alive() {
			ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
			err = do(ctx, srv.client)
			cancel()
			if err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("not within %s: %s: %w", within, what, err)
}

// file is a file of a change.
func (g *ground) file(change, suffix string) string { return filepath.Join(g.dir, change+suffix) }

// touch makes a file that every target may write to.
func (g *ground) touch(name string) {
	g.t.Helper()
	write(g.t, name, "", 0o666)
	if err := os.Chmod(name, 0o666); err != nil {
		g.t.Fatal(err)
	}
}
