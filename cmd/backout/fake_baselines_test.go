package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// readiness is what the fake knows of baselines. Ids choose here too: the window of
// CHG-SLOW is being opened, CHG-SLOWSHUT's too and is refused then, CHG-FOREVER's has
// no end, and the answer to opening CHG-LOST is lost once.
type readiness struct {
	looks    map[string]int
	lostOnce bool
	holds    []backout.Hold
}

func (f *fake) readiness() {
	f.ready.looks = map[string]int{}
	spec := backout.ChangeSpec{Title: "openssl", Plan: "web", Targets: []string{"web-01", "web-02"}}
	for _, id := range []string{"CHG-SLOW", "CHG-SLOWSHUT", "CHG-FOREVER", "CHG-LOST", "CHG-LOOK", "CHG-DRIFT", "CHG-NOTBACK"} {
		spec.ID = id
		f.add(spec, backout.ChangePlanned)
		if strings.HasPrefix(id, "CHG-SLOW") || id == "CHG-FOREVER" {
			f.changes[id].Capture = &backout.Capture{Number: 1, Server: "b1", BeganAt: time.Now(), Opening: true}
		}
	}
	c := f.changes["CHG-DRIFT"]
	c.State, c.Baselines, c.Deltas = backout.ChangeWatching, map[string]string{"web-01": "sha256:1", "web-02": "sha256:2"}, map[string]string{"web-01": "sha256:3"}
	c.NotReady = []backout.Violation{{Check: "space", Target: "web-02", Level: "L2", Reason: "the snapshot is 97% full" + evil, Fix: "extend it"}}
	c = f.changes["CHG-LOOK"]
	c.State, c.ValidUntil = backout.ChangeReady, epoch
	f.ready.holds = []backout.Hold{
		{ChangeID: "CHG-OK", RollbackID: "R-OK", Target: "web-01", Packages: []string{"openssl-1:3.0.7-2.*" + evil}, PlacedAt: epoch},
		{ChangeID: "CHG-OLD", Target: "db-01", Packages: []string{"curl"}, PlacedAt: epoch, ReleasedAt: epoch, ReleasedBy: "ana", Reason: "fixed"},
	}
}

// look moves what is under way on, each time somebody looks.
func (f *fake) look(c *backout.Change) {
	f.ready.looks[c.ID]++
	if f.ready.looks[c.ID] < 2 {
		return
	}
	switch c.ID {
	case "CHG-SLOW":
		c.Capture, c.State, c.OpenedAt = nil, backout.ChangeOpen, epoch
	case "CHG-SLOWSHUT":
		c.Capture, c.Violations = nil, shut
	}
}

// lose breaks the connection of the first who opens CHG-LOST.
func (f *fake) lose(id string) {
	f.mu.Lock()
	lost := id == "CHG-LOST" && !f.ready.lostOnce
	f.ready.lostOnce = f.ready.lostOnce || lost
	f.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler)
	}
}

func lookedGate() handlers.GateResult {
	return handlers.GateResult{
		ChangeID: "CHG-LOOK", Passed: true, PlanHash: "sha256:7f3a9c0011223344", ValidUntil: time.Date(2126, 11, 24, 2, 0, 0, 0, time.UTC),
		Looks: []handlers.GateLook{
			{Target: "web-01", Check: "capture", OK: true}, {Target: "web-01", Level: "L2", Check: "space" + evil, OK: true, Loses: "data written since 01:55"},
		},
	}
}

func (f *fake) CaptureBaseline(_ context.Context, _ handlers.Actor, id string) (backout.Change, error) {
	return f.change(id, func(c *backout.Change) error {
		if id == "CHG-SHUT" {
			return &backout.RefusedError{Violations: shut}
		}
		c.Baselines = map[string]string{"web-01": "sha256:1", "web-02": "sha256:2"}
		return nil
	})
}

func (f *fake) Baseline(_ context.Context, id, target string) (backout.Baseline, error) {
	if target != "web-01" && target != "web-02" {
		return backout.Baseline{}, fmt.Errorf("baseline of %s in %s: %w", target, id, backout.ErrNotFound)
	}
	return backout.Baseline{ChangeID: id, Target: target, Inventory: backout.Inventory{
		Schema: 1, Machine: backout.Machine{Hostname: target, OS: "rhel", Version: "9.4", Arch: "x86_64", Kernel: "5.14.0"},
		Packages: backout.PackageState{Manager: "rpm", Tool: "dnf 4.14.0", History: "11", Installed: []backout.Package{{Name: "openssl", Version: "1:3.0.7-1", Arch: "x86_64", Repository: evil}}},
		Units:    []backout.Unit{{Name: "nginx.service", Enabled: "enabled", Active: "active"}}, Without: []string{backout.PartPorts},
	}}, nil
}

func (f *fake) Delta(_ context.Context, _, target string) (backout.Delta, error) {
	return backout.Delta{
		Target: target, Manager: "rpm", HistoryFrom: "11", HistoryTo: "12",
		Packages: []backout.PackageChange{{Name: "openssl", Arch: "x86_64", From: "1:3.0.7-1", To: "1:3.0.7-2"}},
	}, nil
}

func (f *fake) Drift(_ context.Context, _ handlers.Actor, id string, targets []string) ([]backout.Drift, error) {
	if len(targets) == 0 {
		targets = []string{"web-01", "web-02"}
	}
	var out []backout.Drift
	for _, target := range targets {
		d := backout.Drift{ChangeID: id, Target: target, At: epoch, Verdict: backout.DriftNone, Differences: []backout.Difference{{Part: "packages", Name: "history", Was: "11", Now: "13", Ignored: "each rollback adds to it"}}}
		switch {
		case id == "CHG-DRIFT" && target == "web-02":
			d.Verdict = backout.DriftSome
			d.Differences = append([]backout.Difference{{Part: "files", Name: "/etc/hosts" + evil, Was: "a", Now: "b"}}, d.Differences...)
		case id == "CHG-NOTBACK":
			d.Verdict = backout.DriftNotBack
		}
		out = append(out, d)
	}
	return out, nil
}

func (f *fake) DriftReport(context.Context, string) (backout.Drift, error) {
	return backout.Drift{}, backout.ErrNotFound
}

func (f *fake) Holds(_ context.Context, all bool) ([]backout.Hold, error) {
	if !all {
		return f.ready.holds[:1], nil
	}
	return f.ready.holds, nil
}

func (f *fake) ReleaseHold(_ context.Context, by handlers.Actor, id, target, reason string) (backout.Hold, error) {
	h := f.ready.holds[0]
	if h.ChangeID != id || h.Target != target {
		return backout.Hold{}, fmt.Errorf("hold of %s on %s: %w", id, target, backout.ErrNotFound)
	}
	h.ReleasedAt, h.ReleasedBy, h.Reason = epoch, by.Name, reason
	return h, nil
}
