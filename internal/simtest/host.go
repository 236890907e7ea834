package simtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
)

// Script says how a target takes one level's steps. The zero script ends well at
// once and heals nothing.
type Script struct {
	// Takes is how long the step runs.
	Takes time.Duration
	// Exit is its exit code.
	Exit int
	// Hangs lets it run until it is stopped or [Host.Release] is called.
	Hangs bool
	// Deaf makes it ignore a stop.
	Deaf bool
	// Heals makes the target healthy when the step ends well.
	Heals bool
	// Unknown makes the target forget how the step ended once it has ended.
	Unknown bool
	// Drops is how often the connection is lost while the step is followed.
	Drops int
}

// Effect is one start of a step that really happened on a target.
type Effect struct {
	Target, Level, Attempt string
	At                     time.Time
}

// Host is one simulated target. Its methods may be called from several goroutines.
type Host struct {
	name string

	mu       sync.Mutex
	scripts  map[string]Script
	attempts map[string]*simAttempt
	effects  []Effect
	again    int
	healthy  bool
	offline  bool
	missing  bool
	boots    int
}

type simAttempt struct {
	script  Script
	started time.Time
	exit    int
	drops   int
	ended   chan struct{}
	timer   *time.Timer
	over    time.Time
	lost    bool
}

func newHost(name string) *Host {
	return &Host{name: name, scripts: map[string]Script{}, attempts: map[string]*simAttempt{}, healthy: true}
}

// On says how the steps of a level ("L1") go from now on.
func (h *Host) On(level string, s Script) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scripts[level] = s
}

// SetHealthy makes the check "health" green or red.
func (h *Host) SetHealthy(healthy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.healthy = healthy
}

// Healthy tells what the check "health" sees.
func (h *Host) Healthy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.healthy
}

// SetOffline cuts the target off, or back in. What runs on it runs on.
func (h *Host) SetOffline(offline bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offline = offline
}

// SetMissing makes the target lack the program of its steps.
func (h *Host) SetMissing(missing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing = missing
}

// Reboot makes the target forget how its running attempts end.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.boots++
	for _, a := range h.attempts {
		if a.running() {
			a.lost = true
			a.end(-1)
		}
	}
}

// Release ends every hanging step with its exit code.
func (h *Host) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.attempts {
		if a.running() && a.script.Hangs {
			h.finish(a, a.script.Exit)
		}
	}
}

// Effects are the starts that happened, oldest first.
func (h *Host) Effects() []Effect {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.effects)
}

// Running counts the steps that run.
func (h *Host) Running() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, a := range h.attempts {
		if a.running() {
			n++
		}
	}
	return n
}

func (a *simAttempt) running() bool { return a.over.IsZero() }

func (a *simAttempt) end(code int) {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.exit, a.over = code, time.Now()
	close(a.ended)
}

func (h *Host) finish(a *simAttempt, code int) {
	a.end(code)
	a.lost = a.script.Unknown
	if code == 0 && a.script.Heals {
		h.healthy = true
	}
}

// Run implements [backout.Host]: it is asked whether a program is there.
func (h *Host) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.offline:
		return backout.ExecResult{}, h.unreachable()
	case h.missing:
		return backout.ExecResult{ExitCode: 1}, nil
	}
	return backout.ExecResult{}, nil
}

func (h *Host) unreachable() error { return fmt.Errorf("dial %s: %w", h.name, host.ErrNoConnection) }

// Start implements [backout.Host].
func (h *Host) Start(ctx context.Context, attempt string, e backout.Exec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offline {
		return h.unreachable()
	}
	if h.attempts[attempt] != nil {
		h.again++
		return nil
	}
	level := e.Env["BACKOUT_LEVEL"]
	s := h.scripts[level]
	a := &simAttempt{script: s, started: time.Now(), drops: s.Drops, ended: make(chan struct{})}
	h.attempts[attempt] = a
	h.effects = append(h.effects, Effect{Target: h.name, Level: level, Attempt: attempt, At: a.started})
	switch {
	case s.Hangs:
	case s.Takes == 0:
		h.finish(a, s.Exit)
	default:
		a.timer = time.AfterFunc(s.Takes, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if a.running() {
				h.finish(a, s.Exit)
			}
		})
	}
	return nil
}

// Attach implements [backout.Host].
func (h *Host) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	h.mu.Lock()
	a := h.attempts[attempt]
	if h.offline {
		defer h.mu.Unlock()
		return backout.AttemptReport{}, h.unreachable()
	}
	if a == nil {
		defer h.mu.Unlock()
		return backout.AttemptReport{State: backout.AttemptNotStarted}, nil
	}
	drop := a.drops > 0 && a.running()
	if drop {
		a.drops--
	}
	h.mu.Unlock()
	if text := "doing " + attempt + "\n"; offset < int64(len(text)) {
		if _, err := io.WriteString(out, text[offset:]); err != nil {
			return backout.AttemptReport{}, err
		}
	}
	if drop {
		return backout.AttemptReport{}, fmt.Errorf("connection to %s lost: %w", h.name, host.ErrUnreachable)
	}
	select {
	case <-ctx.Done():
		return backout.AttemptReport{}, ctx.Err()
	case <-a.ended:
	}
	return h.Probe(ctx, attempt)
}

// Probe implements [backout.Host].
func (h *Host) Probe(_ context.Context, attempt string) (backout.AttemptReport, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.attempts[attempt]
	switch {
	case h.offline:
		return backout.AttemptReport{}, h.unreachable()
	case a == nil:
		return backout.AttemptReport{State: backout.AttemptNotStarted}, nil
	case a.running():
		return backout.AttemptReport{State: backout.AttemptRunning}, nil
	case a.lost:
		return backout.AttemptReport{State: backout.AttemptUnknown, Detail: "rebooted"}, nil
	}
	return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: a.exit, FinishedAt: a.over}, nil
}

// Stop implements [backout.Host].
func (h *Host) Stop(_ context.Context, attempt string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offline {
		return h.unreachable()
	}
	switch a := h.attempts[attempt]; {
	case a == nil:
		// What is stopped before it began does not begin any more.
		a = &simAttempt{started: time.Now(), ended: make(chan struct{})}
		h.attempts[attempt] = a
		a.end(143)
	case a.running() && !a.script.Deaf:
		a.end(143)
	}
	return nil
}

// Forget implements [backout.Host]. Effects are remembered all the same.
func (h *Host) Forget(_ context.Context, attempt string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.attempts[attempt]; a != nil && !a.running() {
		delete(h.attempts, attempt)
	}
	return nil
}

// BootID implements [backout.Host].
func (h *Host) BootID(context.Context) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offline {
		return "", h.unreachable()
	}
	return fmt.Sprintf("%s-%d", h.name, h.boots), nil
}

// close ends what still runs, so that no timer outlives the story.
func (h *Host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.attempts {
		if a.running() {
			a.end(-1)
		}
	}
}
