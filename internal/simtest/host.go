package simtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture/capturetest"
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
	// Reboots cuts the step by a reboot of its target, once Takes is over; or
	// RebootsAfter, that long after it has ended. The target is away for BootTakes
	// then.
	Reboots      bool
	RebootsAfter time.Duration
	BootTakes    time.Duration
	// Forgets lets the reboot bring back a disk from before the step: the target
	// has never heard of it.
	Forgets bool
}

// Effect is one start of a step that really happened on a target.
type Effect struct {
	Target, Level, Attempt string
	At                     time.Time
	// Asked is when the server asked for it; on a slow way it begins later.
	Asked time.Time
}

// Host is one simulated target. Its methods may be called from several goroutines.
type Host struct {
	name string

	mu       sync.Mutex
	scripts  map[string]Script
	attempts map[string]*simAttempt
	effects  []Effect
	healthy  bool
	offline  bool
	missing  bool
	// looks changes its inventory; unread is why that cannot be taken.
	looks    func(*backout.Inventory)
	unread   string
	captures int
	boots    int
	// booting is set while the target is away because it boots.
	booting *time.Timer
	// asked are the lives of servers that have probed, by attempt.
	asked map[string]map[*Server]bool
	// broken are the promises to a target that the servers broke.
	broken []string
	// overlaps are attempts that began while another ran.
	overlaps []overlap
	// turns are when the target became unhealthy, healthy again, and so on; it
	// begins healthy.
	turns []time.Time
	story *story
}

type overlap struct{ began, ran string }

type simAttempt struct {
	script  Script
	started time.Time
	boot    int
	exit    int
	drops   int
	ended   chan struct{}
	timer   *time.Timer
	reboot  *time.Timer
	over    time.Time
	lost    bool
	// by is the life of a server that began it.
	by *Server
}

func newHost(name string) *Host {
	return &Host{name: name, scripts: map[string]Script{}, attempts: map[string]*simAttempt{}, asked: map[string]map[*Server]bool{}, healthy: true}
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
	h.turn(healthy)
}

// turn makes the target healthy or not. The caller holds h.mu.
func (h *Host) turn(healthy bool) {
	if h.healthy != healthy {
		h.healthy = healthy
		h.turns = append(h.turns, time.Now())
		h.story.note("target", "%s healthy: %t", h.name, healthy)
	}
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

// Reboot makes the target forget how its running attempts end. It is back at once.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reboot(0)
}

// RebootFor is a reboot that takes a while, during which the target is away.
func (h *Host) RebootFor(takes time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reboot(takes)
}

func (h *Host) reboot(takes time.Duration) {
	h.boots++
	if h.booting != nil {
		h.booting.Stop()
		h.booting = nil
	}
	if takes > 0 {
		h.booting = time.AfterFunc(takes, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.booting = nil
		})
	}
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

// promises are those to this target that were broken, and what ran at once.
func (h *Host) promises() (broken []string, overlaps []overlap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.broken), slices.Clone(h.overlaps)
}

// healthyIn tells whether the target was healthy at any moment between the two.
func (h *Host) healthyIn(from, to time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	healthy := true
	for _, turn := range h.turns {
		if turn.After(from) {
			if healthy || turn.After(to) {
				return healthy
			}
			return true
		}
		healthy = !healthy
	}
	return healthy
}

// sickIn is the longest time without a break that the target was not healthy
// between the two.
func (h *Host) sickIn(from, to time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var longest time.Duration
	for i := 0; i < len(h.turns); i += 2 {
		begin, end := h.turns[i], to
		if i+1 < len(h.turns) && h.turns[i+1].Before(to) {
			end = h.turns[i+1]
		}
		if begin.Before(from) {
			begin = from
		}
		longest = max(longest, end.Sub(begin))
	}
	return longest
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

// away tells that the target cannot be reached. The caller holds h.mu.
func (h *Host) away() bool { return h.offline || h.booting != nil }

// booted is how often the target has rebooted.
func (h *Host) booted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.boots
}

// probedBy notes which life of a server has asked about an attempt.
func (h *Host) probedBy(s *Server, attempt string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away() {
		return
	}
	if h.asked[attempt] == nil {
		h.asked[attempt] = map[*Server]bool{}
	}
	h.asked[attempt][s] = true
}

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
		h.turn(true)
	}
}

// Run implements [backout.Host]: it is asked whether a program is there, and what
// the target looks like.
func (h *Host) Run(_ context.Context, e backout.Exec) (backout.ExecResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.away():
		return backout.ExecResult{}, h.unreachable()
	case capturetest.IsCapture(e):
		h.captures++
		if h.unread != "" {
			return backout.ExecResult{Stderr: []byte(h.unread), ExitCode: 1}, nil
		}
		return backout.ExecResult{Stdout: capturetest.Answer(h.inventory())}, nil
	case h.missing:
		return backout.ExecResult{ExitCode: 1}, nil
	}
	return backout.ExecResult{}, nil
}

