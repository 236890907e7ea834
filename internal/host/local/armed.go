package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

const idlePrefix = ".idle-"

var errClosed = errors.New("the local host is closed")

// errDead says that an idle supervisor had ended before it was used, so
// nothing was started.
var errDead = errors.New("its idle supervisor is gone")

// armed is one supervisor of this process: idle, then of one attempt.
type armed struct {
	dir     string
	cmd     *exec.Cmd
	command *os.File // text for the inner shell
	told    *os.File // what the supervisor says
	ready   chan struct{}
	// exited is closed when the command's exit code was told, ended when the
	// supervisor is gone or let go. The second may come without the first.
	exited chan struct{}
	ended  chan struct{}
	mu     sync.Mutex
	exit   *exit
	letgo  bool
}

type exit struct {
	code int
	at   time.Time
}

// arm starts a supervisor and waits until it is ready.
func (h *Host) arm(ctx context.Context) (_ *armed, err error) {
	if err := h.prepare(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(h.dir, idlePrefix)
	if err != nil {
		return nil, fmt.Errorf("make supervisor's directory: %w", err)
	}
	a := &armed{dir: dir, ready: make(chan struct{}), exited: make(chan struct{}), ended: make(chan struct{})}
	if err := a.start(h.env); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	if !h.own(a) {
		_ = os.RemoveAll(dir)
		return nil, errClosed
	}
	select {
	case <-a.ready:
		return a, nil
	case <-a.ended:
		_ = os.RemoveAll(dir)
		return nil, errors.New("start supervisor: it ended at once: sh and setsid (util-linux) are needed")
	case <-ctx.Done():
		a.discard()
		return nil, context.Cause(ctx)
	}
}

// own waits for the supervisor in the background, until the host is closed.
func (h *Host) own(a *armed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		a.letGo()
		return false
	}
	h.work.Go(func() {
		a.listen()
		h.mu.Lock()
		defer h.mu.Unlock()
		// Once the result is on disk it speaks for itself.
		if id := filepath.Base(a.dir); h.live[id] == a && h.facts(a.dir).Result != "" {
			delete(h.live, id)
		}
	})
	return true
}

func (a *armed) start(env []string) error {
	commandIn, command, err := os.Pipe()
	if err != nil {
		return err
	}
	defer commandIn.Close()
	told, toldIn, err := os.Pipe()
	if err != nil {
		_ = command.Close()
		return err
	}
	defer toldIn.Close()
	a.command, a.told = command, told
	a.cmd = exec.Command("/bin/sh", "-c", attempt.Armed())
	a.cmd.Dir, a.cmd.Env = a.dir, env
	a.cmd.ExtraFiles = []*os.File{commandIn, toldIn}
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := a.cmd.Start(); err != nil {
		return errors.Join(err, command.Close(), told.Close())
	}
	// A shell that is gone already is noticed by listen.
	_, _ = io.WriteString(command, attempt.Arm())
	return nil
}

// listen ends with the supervisor, or when it is let go.
func (a *armed) listen() {
	defer close(a.ended)
	lines := bufio.NewScanner(a.told)
	for ready := false; lines.Scan(); {
		if line := lines.Text(); !ready && line == "ready" {
			ready = true
			close(a.ready)
		} else if code, err := strconv.Atoi(line); err == nil && a.result() == nil {
			a.mu.Lock()
			a.exit = &exit{code, time.Now()}
			a.mu.Unlock()
			close(a.exited)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.told.Close()
	if !a.letgo {
		_ = a.command.Close()
		_ = a.cmd.Wait()
	}
}

// letGo stops waiting for a supervisor and leaves it running.
func (a *armed) letGo() {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.ended:
	default:
		a.letgo = true
		_ = a.command.Close()
		_ = a.told.Close()
		_ = a.cmd.Process.Release()
	}
}

// discard ends an idle supervisor, by ending its input, and waits for it.
func (a *armed) discard() {
	_ = a.command.Close()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	select {
	case <-a.ended:
	case <-late.C:
		a.letGo()
	}
	if strings.HasPrefix(filepath.Base(a.dir), idlePrefix) {
		_ = os.RemoveAll(a.dir)
	}
}

// result returns the command's exit code once it is known.
func (a *armed) result() *exit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.exit
}

// gone tells whether the supervisor has ended.
func (a *armed) gone() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// take returns an idle supervisor that is alive, starting one if need be.
func (h *Host) take(ctx context.Context) (*armed, error) {
	h.mu.Lock()
	a, closed := h.idle, h.closed
	h.idle = nil
	h.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if a != nil && !a.gone() {
		return a, nil
	}
	if a != nil {
		_ = os.RemoveAll(a.dir)
	}
	return h.arm(ctx)
}

// Arm starts the idle supervisor ahead of the first Start.
func (h *Host) Arm(ctx context.Context) error {
	a, err := h.take(ctx)
	if err != nil {
		return fmt.Errorf("arm local host: %w", err)
	}
	h.keep(a)
	return nil
}

// keep makes a the idle supervisor unless there is one.
func (h *Host) keep(a *armed) {
	h.mu.Lock()
	if h.closed || h.idle != nil {
		h.mu.Unlock()
		a.discard()
		return
	}
	h.idle = a
	h.mu.Unlock()
}

// armAfter leaves the processor to the command that was just started.
const armAfter = 20 * time.Millisecond

// rearm replaces a used supervisor in the background. Close waits for it.
func (h *Host) rearm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.idle != nil || h.arming {
		return
	}
	h.arming = true
	h.work.Go(func() {
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.arming = false
		}()
		select {
		case <-time.After(armAfter):
		case <-h.done:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		// Without one the next Start makes its own, and says what is wrong.
		if a, err := h.arm(ctx); err == nil {
			h.keep(a)
		}
	})
}

// fire claims the attempt for a and lets it go. After any error nothing runs.
func (h *Host) fire(a *armed, id string, e backout.Exec) error {
	h.firing.RLock()
	defer h.firing.RUnlock()
	path := h.path(id)
	// rename(2) refuses a directory that is not empty, and none here is.
	if err := syscall.Rename(a.dir, path); err != nil {
		h.keep(a)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			return os.ErrExist
		}
		return fmt.Errorf("claim: %w", err)
	}
	idle := a.dir
	a.dir = path
	err := syncFile(h.dir)
	if err == nil {
		_, err = io.WriteString(a.command, attempt.Fire(e))
		if err != nil {
			err = errors.Join(errDead, err)
		}
	}
	if err != nil {
		// The shell has not got the whole of its text, so it runs none of it.
		if undo := syscall.Rename(path, idle); undo == nil {
			a.dir = idle
		}
		a.discard()
		return fmt.Errorf("claim: %w", err)
	}
	_ = a.command.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live[id] = a
	if h.closed {
		a.letGo()
	}
	return nil
}

// syncFile puts a file or directory on disk.
func syncFile(path string) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
