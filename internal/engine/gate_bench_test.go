package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/capture/capturetest"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// slowHost answers everything after the latency of its way.
type slowHost struct {
	backout.Host
	latency time.Duration
	capture []byte
}

func (h slowHost) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	select {
	case <-ctx.Done():
		return backout.ExecResult{}, ctx.Err()
	case <-time.After(h.latency):
	}
	if capturetest.IsCapture(e) {
		return backout.ExecResult{Stdout: h.capture}, nil
	}
	return backout.ExecResult{}, nil
}

func (h slowHost) BootID(context.Context) (string, error) { return "boot", nil }

// slowHosts are hosts of 2,500 packages each, no two of them the same.
type slowHosts struct {
	latency time.Duration
	capture []byte
}

func newSlowHosts(latency time.Duration) slowHosts {
	inv := backout.Inventory{Machine: backout.Machine{Hostname: "NAME", OS: "rocky", Kernel: "5.14.0", Init: "systemd"}}
	inv.Packages = backout.PackageState{Manager: "rpm", Tool: "dnf 4.14.0", History: "12"}
	for i := range 2500 {
		inv.Packages.Installed = append(inv.Packages.Installed, backout.Package{
			Name: fmt.Sprintf("package-%d", i), Version: fmt.Sprintf("0:%d.%d-1.el9", i%7, i), Arch: "x86_64", Repository: "baseos",
		})
	}
	return slowHosts{latency, capturetest.Answer(inv)}
}

func (h slowHosts) For(t backout.Target) (backout.Host, error) {
	return slowHost{latency: h.latency, capture: bytes.Replace(h.capture, []byte("NAME"), []byte(t.Name), 1)}, nil
}

// BenchmarkGate asks the gate of a change of 1,000 targets, each 50 ms away and with
// 2,500 packages: two levels, and a capture that is stored. It must take less than
// a minute, and less than 300 MiB.
func BenchmarkGate(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{JS: bustest.Start(b).JetStream(), Server: "me"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	registry, err := executors.NewRegistry(command.Kind())
	if err != nil {
		b.Fatal(err)
	}
	kinds, err := plugin.NewRegistry[checks.Kind]()
	if err != nil {
		b.Fatal(err)
	}
	set, problems := rules.Load(map[string][]byte{})
	if err := problems.Fatal(); err != nil {
		b.Fatal(err)
	}
	plan := snapshotPlan()
	plan.Baseline.Steps = nil
	for i := range plan.Levels {
		plan.Levels[i].Steps = []backout.Step{{Uses: "command", With: []byte(`{"argv":["true"]}`)}}
	}
	cfg := &Config{
		Rules: set, Plans: map[string]backout.Plan{"web": plan}, Inventory: map[string]backout.Target{}, Groups: map[string][]string{"sre": {"carol"}},
		Runner: runner.New(runner.Options{Executors: registry, Checks: kinds, Hosts: newSlowHosts(50 * time.Millisecond)}),
	}
	e := New(Options{Store: s, Server: "me", Sender: &mouth{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Sole: true}, cfg)
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	spec := backout.ChangeSpec{ID: "C1", Plan: "web", Window: backout.Window{Watch: backout.Duration(time.Hour)}}
	for i := range 1000 {
		name := fmt.Sprintf("host-%d", i)
		cfg.Inventory[name] = backout.Target{Name: name}
		spec.Targets = append(spec.Targets, name)
	}
	if _, err := e.PlanChange(b.Context(), alice, spec); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		began := time.Now()
		result, err := e.CheckGate(b.Context(), alice, "C1")
		if err != nil || !result.Passed {
			b.Fatalf("%v, %d violations: %.1v", err, len(result.Violations), result.Violations)
		}
		if took := time.Since(began); took > time.Minute {
			b.Errorf("took %s", took)
		}
	}
	if peak := peakMiB(b); peak > 300 {
		b.Errorf("%d MiB", peak)
	} else {
		b.ReportMetric(float64(peak), "peak-MiB")
	}
}

// peakMiB is the most memory that this process has had; 0 where that cannot be read.
func peakMiB(b *testing.B) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Logf("the peak of memory cannot be read: %v", err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%d", &kib); err != nil {
		b.Fatal(err)
	}
	return kib >> 10
}
