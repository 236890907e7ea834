package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Forget implements [backout.Host]. An attempt that is not finished is kept:
// without its directory it would look as if it had never started.
func (h *Host) Forget(ctx context.Context, id string) error {
	if err := attempt.CheckID(id); err != nil {
		return fmt.Errorf("forget attempt: %w", err)
	}
	if a := h.owned(id); a != nil && a.result() != nil {
		select {
		case <-a.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r, err := h.report(id)
	if err != nil {
		return fmt.Errorf("forget attempt: %w", err)
	}
	switch r.State {
	case backout.AttemptNotStarted:
	case backout.AttemptRunning, backout.AttemptUnknown:
		return fmt.Errorf("forget attempt: it is %s", r.State)
	case backout.AttemptFinished:
		if err := h.setAside(id); err != nil {
			return fmt.Errorf("forget attempt: %w", err)
		}
		h.mu.Lock()
		delete(h.live, id)
		h.mu.Unlock()
	}
	if err := h.sweep(); err != nil {
		return fmt.Errorf("forget attempt: %w", err)
	}
	return nil
}

// setAside takes an attempt's directory away from its name.
func (h *Host) setAside(id string) error {
	gone := fmt.Sprintf("%s%d.%s", attempt.GonePrefix, os.Getpid(), id)
	if err := os.Rename(h.path(id), filepath.Join(h.dir, gone)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// spendUnused tells whether the attempt was claimed and is known never to have
// begun, and if so, takes that mark: of any number of calls, in any process, one
// gets it, and may start the attempt or end it.
func (h *Host) spendUnused(id string) (bool, error) {
	dir := h.path(id)
	if h.owned(id) != nil || h.facts(dir).Report().Detail != attempt.DetailNeverStarted {
		return false, nil
	}
	switch err := os.Rename(filepath.Join(dir, "unused"), filepath.Join(dir, "spent")); {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("take what never began: %w", err)
	}
	return true, nil
}

// sweep removes directories of supervisors that were never used and are gone, and
// of attempts that were forgotten, by this process or another one.
func (h *Host) sweep() error {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return fmt.Errorf("list attempts directory: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(h.dir, e.Name())
		if !strings.HasPrefix(e.Name(), attempt.GonePrefix) && !h.stale(path) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what was left behind: %w", err)
		}
	}
	return nil
}

// stale tells that an idle supervisor's directory has outlived it. A young one may
// be another process's, about to be ready.
func (h *Host) stale(path string) bool {
	if !strings.HasPrefix(filepath.Base(path), idlePrefix) {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && time.Since(info.ModTime()) >= time.Minute && h.facts(path).Report().State != backout.AttemptRunning
}
