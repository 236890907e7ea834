package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Run implements [backout.Host].
func (h *Host) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	if err := attempt.CheckExec(e); err != nil {
		return backout.ExecResult{}, backout.Permanent(fmt.Errorf("run: %w", err))
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", attempt.Become(e))
	cmd.Stdin = bytes.NewReader(e.Stdin)
	r, err := h.run(ctx, cmd)
	if err != nil {
		return r, fmt.Errorf("run %s: %w", e.Argv[0], err)
	}
	return r, nil
}

// run waits for a short command. When ctx ends its whole group is killed.
func (h *Host) run(ctx context.Context, cmd *exec.Cmd) (backout.ExecResult, error) {
	var stdout, stderr attempt.Capped
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Dir, cmd.Env = "/", h.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	r := backout.ExecResult{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.Exited():
		r.ExitCode = failed.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return r, err
	}
	return r, nil
}

// Stop implements [backout.Host]. It returns when nothing of the group is left.
func (h *Host) Stop(ctx context.Context, id string) error {
	if err := attempt.CheckID(id); err != nil {
		return fmt.Errorf("stop attempt: %w", err)
	}
	err := h.prepare()
	if err == nil {
		_, err = h.free(id)
	}
	if err != nil {
		return fmt.Errorf("stop attempt: %w", err)
	}
	if claimed, err := h.claimStopped(id); err != nil || claimed {
		return err
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", attempt.Script{Dir: h.dir}.StopClaimed(id))
	r, err := h.run(ctx, cmd)
	if err != nil {
		return fmt.Errorf("stop attempt: %w", err)
	}
	if r.ExitCode != 0 {
		return fmt.Errorf("stop attempt: %s", attempt.Trim(r.Stderr))
	}
	return nil
}

// claimStopped claims the attempt as one that was stopped before it began, unless
// it is claimed. The directory comes with its result: an empty one would give way
// to the rename of a start.
func (h *Host) claimStopped(id string) (claimed bool, _ error) {
	h.firing.Lock()
	defer h.firing.Unlock()
	if _, err := os.Lstat(h.path(id)); err == nil {
		return false, nil
	}
	fail := func(err error) error { return fmt.Errorf("stop attempt: claim it: %w", err) }
	dir, err := os.MkdirTemp(h.dir, idlePrefix)
	if err != nil {
		return false, fail(err)
	}
	defer os.RemoveAll(dir)
	result := fmt.Sprintf("%d %d\n", attempt.StoppedUnstarted, time.Now().Unix())
	if err := os.WriteFile(filepath.Join(dir, "rc"), []byte(result), 0o600); err != nil {
		return false, fail(err)
	}
	if err := errors.Join(syncFile(filepath.Join(dir, "rc")), syncFile(dir)); err != nil {
		return false, fail(err)
	}
	err = syscall.Rename(dir, h.path(id))
	switch {
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EEXIST):
		return false, nil
	case err != nil:
		return false, fail(err)
	}
	if err := syncFile(h.dir); err != nil {
		return false, fail(err)
	}
	return true, nil
}