// inventory is what a capture of the target finds. The caller holds h.mu.
func (h *Host) inventory() backout.Inventory {
	i := backout.Inventory{Schema: 1, Machine: backout.Machine{
		Hostname: h.name, OS: "sim", Arch: "x86_64", Kernel: "6.1.0", BootID: h.bootID(h.boots), Init: "other",
	}, Packages: backout.PackageState{Manager: "none"}}
	if h.looks != nil {
		h.looks(&i)
	}
	return i
}

// Looks changes what captures of the target find from now on.
func (h *Host) Looks(edit func(*backout.Inventory)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks = edit
}

// SetUnread makes captures of the target fail with these words; none lets them work.
func (h *Host) SetUnread(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = why
}

// Captures counts how often an inventory of the target was taken.
func (h *Host) Captures() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.captures
}

func (h *Host) unreachable() error { return fmt.Errorf("dial %s: %w", h.name, host.ErrNoConnection) }

// Start implements [backout.Host].
func (h *Host) Start(ctx context.Context, attempt string, e backout.Exec) error {
	return h.start(ctx, nil, time.Now(), attempt, e)
}

// start is Start by one life of a server. An attempt that another life has begun
// is asked about first, never simply started again.
func (h *Host) start(ctx context.Context, by *Server, asked time.Time, attempt string, e backout.Exec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away() {
		return h.unreachable()
	}
	a := h.attempts[attempt]
	switch {
	case a == nil:
		h.begin(attempt, e.Env["BACKOUT_LEVEL"], asked).by = by
	case by != nil && a.by != nil && a.by != by && !h.asked[attempt][by] && asked.After(a.started):
		h.broken = append(h.broken, fmt.Sprintf("law 2: %s starts %s again and has not asked what became of it", by.name, attempt))
	}
	return nil
}

// begin is the effect. The caller holds h.mu.
func (h *Host) begin(attempt, level string, asked time.Time) *simAttempt {
	s := h.scripts[level]
	a := &simAttempt{script: s, started: time.Now(), boot: h.boots, drops: s.Drops, ended: make(chan struct{})}
	h.scriptReboot(attempt, a)
	for id, other := range h.attempts {
		if other.running() {
			h.overlaps = append(h.overlaps, overlap{attempt, id})
		}
	}
	h.attempts[attempt] = a
	h.effects = append(h.effects, Effect{Target: h.name, Level: level, Attempt: attempt, At: a.started, Asked: asked})
	h.story.note("EFFECT", "%s on %s: %+v", attempt, h.name, s)
	switch {
	case s.Hangs, s.Reboots && s.RebootsAfter == 0:
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
	return a
}

// scriptReboot lets the attempt's script reboot the target. The caller holds h.mu.
func (h *Host) scriptReboot(attempt string, a *simAttempt) {
	s := a.script
	if !s.Reboots || s.Hangs {
		return
	}
	a.reboot = time.AfterFunc(s.Takes+s.RebootsAfter, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case a.boot != h.boots, !a.running() && a.exit != 0:
			return // it has rebooted, or was stopped before it came to that
		case a.running():
			h.turn(h.healthy || s.Heals)
		}
		h.reboot(s.BootTakes)
		if s.Forgets {
			delete(h.attempts, attempt)
		}
	})
}

// Attach implements [backout.Host].
func (h *Host) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	h.mu.Lock()
	a := h.attempts[attempt]
	if h.away() {
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
	report := backout.AttemptReport{State: backout.AttemptNotStarted, Boot: h.bootID(h.boots)}
	if h.away() {
		return backout.AttemptReport{}, h.unreachable()
	}
	if a == nil {
		return report, nil
	}
	report.ClaimBoot = h.bootID(a.boot)
	switch {
	case a.running():
		report.State = backout.AttemptRunning
	case a.lost:
		report.State, report.Detail = backout.AttemptUnknown, "rebooted"
	default:
		report.State, report.ExitCode, report.FinishedAt = backout.AttemptFinished, a.exit, a.over
	}
	return report, nil
}

func (h *Host) bootID(boots int) string { return fmt.Sprintf("%s-%d", h.name, boots) }

// Stop implements [backout.Host].
func (h *Host) Stop(_ context.Context, attempt string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away() {
		return h.unreachable()
	}
	switch a := h.attempts[attempt]; {
	case a == nil:
		// What is stopped before it began does not begin any more.
		a = &simAttempt{started: time.Now(), boot: h.boots, ended: make(chan struct{})}
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
	if h.away() {
		return "", h.unreachable()
	}
	return h.bootID(h.boots), nil
}

// close ends what still runs, so that no timer outlives the story.
func (h *Host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.booting != nil {
		h.booting.Stop()
	}
	for _, a := range h.attempts {
		if a.running() {
			a.end(-1)
		}
		if a.reboot != nil {
			a.reboot.Stop()
		}
	}
}

// Keeps counts the attempts that the target still knows of.
func (h *Host) Keeps() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.attempts)
}
