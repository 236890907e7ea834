package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/runner"
)

// stuck is a target whose first start is on its way for long: the caller hears that
// the connection was lost, and the start arrives later all the same.
type stuck struct {
	*machine
	arrives time.Duration
	sent    bool
	claimed bool // a stop made the attempt one that is over
	effects int
}

func (s *stuck) Start(ctx context.Context, id string, e backout.Exec) error {
	if !s.sent {
		s.sent = true
		time.AfterFunc(s.arrives, func() { _ = s.land() })
		return fmt.Errorf("start: %w", host.ErrUnreachable)
	}
	return s.land()
}

func (s *stuck) land() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed && s.effects == 0 {
		s.effects++
	}
	return nil
}

func (s *stuck) Probe(context.Context, string) (backout.AttemptReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := backout.AttemptReport{State: backout.AttemptNotStarted, Boot: "0"}
	switch {
	case s.claimed:
		r.State, r.ExitCode, r.ClaimBoot = backout.AttemptFinished, 143, "0"
	case s.effects > 0:
		r.State, r.ClaimBoot = backout.AttemptFinished, "0"
	}
	return r, nil
}

func (s *stuck) Attach(ctx context.Context, id string, _ int64, _ io.Writer) (backout.AttemptReport, error) {
	return s.Probe(ctx, id)
}

func (s *stuck) Stop(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = s.claimed || s.effects == 0
	return nil
}

// The level's time is up while a start is still on its way. What is then called
// "never started" must not start any more.
func TestWhatIsCalledNeverStartedCannotStartLater(t *testing.T) {
	for name, ask := range map[string]func(*runner.Runner, string) error{
		"it is to be stopped": func(r *runner.Runner, id string) error { return r.Stop(id, "the level's time is up") },
		"it is not to begin":  func(r *runner.Runner, id string) error { return r.GiveUp(id, "the level's time is up") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stuck{machine: &machine{stays: true}, arrives: time.Minute}
				r := newRunner(t, s)
				j := job(t, "undo")
				var allowed int
				j.Begin = func(context.Context) error {
					if allowed++; allowed > 1 {
						return errors.New("not now") // so that nothing but the stuck start is under way
					}
					return nil
				}
				time.AfterFunc(time.Second, func() {
					if err := ask(r, j.Task.AttemptID); err != nil {
						t.Error(err)
					}
				})
				want(t, r.Run(t.Context(), j), "", "time is up")
				time.Sleep(2 * time.Minute)
				if s.effects != 0 {
					t.Error("it started after it was given up")
				}
			})
		})
	}
}

// away is a target that never answers.
type away struct{ *machine }

func (a away) Start(context.Context, string, backout.Exec) error { return a.away() }
func (a away) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{}, a.away()
}
func (a away) BootID(context.Context) (string, error) { return "", a.away() }

func TestAttemptIsHandedOverWhoeverLooksAfterIt(t *testing.T) {
	for name, carry := range map[string]func(*runner.Runner, context.Context, runner.Job) runner.Result{
		"run": (*runner.Runner).Run, "resumed": (*runner.Runner).Resume,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, asked := time.Now(), 0
				j := job(t, "undo")
				j.HandOver = func(context.Context) bool { asked++; return asked == 2 }
				want(t, carry(newRunner(t, away{&machine{}}), t.Context(), j), "interrupted", "handed over")
				if took := time.Since(began); took < 80*time.Second || took > 4*time.Minute {
					t.Errorf("handed over after %v", took)
				}
			})
		})
	}
}

// Who has begun a reboot alone knows of it, when the disk forgets.
func TestRebootingTargetIsNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{runs: time.Second, down: 4 * time.Minute, exit: -1, reverts: true}
		j := rebootJob(t)
		j.HandOver = func(context.Context) bool { t.Error("handed over"); return true }
		want(t, newRunner(t, m).Run(t.Context(), j), "", "")
	})
}

func TestDeadlineOfAnAttemptWhoseClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		m := &machine{runs: time.Hour, stays: true}
		j := job(t, "undo")
		j.Task.Step.Timeout = backout.Duration(10 * time.Minute)
		j.Claim = func(context.Context, runner.Claimed) (time.Time, error) { return time.Now().Add(10 * time.Minute), nil }
		j.Expired = func() time.Duration {
			if time.Since(began) < 30*time.Minute {
				return 5 * time.Second // paused
			}
			return 0
		}
		go func() {
			time.Sleep(31 * time.Minute)
			m.mu.Lock()
			defer m.mu.Unlock()
			if !m.stopped {
				t.Error("not stopped when its clock went on")
			}
		}()
		newRunner(t, m).Run(t.Context(), j)
		if time.Since(began) < 30*time.Minute {
			t.Errorf("over after %v", time.Since(began))
		}
	})
}

func TestStaleAttemptIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{stays: true}
		j := job(t, "undo")
		j.Begin = func(context.Context) error { return fmt.Errorf("looked after by another: %w", backout.ErrStale) }
		want(t, newRunner(t, m).Run(t.Context(), j), "interrupted", "another")
		if m.starts != 0 {
			t.Errorf("started %d times", m.starts)
		}
	})
}
