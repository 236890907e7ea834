// Package local is the host backout itself runs on.
//
// Starting an attempt here is on the way from alert to rollback, and running a
// shell costs milliseconds. So one supervisor is always kept armed: two idle
// shells in sessions of their own, the inner one waiting for text. To start is to
// rename their directory to the attempt's, sync, and write the command; the inner
// shell becomes it without a fork. Idle shells end with backout, since their
// input ends; those of a running attempt live on and leave its result.
//
// They stay in the unit that backout runs in. Moving each pair to a unit of its
// own, as is done over SSH, would cost a call to systemd for every supervisor that
// is armed, and gain nothing where the service is set up as deploy/backout.service
// is: with KillMode=process no stop or restart of it reaches them. With any other
// KillMode systemd kills a running step together with backout, and the step is in
// doubt.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Options say how the local host keeps its attempts.
type Options struct {
	// Dir holds the attempts, mode 0700. Empty means /var/lib/backout/attempts
	// for root and $HOME/.local/state/backout/attempts for anybody else.
	Dir string
}

// Host is the local machine. It implements [backout.Host].
type Host struct {
	dir  string
	env  []string
	home string
	// boot was read once: no process outlives a boot.
	boot string

	// made says that dir is there; making guards it.
	making sync.Mutex
	made   bool

	mu     sync.Mutex
	closed bool
	// done is closed with closed set.
	done   chan struct{}
	idle   *armed
	arming bool
	// live are the attempts whose supervisor this process started.
	live map[string]*armed
	work sync.WaitGroup

	// firing is read-held from a claim until its command's text is written or the
	// claim is undone. A stop waits for that: one that ended the idle shell between
	// the two would be taken for an idle supervisor that had gone, and the command
	// be started with another.
	firing sync.RWMutex
}

var _ backout.Host = (*Host)(nil)

// New touches nothing: a server without local targets may have no place for their
// attempts. The first use of the host makes their directory, and removes what idle
// supervisors of an earlier process left.
func New(o Options) (*Host, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/"
	}
	dir := o.Dir
	switch {
	case dir != "":
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, fmt.Errorf("find attempts directory: %w", err)
		}
	case os.Geteuid() == 0:
		dir = "/var/lib/backout/attempts"
	default:
		dir = filepath.Join(home, ".local/state/backout/attempts")
	}
	h := &Host{
		dir: dir, home: home, live: map[string]*armed{}, done: make(chan struct{}),
		env: []string{"PATH=" + attempt.Path, "HOME=" + home, "LC_ALL=C", "LANG=C"},
	}
	h.boot = readLine(bootFile)
	return h, nil
}

// prepare makes the directory of attempts, once.
func (h *Host) prepare() error {
	h.making.Lock()
	defer h.making.Unlock()
	if h.made {
		return nil
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return fmt.Errorf("make attempts directory: %w: the user that runs local steps must be able to; its HOME says where", err)
	}
	if err := h.sweep(); err != nil {
		return err
	}
	h.made = true
	return nil
}

// Close ends the idle supervisor and everything this process waits with.
// Running attempts go on.
func (h *Host) Close() error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	idle := h.idle
	h.idle = nil
	live := make([]*armed, 0, len(h.live))
	for _, a := range h.live {
		live = append(live, a)
	}
	h.mu.Unlock()
	if idle != nil {
		idle.discard()
	}
	for _, a := range live {
		a.letGo()
	}
	h.work.Wait()
	return nil
}

// Start implements [backout.Host]. What it needs beyond the command's own start
// is a rename and the sync that keeps the claim through a power cut.
func (h *Host) Start(ctx context.Context, id string, e backout.Exec) error {
	if err := errors.Join(attempt.CheckID(id), attempt.CheckExec(e)); err != nil {
		return backout.Permanent(fmt.Errorf("start attempt: %w", err))
	}
	// Without it nobody could tell what becomes of the attempt.
	if _, err := h.BootID(ctx); err != nil {
		return fmt.Errorf("start attempt: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := h.prepare(); err != nil {
		return fmt.Errorf("start attempt: %w", err)
	}
	if free, err := h.free(id); err != nil || !free {
		return err
	}
	for try := 0; ; try++ {
		a, err := h.take(ctx)
		if err != nil {
			return fmt.Errorf("start attempt: %w", err)
		}
		err = h.fire(a, id, e)
		h.rearm()
		if err == nil || errors.Is(err, os.ErrExist) {
			return nil
		}
		if !errors.Is(err, errDead) || try > 0 {
			return fmt.Errorf("start attempt: %w", err)
		}
	}
}

// BootID implements [backout.Host].
func (h *Host) BootID(context.Context) (string, error) {
	if h.boot == "" {
		return "", fmt.Errorf("read boot id: %s cannot be read: a service that runs local steps must have neither ProcSubset=pid, which hides it, nor PrivateUsers=yes, which hides the steps that ran before a restart", bootFile)
	}
	return h.boot, nil
}

func (h *Host) path(id string) string { return filepath.Join(h.dir, id) }
