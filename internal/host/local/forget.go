package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Forget implements [backout.Host]. Of one that is not finished nothing may run any
// more: without its directory it would look as if it had never started.
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
	switch {
	case r.State == backout.AttemptNotStarted:
	case r.State != backout.AttemptFinished && !r.Rebooted():
		return fmt.Errorf("forget attempt: it is %s", r.State)
	default:
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

// free tells whether the id may be claimed, and frees it when its attempt is known
// never to have begun. Any number of calls, in any process, may do so at once.
func (h *Host) free(id string) (bool, error) {
	for {
		dir, err := os.Open(h.path(id))
		if errors.Is(err, os.ErrNotExist) {
			return true, nil
		}
		var free, again bool
		if err == nil {
			free, again, err = h.freeSeen(id, dir)
			_ = dir.Close() // with it goes the lock
		}
		if err != nil {
			return false, fmt.Errorf("free what never began: %w", err)
		}
		if !again {
			return free, nil
		}
	}
}

// freeSeen frees the id unless dir is its directory no more; then again is set. The
// lock on the directory lets one caller at a time look and set it aside, and goes
// with its process: nobody sets aside what another has claimed meanwhile.
func (h *Host) freeSeen(id string, dir *os.File) (free, again bool, _ error) {
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return false, false, err
	}
	seen, err := dir.Stat()
	if err != nil {
		return false, false, err
	}
	now, err := os.Lstat(h.path(id))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, true, nil
	case err != nil:
		return false, false, err
	case !os.SameFile(seen, now):
		return false, true, nil
	case h.owned(id) != nil || h.facts(h.path(id)).Report().Detail != attempt.DetailNeverStarted:
		return false, false, nil
	}
	return true, false, h.setAside(id)
}

// sweep removes directories of supervisors that were never used and are gone, and
// of attempts that were forgotten, by this process or another one.
func (h *Host) sweep() error {
	entries, err := os.ReadDir(h.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
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
