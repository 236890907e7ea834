package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/demo"
)

// shop is the demo's web service as a process, with the scripts of its plan. It
// works while release and schema fit together; the patch changes both, and L1
// brings back the release only.
type shop struct {
	dir, addr string
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir()}
	for _, place := range []string{"shop", "snapshot"} {
		write(t, filepath.Join(s.dir, place, "release"), "1.0\n", 0o600)
		write(t, filepath.Join(s.dir, place, "schema"), "1\n", 0o600)
	}
	s.script(t, "patch", "echo 2.0 >$shop/shop/release; echo 2 >$shop/shop/schema; echo patched")
	s.script(t, "uninstall", "echo \"uninstalling for $1\"; echo 1.0 >$shop/shop/release")
	s.script(t, "restore", "cp $shop/snapshot/* $shop/shop/")
	cmd := exec.Command(binary(t), "demo")
	cmd.Env = append(os.Environ(), demo.ShopEnv+"="+filepath.Join(s.dir, "shop"))
	p := start(t, cmd)
	eventually(t, 20*time.Second, "the shop says where it listens", func() error {
		s.addr = strings.TrimSpace(p.said.String())
		_, _, err := net.SplitHostPort(s.addr)
		return err
	})
	return s
}

// script writes a script that notes in effects that it began, and when.
func (s *shop) script(t testing.TB, name, body string) {
	t.Helper()
	text := fmt.Sprintf("#!/bin/sh\nset -eu\ndate +%%s.%%N >>%[1]s/%[2]s.at\nshop=%[1]s\n%[3]s\necho %[2]s >>%[1]s/effects\n", s.dir, name, body)
	write(t, filepath.Join(s.dir, "bin", name), text, 0o700)
}

func (s *shop) bin(name string) string { return filepath.Join(s.dir, "bin", name) }

// effects is how often a script came to its end.
func (s *shop) effects(name string) int { return lines(filepath.Join(s.dir, "effects"), name) }

// plan is the shop's plan with the times of a test.
func (s *shop) plan() string {
	return fmt.Sprintf(`plans:
  - name: web-shop
    author: paul
    audience: [ops]
    baseline: {without: [units, ports, mounts, accounts]}
    verify:
      every: 200ms
      hold_for: 1s
      checks:
        - name: shop answers
          http: {url: "http://%[1]s/health", expect_status: 200}
    levels:
      - name: L1
        summary: uninstall the patch
        escalate_after: 3s
        approval: none
        audience: [ops]
        steps:
          - {name: uninstall, uses: command, with: {argv: [%[2]s/bin/uninstall, "${BACKOUT_CHANGE_ID}"]}, timeout: 20s}
      - name: L2
        summary: restore the snapshot
        escalate_after: 60s
        approval: none
        loses: orders since the snapshot
        audience: [ops, stakeholders]
        steps:
          - {name: restore, uses: command, with: {argv: [%[2]s/bin/restore]}, timeout: 20s}
`, s.addr, s.dir)
}

// autoRule starts a rollback for every critical alert on a patched target.
const autoRule = `groups:
  - name: web
    target_label: instance
    rules:
      - rule: ErrorsAfterPatch
        match: [severity="critical"]
        when: evidence.red_share_patched > evidence.red_share_unpatched
        mode: auto
        start_at: L1
        scope: target
`

// web1 is one target: this machine.
const web1 = `targets:
  - {name: web-1, address: 127.0.0.1, transport: local, labels: {team: web}}
`

// freePort is an address that nothing listens on. Another process may take it
// first; the parts that cannot choose their own port need it.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
