package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Probe implements [backout.Host].
func (h *Host) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	if err := attempt.CheckID(id); err != nil {
		return backout.AttemptReport{}, fmt.Errorf("probe: %w", err)
	}
	if ctx.Err() != nil {
		return backout.AttemptReport{}, context.Cause(ctx)
	}
	return h.report(id)
}

func (h *Host) report(id string) (backout.AttemptReport, error) {
	if a := h.owned(id); a != nil {
		if e := a.result(); e != nil {
			return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: e.code, FinishedAt: e.at, Boot: h.boot, ClaimBoot: h.boot}, nil
		}
		if !a.gone() {
			return backout.AttemptReport{State: backout.AttemptRunning, Boot: h.boot, ClaimBoot: h.boot}, nil
		}
	}
	if _, err := os.Lstat(h.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return backout.AttemptReport{}, fmt.Errorf("probe: %w", err)
	}
	r := h.facts(h.path(id)).Report()
	if r.Detail == attempt.DetailNeverStarted {
		// This process, or one before it, died between the claim and the command.
		r.State, r.Detail = backout.AttemptNotStarted, ""
	}
	return r, nil
}

func (h *Host) owned(id string) *armed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[id]
}

// Looks at a growing output are this far apart: the first soon, later ones
// seldom. The end of an attempt this process started is told at once.
const (
	lookSoon   = 2 * time.Millisecond
	lookSeldom = 50 * time.Millisecond
)

// Attach implements [backout.Host].
func (h *Host) Attach(ctx context.Context, id string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	if err := attempt.CheckID(id); err != nil {
		return backout.AttemptReport{}, fmt.Errorf("attach: %w", err)
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	var exited, ended <-chan struct{}
	if a := h.owned(id); a != nil {
		exited, ended = a.exited, a.ended
	}
	for wait := lookSoon; ; wait = min(2*wait, lookSeldom) {
		r, err := h.report(id)
		if err != nil {
			return r, err
		}
		n, err := copyFrom(filepath.Join(h.path(id), "out"), offset, out)
		offset += n
		if err != nil {
			return r, fmt.Errorf("attach: copy output: %w", err)
		}
		if r.State != backout.AttemptRunning {
			return r, nil
		}
		if n > 0 {
			wait = lookSoon
		}
		pause.Reset(wait)
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-exited:
			exited = nil
		case <-ended:
			ended = nil
		case <-pause.C:
		}
	}
}

func copyFrom(path string, offset int64, out io.Writer) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(out, io.NewSectionReader(f, offset, 1<<62-offset))
}
