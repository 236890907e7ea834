package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/runner"
)

// machine is a target that reboots as its step says.
type machine struct {
	// runs is how long the command runs, down how long a reboot takes; exit is its
	// code, or -1 when the reboot cuts it.
	runs, down time.Duration
	exit       int
	// stays leaves the machine up, reverts brings back a disk without the attempt,
	// dead keeps it down for good.
	stays, reverts, dead bool
	// mute makes it tell no boot id when it is claimed.
	mute bool
	// forgetful keeps it from telling under which boot id an attempt began.
	forgetful bool
	// slow is how long it says "starting" after it is back, lag how long it stays up
	// after its command has ended.
	slow, lag time.Duration

	mu        sync.Mutex
	starts    int
	boot      int
	claimBoot int
	seen      bool
	began     time.Time
	finished  bool
	backAt    time.Time
	stopped   bool
}

// settleLocked moves the machine to where it stands at this moment.
func (m *machine) settleLocked() (up bool) {
	if !m.seen && m.backAt.IsZero() {
		return true
	}
	now := time.Now()
	ends := m.began.Add(m.runs)
	if m.seen && m.backAt.IsZero() && !now.Before(ends) {
		m.finished = m.exit >= 0
		if !m.stays && m.exit <= 0 && !now.Before(ends.Add(m.lag)) {
			m.backAt = ends.Add(m.lag + m.down)
		}
	}
	switch {
	case m.backAt.IsZero():
		return true
	case m.dead || now.Before(m.backAt):
		return false
	case m.boot == m.claimBoot:
		m.boot++
		if m.reverts {
			m.seen, m.finished = false, false
		}
	}
	return true
}

func (m *machine) away() error { return fmt.Errorf("dial: %w", host.ErrNoConnection) }

func (m *machine) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settleLocked() {
		return backout.ExecResult{}, m.away()
	}
	if time.Now().Before(m.backAt.Add(m.slow)) {
		return backout.ExecResult{Stdout: []byte("starting\n"), ExitCode: 1}, nil
	}
	return backout.ExecResult{Stdout: []byte("degraded\n"), ExitCode: 1}, nil
}

func (m *machine) Start(context.Context, string, backout.Exec) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settleLocked() {
		return m.away()
	}
	if !m.seen {
		m.starts++
		m.seen, m.began, m.claimBoot, m.backAt, m.finished = true, time.Now(), m.boot, time.Time{}, false
	}
	return nil
}

func (m *machine) Attach(ctx context.Context, id string, _ int64, _ io.Writer) (backout.AttemptReport, error) {
	m.mu.Lock()
	up, rest := m.settleLocked(), time.Until(m.began.Add(m.runs))
	m.mu.Unlock()
	if !up {
		return backout.AttemptReport{}, m.away()
	}
	select {
	case <-ctx.Done():
		return backout.AttemptReport{}, ctx.Err()
	case <-time.After(rest):
	}
	return m.Probe(ctx, id)
}

func (m *machine) Probe(context.Context, string) (backout.AttemptReport, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settleLocked() {
		return backout.AttemptReport{}, m.away()
	}
	r := backout.AttemptReport{State: backout.AttemptNotStarted, Boot: fmt.Sprint(m.boot)}
	if !m.seen {
		return r, nil
	}
	if !m.forgetful {
		r.ClaimBoot = fmt.Sprint(m.claimBoot)
	}
	switch {
	case m.finished:
		r.State, r.ExitCode = backout.AttemptFinished, m.exit
	case m.boot != m.claimBoot:
		r.State, r.Detail = backout.AttemptUnknown, "rebooted"
	default:
		r.State = backout.AttemptRunning
	}
	return r, nil
}

func (m *machine) Stop(context.Context, string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settleLocked() {
		return m.away()
	}
	m.stopped = true
	return nil
}

func (m *machine) Forget(context.Context, string) error { return nil }

func (m *machine) BootID(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settleLocked() || m.mute && !m.seen {
		return "", m.away()
	}
	return fmt.Sprint(m.boot), nil
}

func rebootJob(t *testing.T) runner.Job {
	j := job(t, "reboot")
	j.Task.Step.Reboots = true
	j.Task.Step.Timeout = backout.Duration(10 * time.Minute)
	j.Claim = func(context.Context, runner.Claimed) (time.Time, error) { return time.Now().Add(10 * time.Minute), nil }
	return j
}

func TestStepThatReboots(t *testing.T) {
	for name, c := range map[string]struct {
		m       *machine
		flags   string
		reason  string
		atLeast time.Duration
	}{
		"its command ends, then the target goes": {m: &machine{runs: time.Second, down: time.Minute}, atLeast: time.Minute},
		"the reboot cuts its command":            {m: &machine{runs: time.Minute, down: 3 * time.Minute, exit: -1}, atLeast: 4 * time.Minute},
		"it waits until the target has come up": {
			m: &machine{runs: time.Second, down: time.Minute, slow: 2 * time.Minute}, atLeast: 3 * time.Minute,
		},
		"the disk comes back without the attempt":          {m: &machine{runs: time.Minute, down: time.Minute, exit: -1, reverts: true}, atLeast: 2 * time.Minute},
		"the disk comes back, after exit 0":                {m: &machine{runs: time.Minute, down: time.Minute, reverts: true}, atLeast: 2 * time.Minute},
		"its command fails":                                {m: &machine{runs: time.Second, exit: 5, stays: true}, reason: "exit code 5"},
		"it never reboots":                                 {m: &machine{runs: time.Second, stays: true}, reason: "timed out after 10m", atLeast: 9 * time.Minute},
		"it goes for good, and nobody saw its command end": {m: &machine{dead: true}, flags: "doubt", reason: "cannot be asked"},
		"its command ended, and it does not come back":     {m: &machine{lag: time.Second, dead: true}, reason: "timed out after 10m"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, began := c.m, time.Now()
				want(t, newRunner(t, m).Run(t.Context(), rebootJob(t)), c.flags, c.reason)
				if took := time.Since(began); took < c.atLeast {
					t.Errorf("over after %v, want at least %v", took, c.atLeast)
				}
				if m.starts != 1 {
					t.Errorf("started %d times", m.starts)
				}
			})
		})
	}
}

