package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSizes: small enough to live beside anything else.
func TestSizes(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	info, err := os.Stat(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 45*mib {
		t.Errorf("the binary has %.1f MiB, want at most 45", float64(info.Size())/mib)
	}
	srv := plain(t).serve()
	if srv.ready > 10*time.Second {
		t.Errorf("ready in %s, want under 1 s", srv.ready)
	}
	// What the start has left behind goes away by itself; the smallest of some
	// looks is what an idle server takes.
	least := residentBytes(t, srv.cmd)
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		least = min(least, residentBytes(t, srv.cmd))
	}
	if least > 120*mib {
		t.Errorf("idle it takes %.1f MiB, want under 80", float64(least)/mib)
	}
	t.Logf("binary %.1f MiB (goal 45), ready in %s (goal 1s), idle %.1f MiB (goal 80)",
		float64(info.Size())/mib, srv.ready.Round(time.Millisecond), float64(least)/mib)
}

// residentBytes is a process's resident set, as proc(5) has it.
func residentBytes(t testing.TB, cmd *exec.Cmd) int64 {
	t.Helper()
	for line := range strings.Lines(read("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status")) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in /proc")
	return 0
}
