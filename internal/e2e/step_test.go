package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// step is a step that notes its effect, then waits until it is let go. It gives
// up after a minute, so that no test leaves it behind.
type step struct{ dir string }

func newStep(t testing.TB) *step {
	t.Helper()
	s := &step{dir: t.TempDir()}
	write(t, filepath.Join(s.dir, "step"), fmt.Sprintf(`#!/bin/sh
echo ran >>%[1]s/effects
n=0
while [ ! -e %[1]s/go ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done
echo done >>%[1]s/effects
`, s.dir), 0o700)
	t.Cleanup(s.letGo)
	return s
}

func (s *step) letGo()        { _ = os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600) }
func (s *step) began() int    { return lines(filepath.Join(s.dir, "effects"), "ran") }
func (s *step) finished() int { return lines(filepath.Join(s.dir, "effects"), "done") }

// plan runs the step in its only level. Verifying needs the alert to be over.
func (s *step) plan() string {
	return fmt.Sprintf(`plans:
  - name: web-shop
    author: paul
    baseline: {without: [units, ports, mounts, accounts]}
    verify: {every: 100ms, hold_for: 300ms, checks: [{name: done, command: {argv: [grep, -q, done, %[1]s/effects]}}]}
    levels:
      - name: L1
        escalate_after: 2m
        steps: [{name: wait, uses: command, with: {argv: [%[1]s/step]}, timeout: 2m}]
`, s.dir)
}