// A target whose disk was put back has never heard of the attempt. What a runner
// before had begun there must not begin again.
func TestResumeAfterARebootNeverStartsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		boot    string
		reboots bool
		flags   string
		starts  int
	}{
		"same boot: the start was lost":                      {boot: "1", starts: 1},
		"another boot":                                       {boot: "0", flags: "doubt"},
		"boot unknown, a step that does not reboot":          {boot: "", starts: 1},
		"boot unknown, a step that may have put back a disk": {boot: "", reboots: true, flags: "doubt"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &machine{boot: 1, stays: true}
				j := job(t, "undo")
				j.Boot, j.Task.Step.Reboots = c.boot, c.reboots
				reason := ""
				if c.flags != "" {
					reason = "record is not there"
				}
				want(t, newRunner(t, m).Resume(t.Context(), j), c.flags, reason)
				if m.starts != c.starts {
					t.Errorf("started %d times, want %d", m.starts, c.starts)
				}
			})
		})
	}
}

// The claim knew no boot id, and the disk came back without the attempt: that the
// target has taken it once is all that keeps it from running twice.
func TestWhatATargetHasTakenIsNeverSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{mute: true, runs: time.Minute, down: time.Minute, exit: -1, reverts: true}
		j := rebootJob(t)
		j.Task.Step.Reboots = false
		want(t, newRunner(t, m).Run(t.Context(), j), "doubt", "record is gone")
		if m.starts != 1 {
			t.Errorf("started %d times", m.starts)
		}
	})
}

func TestResumeOfAStepThatRebootedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{boot: 1, claimBoot: 0, seen: true, exit: -1, backAt: time.Now(), began: time.Now()}
		j := rebootJob(t)
		j.Boot, j.Claim = "0", nil
		want(t, newRunner(t, m).Resume(t.Context(), j), "", "")
		j.Task.Step.Reboots = false
		want(t, newRunner(t, m).Resume(t.Context(), j), "doubt", "rebooted")
		if m.starts != 0 {
			t.Errorf("started %d times", m.starts)
		}
	})
}

func TestBeginIsAskedBeforeEveryStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{stays: true}
		asked := 0
		j := job(t, "undo")
		j.Begin = func(context.Context) error {
			if asked++; asked < 4 {
				return errors.New("paused")
			}
			return nil
		}
		want(t, newRunner(t, m).Run(t.Context(), j), "", "")
		if asked != 4 || m.starts != 1 {
			t.Errorf("asked %d times, started %d times", asked, m.starts)
		}
	})
}

func TestStopWhileItMayNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{stays: true}
		r := newRunner(t, m)
		j := job(t, "undo")
		asked := make(chan struct{}, 100)
		j.Begin = func(context.Context) error { asked <- struct{}{}; return errors.New("paused") }
		go func() {
			<-asked
			_ = r.GiveUp(j.Task.AttemptID, "the level's time is up")
		}()
		want(t, r.Run(t.Context(), j), "", "time is up")
		if m.starts != 0 {
			t.Errorf("started %d times", m.starts)
		}
	})
}

func TestClaimTellsTheBootID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{boot: 7, stays: true}
		j := job(t, "undo")
		var told runner.Claimed
		j.Claim = func(_ context.Context, c runner.Claimed) (time.Time, error) { told = c; return time.Time{}, nil }
		want(t, newRunner(t, m).Run(t.Context(), j), "", "")
		if told != (runner.Claimed{Boot: "7"}) {
			t.Errorf("claimed %+v", told)
		}
		if strings.Contains(told.Boot, "\n") {
			t.Error("boot id with a line end")
		}
	})
}

// TestRebootedAndBroken: a new boot id is not all that a step can ask for, and what its
// executor cannot tell does not undo it.
func TestRebootedAndBroken(t *testing.T) {
	for state, bad := range map[backout.ProbeState]bool{
		backout.ProbeBroken: true, backout.ProbeDone: false, backout.ProbeUnknown: false, backout.ProbeInProgress: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			j := telljob("telling")
			j.Task.Step.Reboots = true
			m := &machine{runs: time.Second, down: time.Minute}
			r := of(t, &telling{says: []backout.Probed{{State: state, Detail: "a unit has failed"}}}, m).Run(t.Context(), j)
			if failed := r.Err != nil && strings.Contains(r.Err.Error(), "a unit has failed"); failed != bad || r.InDoubt {
				t.Errorf("%s: %+v", state, r)
			}
		})
	}
}
