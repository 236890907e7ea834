package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/host/ssh"
	"github.com/backout-io/backout/internal/runner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hosts is one host for every target.
type hosts struct{ backout.Host }

func (h hosts) For(backout.Target) (backout.Host, error) { return h.Host, nil }

func here(t *testing.T) backout.Host {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "attempts")
	h, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		// A supervisor may be writing its result yet.
		for deadline := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	})
	return h
}

func newRunner(t *testing.T, h backout.Host, secrets ...backout.Secret) *runner.Runner {
	t.Helper()
	registry, err := executors.NewRegistry(all.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	return runner.New(runner.Options{Executors: registry, Hosts: hosts{h}, Secrets: secrets})
}

func job(t *testing.T, script string, args ...string) runner.Job {
	t.Helper()
	with, err := json.Marshal(map[string]any{"argv": append([]string{"sh", "-c", script}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	return runner.Job{Task: backout.Task{
		AttemptID: "CHG1-r1.L1.s1.t1.a1", RollbackID: "CHG1-r1", ChangeID: "CHG1", Level: "L1",
		Step: backout.Step{Uses: "command", With: with}, Target: backout.Target{Name: "web1", Transport: "local"},
	}}
}

func want(t *testing.T, r runner.Result, flags string, reason string) {
	t.Helper()
	got := fmt.Sprintf("unclaimed=%v doubt=%v interrupted=%v", r.Unclaimed, r.InDoubt, r.Interrupted)
	full := fmt.Sprintf("unclaimed=%v doubt=%v interrupted=%v", flags == "unclaimed", flags == "doubt", flags == "interrupted")
	if got != full {
		t.Errorf("result %s, want %s (%v)", got, full, r.Err)
	}
	switch {
	case reason == "" && r.Err != nil:
		t.Errorf("failed: %v", r.Err)
	case reason != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), reason)):
		t.Errorf("error %v, want %q", r.Err, reason)
	}
}

func lines(path string) int {
	data, _ := os.ReadFile(path)
	return strings.Count(string(data), "\n")
}

func TestRunTellsTheOutcome(t *testing.T) {
	h := here(t)
	r := newRunner(t, h)
	j := job(t, "echo well")
	var live bytes.Buffer
	claims := 0
	j.Live, j.Claim = &live, func(context.Context, runner.Claimed) (time.Time, error) { claims++; return time.Time{}, nil }
	got := r.Run(t.Context(), j)
	want(t, got, "", "")
	if string(got.Output) != "well\n" || live.String() != "well\n" || claims != 1 {
		t.Errorf("output %q, live %q, %d claims", got.Output, live.String(), claims)
	}
	j = job(t, "echo badly; exit 3")
	j.Task.AttemptID += "x"
	got = r.Run(t.Context(), j)
	want(t, got, "", "exit code 3")
	if got.Outcome.ExitCode != 3 || string(got.Output) != "badly\n" {
		t.Errorf("%+v %q", got.Outcome, got.Output)
	}
}

func TestNothingIsDoneWithoutTheClaim(t *testing.T) {
	h := here(t)
	file := filepath.Join(t.TempDir(), "effects")
	j := job(t, `echo x >>"$0"`, file)
	j.Claim = func(ctx context.Context, _ runner.Claimed) (time.Time, error) {
		if r, err := h.Probe(ctx, j.Task.AttemptID); err != nil || r.State != backout.AttemptNotStarted {
			t.Errorf("at the claim: %+v %v", r, err)
		}
		return time.Time{}, backout.ErrConflict
	}
	got := newRunner(t, h).Run(t.Context(), j)
	want(t, got, "unclaimed", "conflict")
	if !errors.Is(got.Err, backout.ErrConflict) || lines(file) != 0 {
		t.Errorf("%v, %d effects", got.Err, lines(file))
	}
	if r, err := h.Probe(t.Context(), j.Task.AttemptID); err != nil || r.State != backout.AttemptNotStarted {
		t.Errorf("%+v %v", r, err)
	}
}

func TestUnknownExecutorFails(t *testing.T) {
	j := job(t, "true")
	j.Task.Step.Uses = "nonsense"
	want(t, newRunner(t, here(t)).Run(t.Context(), j), "", "not known")
}

func TestOneRunnerCarriesAnAttemptOnce(t *testing.T) {
	h := here(t)
	r := newRunner(t, h)
	file := filepath.Join(t.TempDir(), "effects")
	var wg sync.WaitGroup
	var refused atomic.Int32
	for range 4 {
		wg.Go(func() {
			if got := r.Run(t.Context(), job(t, `echo x >>"$0"; sleep 0.2`, file)); errors.Is(got.Err, backout.ErrExists) {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	r.Wait()
	if lines(file) != 1 || len(r.Running()) != 0 {
		t.Errorf("%d effects, %d refused, %v running", lines(file), refused.Load(), r.Running())
	}
}

func TestDeadlineStopsTheAttempt(t *testing.T) {
	j := job(t, `trap 'echo stopped; exit 1' TERM; echo up; while :; do sleep 0.05; done`)
	j.Task.Deadline, j.Task.Step.Timeout = time.Now().Add(300*time.Millisecond), backout.Duration(300*time.Millisecond)
	got := newRunner(t, here(t)).Run(t.Context(), j)
	want(t, got, "", "timed out after 300ms")
	if text := string(got.Output); !strings.HasPrefix(text, "up\n") || !strings.HasSuffix(text, "stopped\n") {
		t.Errorf("output %q", got.Output)
	}
}

// unbegun tells whether the target knows nothing of the attempt, or only that it
// was stopped.
func unbegun(r backout.AttemptReport) bool {
	return r.State == backout.AttemptNotStarted || r.State == backout.AttemptFinished && r.ExitCode == attempt.StoppedUnstarted
}

func TestPastDeadlineStartsNothing(t *testing.T) {
	h := here(t)
	j := job(t, "true")
	j.Task.Deadline = time.Now().Add(-time.Hour)
	for _, carry := range []func(context.Context, runner.Job) runner.Result{newRunner(t, h).Run, newRunner(t, h).Resume} {
		want(t, carry(t.Context(), j), "", "timed out at")
		if r, err := h.Probe(t.Context(), j.Task.AttemptID); err != nil || !unbegun(r) {
			t.Errorf("%+v %v", r, err)
		}
	}
}

func TestStopEndsTheAttempt(t *testing.T) {
	r := newRunner(t, here(t))
	j := job(t, `echo up; sleep 600`)
	j.Live = writer(func([]byte) {
		if err := r.Stop(j.Task.AttemptID, "level overdue"); err != nil {
			t.Error(err)
		}
	})
	want(t, r.Run(t.Context(), j), "", "level overdue")
	if err := r.Stop("other", "x"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("stop of another: %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestInterruptedWorkGoesOnAndIsResumed(t *testing.T) {
	h := here(t)
	dir := t.TempDir()
	gate, file := filepath.Join(dir, "gate"), filepath.Join(dir, "effects")
	j := job(t, `echo x >>"$0"; echo first; until [ -e "$1" ]; do sleep 0.02; done; echo last`, file, gate)
	ctx, cancel := context.WithCancel(t.Context())
	j.Live = writer(func([]byte) { cancel() })
	want(t, newRunner(t, h).Run(ctx, j), "interrupted", "canceled")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j.Live = nil
	for range 2 {
		got := newRunner(t, h).Resume(t.Context(), j)
		want(t, got, "", "")
		if string(got.Output) != "first\nlast\n" || lines(file) != 1 {
			t.Errorf("output %q, %d effects", got.Output, lines(file))
		}
	}
}

func TestResumeOfWhatNeverStartedStartsIt(t *testing.T) {
	want(t, newRunner(t, here(t)).Resume(t.Context(), job(t, "true")), "", "")
}

// broken is a host that fails as it is told.
type broken struct {
	backout.Host
	start, probe, attach func(n int) error
	starts, probes, atts atomic.Int32
	from                 atomic.Int64 // the offset of the last attach
}

func (b *broken) Start(ctx context.Context, id string, e backout.Exec) error {
	n := int(b.starts.Add(1))
	if b.start != nil {
		if err := b.start(n); err != nil {
			return err
		}
	}
	return b.Host.Start(ctx, id, e)
}

func (b *broken) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	n := int(b.probes.Add(1))
	if b.probe != nil {
		if err := b.probe(n); err != nil {
			return backout.AttemptReport{}, err
		}
	}
	return b.Host.Probe(ctx, id)
}

func (b *broken) Attach(ctx context.Context, id string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	n := int(b.atts.Add(1))
	b.from.Store(offset)
	if b.attach != nil {
		if err := b.attach(n); err != nil {
			// What arrived before the connection was lost.
			const arrived = "one\ntw"
			_, _ = io.WriteString(out, arrived[min(offset, int64(len(arrived))):])
			return backout.AttemptReport{}, err
		}
	}
	return b.Host.Attach(ctx, id, offset, out)
}

func until(k int, err error) func(int) error {
	return func(n int) error {
		if n <= k {
			return err
		}
		return nil
	}
}

func TestLostConnectionsAreFollowedOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "effects")
	lost := fmt.Errorf("attach: %w", host.ErrUnreachable)
	h := &broken{Host: here(t), start: until(2, fmt.Errorf("dial: %w", host.ErrNoConnection)), attach: until(2, lost)}
	got := newRunner(t, h).Run(t.Context(), job(t, `echo x >>"$0"; echo one; echo two; echo three`, file))
	want(t, got, "", "")
	if string(got.Output) != "one\ntwo\nthree\n" || lines(file) != 1 {
		t.Errorf("output %q, %d effects", got.Output, lines(file))
	}
	if from := h.from.Load(); from != int64(len("one\ntw")) {
		t.Errorf("attached again from %d, want where it stopped", from)
	}
}

func TestTargetThatRefusesFromTheBeginning(t *testing.T) {
	no := backout.Permanent(errors.New("host key unknown"))
	h := &broken{Host: here(t), start: until(99, no), probe: until(99, no)}
	want(t, newRunner(t, h).Run(t.Context(), job(t, "true")), "", "host key unknown")
	if h.probes.Load() != 0 {
		t.Errorf("%d probes of a target that had got nothing", h.probes.Load())
	}
	want(t, newRunner(t, h).Resume(t.Context(), job(t, "true")), "doubt", "host key unknown")
}

func TestErrorWhileTheWorkRunsIsFollowedOver(t *testing.T) {
	h := &broken{Host: here(t), attach: until(2, errors.New("strange"))}
	got := newRunner(t, h).Run(t.Context(), job(t, `echo one; echo two; sleep 0.6; echo three`))
	// The second strange error may come when the work has ended; then it counts.
	if got.Err != nil && !strings.Contains(got.Err.Error(), "strange") || got.InDoubt || got.Interrupted {
		t.Errorf("%+v", got)
	}
}

func TestStopWithoutConnectionStartsNothing(t *testing.T) {
	var r *runner.Runner
	j := job(t, "true")
	inner := here(t)
	h := &broken{Host: inner}
	h.start = func(n int) error {
		if n == 2 {
			if err := r.Stop(j.Task.AttemptID, "aborted"); err != nil {
				t.Error(err)
			}
		}
		return host.ErrNoConnection
	}
	r = newRunner(t, h)
	want(t, r.Run(t.Context(), j), "", "aborted")
	if rep, err := inner.Probe(t.Context(), j.Task.AttemptID); err != nil || !unbegun(rep) {
		t.Errorf("%+v %v", rep, err)
	}
}

// A start that was held up on its way must not run what was stopped meanwhile.
func TestStopOvertakesAStartOnItsWay(t *testing.T) {
	var r *runner.Runner
	file := filepath.Join(t.TempDir(), "effects")
	j := job(t, `echo x >>"$0"`, file)
	h := &overtaken{Host: here(t)}
	h.lost = func() {
		if err := r.Stop(j.Task.AttemptID, "aborted"); err != nil {
			t.Error(err)
		}
	}
	r = newRunner(t, h)
	want(t, r.Run(t.Context(), j), "", "aborted")
	if err := h.Host.Start(t.Context(), j.Task.AttemptID, h.held); err != nil {
		t.Error(err)
	}
	if rep, err := h.Attach(t.Context(), j.Task.AttemptID, 0, io.Discard); err != nil || rep.State != backout.AttemptFinished || lines(file) != 0 {
		t.Errorf("%+v, %v, %d effects", rep, err, lines(file))
	}
}

// overtaken loses the connection at the start, which is held up. It cannot be
// asked before it was stopped.
type overtaken struct {
	backout.Host
	lost    func()
	held    backout.Exec
	stopped atomic.Bool
}

func (o *overtaken) Start(_ context.Context, _ string, e backout.Exec) error {
	o.held = e
	o.lost()
	return fmt.Errorf("start: %w", host.ErrUnreachable)
}

func (o *overtaken) Stop(ctx context.Context, id string) error {
	defer o.stopped.Store(true)
	return o.Host.Stop(ctx, id)
}

func (o *overtaken) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	if !o.stopped.Load() {
		return backout.AttemptReport{}, fmt.Errorf("probe: %w", host.ErrUnreachable)
	}
	return o.Host.Probe(ctx, id)
}

// A target that cannot be reached must not hold up the next level: what was told
// not to begin any more fails, and has not begun.
func TestGiveUpFreesAnAttemptThatNeverReachedItsTarget(t *testing.T) {
	var r *runner.Runner
	j := job(t, "true")
	inner := here(t)
	h := &broken{Host: inner}
	h.start = func(n int) error {
		if n == 2 {
			if err := r.GiveUp(j.Task.AttemptID, "the level's time is up"); err != nil {
				t.Error(err)
			}
		}
		return fmt.Errorf("dial: %w", host.ErrNoConnection)
	}
	r = newRunner(t, h)
	want(t, r.Run(t.Context(), j), "", "never started")
	if rep, err := inner.Probe(t.Context(), j.Task.AttemptID); err != nil || rep.State != backout.AttemptNotStarted {
		t.Errorf("%+v %v", rep, err)
	}
}

// What has begun is waited for: giving it up does not stop it.
func TestGiveUpLetsRunningWorkEnd(t *testing.T) {
	var r *runner.Runner
	file := filepath.Join(t.TempDir(), "effects")
	j := job(t, `echo x >>"$0"; sleep 0.3; echo done`, file)
	h := &broken{Host: here(t)}
	h.attach = func(n int) error {
		if n == 1 {
			return r.GiveUp(j.Task.AttemptID, "the level's time is up")
		}
		return nil
	}
	r = newRunner(t, h)
	want(t, r.Run(t.Context(), j), "", "")
	if lines(file) != 1 {
		t.Errorf("%d effects", lines(file))
	}
}

func TestUnknownEndIsInDoubt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "attempts")
	h, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	j := job(t, "true")
	if err := os.MkdirAll(filepath.Join(dir, j.Task.AttemptID), 0o700); err != nil {
		t.Fatal(err)
	}
	claim := "11111111-2222-3333-4444-555555555555 1 1\n"
	if err := os.WriteFile(filepath.Join(dir, j.Task.AttemptID, "claim"), []byte(claim), 0o600); err != nil {
		t.Fatal(err)
	}
	got := newRunner(t, h).Resume(t.Context(), j)
	want(t, got, "doubt", "rebooted")
	if !errors.Is(got.Err, backout.ErrInDoubt) {
		t.Error(got.Err)
	}
	want(t, newRunner(t, h).Run(t.Context(), j), "doubt", "rebooted")
}

func TestCutConnectionOverRealSSH(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	n, err := ssh.New(ssh.Options{User: s.User, Key: s.KeySecret, KnownHosts: s.KnownHosts, Dir: s.Attempts})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	h, err := n.Host(s.Targets[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	gate, effects := s.Attempts+"/gate", s.Attempts+"/effects"
	j := job(t, `echo x >>"$0"; echo first; until [ -e "$1" ]; do sleep 0.05; done; echo last; exit 6`, effects, gate)
	var once sync.Once
	j.Live = writer(func([]byte) {
		once.Do(func() {
			go func() {
				s.Cut(t)
				_ = os.WriteFile(gate, nil, 0o644)
			}()
		})
	})
	got := newRunner(t, h).Run(t.Context(), j)
	want(t, got, "", "exit code 6")
	if string(got.Output) != "first\nlast\n" || lines(effects) != 1 {
		t.Errorf("output %q, %d effects", got.Output, lines(effects))
	}
}

func TestOutputHidesSecretsAndIsCapped(t *testing.T) {
	registry, err := executors.NewRegistry(all.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	r := runner.New(runner.Options{
		Executors: registry, Hosts: hosts{here(t)}, MaxOutput: 1000,
		Secrets: []backout.Secret{backout.SecretValue("correct horse")},
	})
	var live bytes.Buffer
	j := job(t, `echo "it is correct horse"; echo password=hunter2; i=0; while [ $i -lt 500 ]; do echo "line $i"; i=$((i+1)); done; echo last`)
	j.Live = &live
	got := r.Run(t.Context(), j)
	want(t, got, "", "")
	text := string(got.Output)
	if strings.Contains(text+live.String(), "horse") || strings.Contains(text+live.String(), "hunter2") {
		t.Errorf("secrets in the output: %s", text)
	}
	if len(text) > 1100 || !strings.HasPrefix(text, "it is [redacted]\npassword=[redacted]\nline 0\n") || !strings.HasSuffix(text, "line 499\nlast\n") || !strings.Contains(text, "bytes left out]") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	if !strings.Contains(live.String(), "line 250\n") {
		t.Error("live output is cut too")
	}
}
