package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
)

// refusing loses the connection at the first start, which is held up on its way,
// and refuses the next.
type refusing struct {
	backout.Host
	held backout.Exec
	n    int
}

func (h *refusing) Start(_ context.Context, _ string, e backout.Exec) error {
	if h.n++; h.n > 1 {
		return backout.Permanent(errors.New("permission denied"))
	}
	h.held = e
	return fmt.Errorf("start: %w", host.ErrUnreachable)
}

// The next level begins when an attempt has failed. A start of that attempt which
// arrives after that must not run beside it.
func TestStartOnItsWayRunsNothingOnceItsAttemptHasFailed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "effects")
	h := &refusing{Host: here(t)}
	j := job(t, `echo x >>"$0"`, file)
	want(t, newRunner(t, h).Run(t.Context(), j), "", "permission denied")
	if err := h.Host.Start(t.Context(), j.Task.AttemptID, h.held); err != nil {
		t.Error(err)
	}
	if r, err := h.Attach(t.Context(), j.Task.AttemptID, 0, io.Discard); err != nil || r.State != backout.AttemptFinished || lines(file) != 0 {
		t.Errorf("%+v, %v, %d effects", r, err, lines(file))
	}
}

// slowProbe takes a while to answer.
type slowProbe struct{ *machine }

func (s slowProbe) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	time.Sleep(10 * time.Second)
	return s.machine.Probe(ctx, id)
}

// What is paused while the target is asked does not begin.
func TestBeginIsAskedAfterTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{stays: true}
		j := job(t, "undo")
		pause, resume := time.Now().Add(15*time.Second), time.Now().Add(time.Minute)
		j.Begin = func(context.Context) error {
			if now := time.Now(); now.After(pause) && now.Before(resume) {
				return errors.New("paused")
			}
			return nil
		}
		want(t, newRunner(t, slowProbe{m}).Resume(t.Context(), j), "", "")
		if m.starts != 1 || m.began.Before(resume) {
			t.Errorf("started %d times, %v after the pause", m.starts, m.began.Sub(pause))
		}
	})
}

// A runner that takes up a running attempt has not seen under which boot id it
// began, and cannot ask any more once the disk was put back.
func TestResumeOfAStepThatPutsBackTheDisk(t *testing.T) {
	for name, c := range map[string]struct {
		m     *machine
		boot  string
		flags string
	}{
		"it still runs when it is resumed": {m: &machine{runs: time.Minute, down: time.Minute, lag: time.Second, reverts: true}},
		"nobody knows under which boot it began": {
			m: &machine{runs: time.Minute, down: time.Minute, lag: time.Second, reverts: true, mute: true, forgetful: true}, flags: "doubt",
		},
		"the claim knows it": {
			m: &machine{runs: time.Minute, down: time.Minute, lag: time.Second, reverts: true, forgetful: true}, boot: "0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := rebootJob(t)
				if err := c.m.Start(t.Context(), j.Task.AttemptID, backout.Exec{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				j.Claim, j.Boot = nil, c.boot
				j.Task.Deadline = time.Now().Add(10 * time.Minute)
				reason := ""
				if c.flags != "" {
					reason = "under which boot id"
				}
				want(t, newRunner(t, c.m).Resume(t.Context(), j), c.flags, reason)
				if c.m.starts != 1 {
					t.Errorf("started %d times", c.m.starts)
				}
			})
		})
	}
}
