// Package executorstest is the contract of executors as tests. Every executor
// runs it; see executors/command for an example.
package executorstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/host/local"
)

// Suite tells the tests how to see what an executor does. Sections are JSON, as
// they stand below "with:". A test whose functions are nil is left out.
type Suite struct {
	Kind executors.Kind
	// Host is where it runs; nil means this machine.
	Host backout.Host
	// Quick is a section whose step ends well by itself. Effects tells how often
	// its effect has happened.
	Quick   string
	Effects func() int
	// Slow is a section whose step writes SlowSays and runs until Release.
	Slow     string
	SlowSays string
	Release  func()
	// Hostile is a section that brings the fact BACKOUT_ALERT_NAME to the target
	// in any way it can; Got returns what arrived there.
	Hostile string
	Got     func() string
	// Bad are sections that must be refused, by a part of the reason.
	Bad map[string]string
}

// Run runs every test of the contract that the suite knows how to see.
func Run(t *testing.T, s Suite) {
	t.Helper()
	t.Run("unknown keys are refused", s.unknownKeys)
	t.Run("bad sections are refused", s.badSections)
	t.Run("a preflight changes nothing", s.preflight)
	t.Run("the same attempt twice is one effect", s.sameAttempt)
	t.Run("the end of the context leaves the work running", s.cancel)
	t.Run("hostile text is data", s.hostile)
}

