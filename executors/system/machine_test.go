package system_test

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/system"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// TestReboot: a real systemd goes down by the order and comes up under another boot
// id, and the order is not given twice.
func TestReboot(t *testing.T) {
	m := hosttest.Systemd(t)
	n, err := ssh.New(ssh.Options{User: hosttest.Operator, Sudo: true, Key: m.KeySecret, KnownHosts: m.KnownHosts, ConnectTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	h, err := n.Host(m.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	e := executorstest.Build(t, system.Kind(), `{"delay": "1s"}`)
	if v := e.(backout.Preflighter).Preflight(t.Context(), task(), h); len(v) != 0 {
		t.Fatalf("preflight: %+v", v)
	}
	before := m.BootID(t)
	if _, err := e.Execute(t.Context(), task(), h, t.Output()); err != nil {
		t.Fatal(err)
	}
	m.AwaitReboot(t, before)
	after := m.BootID(t)
	probe := func() {
		t.Helper()
		if p, err := e.(backout.Prober).Probe(t.Context(), task(), h); err != nil || p.State != backout.ProbeDone {
			t.Fatalf("probe: %+v %v", p, err)
		}
	}
	probe()
	// The same attempt again attaches to what has been.
	if _, err := e.Execute(t.Context(), task(), h, t.Output()); err != nil {
		t.Fatal(err)
	}
	probe()
	if now := m.BootID(t); now != after {
		t.Error("it was rebooted once more")
	}
}