// Local is this machine as a host that lives as long as the test.
func Local(t *testing.T) backout.Host {
	t.Helper()
	dir, err := os.MkdirTemp("", "backout-executor-")
	if err != nil {
		t.Fatal(err)
	}
	// An attempt's end is told a moment before all of its record is on disk.
	t.Cleanup(func() {
		for late := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(late); {
			runtime.Gosched()
		}
	})
	h, err := local.New(local.Options{Dir: filepath.Join(dir, "attempts")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (s Suite) host(t *testing.T) backout.Host {
	t.Helper()
	if s.Host != nil {
		return s.Host
	}
	return Local(t)
}

// Task is an attempt of this name on this machine, as the suite makes them.
func Task(kind executors.Kind, attempt string) backout.Task {
	return backout.Task{
		AttemptID: attempt, RollbackID: "CHG1-r1", ChangeID: "CHG1", Level: "L1", Step: backout.Step{Uses: kind.KindName()},
		Target: backout.Target{Name: "web1", Transport: "local"}, Facts: map[string]string{"BACKOUT_ALERT_NAME": "Down"},
	}
}

// Build makes the executor from a section.
func Build(t *testing.T, kind executors.Kind, section string) backout.Executor {
	t.Helper()
	decoded, err := decode(kind, section)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kind.Build(t.Context(), decoded, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decode(kind executors.Kind, section string) (json.RawMessage, error) {
	return kind.Decode(func(into any) error {
		d := json.NewDecoder(strings.NewReader(section))
		d.DisallowUnknownFields()
		return d.Decode(into)
	})
}

func (s Suite) unknownKeys(t *testing.T) {
	if _, err := decode(s.Kind, `{"backout_no_such_key": 1}`); err == nil {
		t.Error("an unknown key was taken")
	}
	if _, err := s.Kind.Build(t.Context(), json.RawMessage(`{"backout_no_such_key": 1}`), nil); !backout.IsPermanent(err) {
		t.Errorf("build with an unknown key: %v, want a permanent error", err)
	}
}

func (s Suite) badSections(t *testing.T) {
	for section, want := range s.Bad {
		if _, err := decode(s.Kind, section); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}

func (s Suite) preflight(t *testing.T) {
	p, ok := Build(t, s.Kind, s.Quick).(backout.Preflighter)
	if !ok {
		t.Skip("the executor has no preflight")
	}
	h := &watched{Host: s.host(t)}
	before := s.Effects()
	if v := p.Preflight(t.Context(), Task(s.Kind, "preflight"), h); len(v) != 0 {
		t.Errorf("preflight of what works says no: %+v", v)
	}
	if s.Effects() != before || h.starts != 0 {
		t.Errorf("preflight started %d attempts and had %d effects", h.starts, s.Effects()-before)
	}
}

// watched counts starts.
type watched struct {
	backout.Host
	mu     sync.Mutex
	starts int
}

// Start implements [backout.Host].
func (w *watched) Start(ctx context.Context, attempt string, e backout.Exec) error {
	w.mu.Lock()
	w.starts++
	w.mu.Unlock()
	return w.Host.Start(ctx, attempt, e)
}

func (s Suite) sameAttempt(t *testing.T) {
	h, before := s.host(t), s.Effects()
	var outputs [3]bytes.Buffer
	var wg sync.WaitGroup
	execute := func(i int) {
		if _, err := Build(t, s.Kind, s.Quick).Execute(t.Context(), Task(s.Kind, "same"), h, &outputs[i]); err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() { execute(0) })
	wg.Go(func() { execute(1) })
	wg.Wait()
	execute(2)
	if n := s.Effects() - before; n != 1 {
		t.Errorf("three calls of one attempt had %d effects", n)
	}
	if a, b := outputs[0].String(), outputs[2].String(); a != b {
		t.Errorf("output of the first call %q, of the last %q: it must come again from the beginning", a, b)
	}
}

func (s Suite) cancel(t *testing.T) {
	if s.Slow == "" {
		t.Skip("the executor has nothing slow")
	}
	h := s.host(t)
	e := Build(t, s.Kind, s.Slow)
	if err := h.Start(t.Context(), "warm", backout.Exec{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	before := goleak.IgnoreCurrent()
	said := &waits{text: s.SlowSays, seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { _, err := e.Execute(ctx, Task(s.Kind, "slow"), h, said); ended <- err }()
	select {
	case <-said.seen:
	case err := <-ended:
		t.Fatalf("ended early: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("its output is not streamed")
	}
	began := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("execute after the end of its context: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("execute took %v to return", took)
	}
	// What a host keeps ready for the next start is its own.
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/backout-io/backout/internal/host/local.(*armed).listen")); err != nil {
		t.Error(err)
	}
	if r, err := h.Probe(t.Context(), "slow"); err != nil || r.State != backout.AttemptRunning {
		t.Errorf("afterwards the work is %s (%v), want it running", r.State, err)
	}
	s.Release()
	if _, err := e.Execute(t.Context(), Task(s.Kind, "slow"), h, &bytes.Buffer{}); err != nil {
		t.Errorf("attach to the rest: %v", err)
	}
}

// waits closes seen when text was written.
type waits struct {
	text string
	seen chan struct{}
	once sync.Once
	got  bytes.Buffer
}

// Write implements [io.Writer].
func (w *waits) Write(p []byte) (int, error) {
	w.got.Write(p)
	if strings.Contains(w.got.String(), w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

func (s Suite) hostile(t *testing.T) {
	if s.Hostile == "" {
		t.Skip("the executor brings no facts to the target")
	}
	h := s.host(t)
	for i, text := range Hostile() {
		task := Task(s.Kind, fmt.Sprintf("hostile%d", i))
		task.Facts["BACKOUT_ALERT_NAME"] = text
		if _, err := Build(t, s.Kind, s.Hostile).Execute(t.Context(), task, h, &bytes.Buffer{}); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := s.Got(); got != text {
			t.Errorf("sent %q, arrived %q", text, got)
		}
	}
}

// Hostile returns texts that an alert's label may hold.
func Hostile() []string {
	return []string{
		"; rm -rf /", "$(touch /tmp/backout-pwned)", "`id`", "a'b", `"`, `\`, "'; exit 9; '", "a\nb\n", "--help", "-", "", " ", "${HOME}", "%s%n",
		"é ✓ \u202e", "\xff\xfe", "*", "~", "&&", "#", "}\n", strings.Repeat("x", 64<<10),
	}
}
