package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// Host is one target. It implements [backout.Host].
type Host struct {
	network *Network
	address string
	script  attempt.Script

	dialing     chan struct{} // a lock that ctx can end the wait for
	long, short chan struct{}

	mu   sync.Mutex
	conn *conn
}

var _ backout.Host = (*Host)(nil)

func newHost(n *Network, address string) *Host {
	return &Host{
		network: n, address: address, script: attempt.Script{Dir: n.o.Dir},
		dialing: make(chan struct{}, 1), long: make(chan struct{}, longSessions), short: make(chan struct{}, shortSessions),
	}
}

// shell replaces the login shell, whose own exit code would stand for a signal.
func (h *Host) shell() string {
	if h.network.o.Sudo {
		return "exec sudo -n -H sh"
	}
	return "exec sh"
}

// Run implements [backout.Host].
func (h *Host) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	if err := attempt.CheckExec(e); err != nil {
		return backout.ExecResult{}, backout.Permanent(fmt.Errorf("run: %w", err))
	}
	line, text := h.shell()+" -s", attempt.Run(e)
	if len(e.Stdin) > 0 {
		var arg string
		arg, text = attempt.RunWithInput(e)
		line, text = h.shell()+" -c "+attempt.Quote(arg), text+string(e.Stdin)
	}
	r, err := h.run(ctx, exchange{line: line, text: text, kill: true})
	if err != nil {
		return r, fmt.Errorf("run %s: %w", e.Argv[0], err)
	}
	return r, nil
}

// run gives text to a shell on the target and waits for its end.
func (h *Host) run(ctx context.Context, x exchange) (backout.ExecResult, error) {
	var stdout, stderr attempt.Capped
	x.stdout, x.stderr = &stdout, &stderr
	code, err := h.exchange(ctx, h.short, x)
	return backout.ExecResult{ExitCode: code, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, err
}

// do runs text of the attempt protocol that must end with 0.
func (h *Host) do(ctx context.Context, verb, id string, text func(string) string) (backout.ExecResult, error) {
	if err := attempt.CheckID(id); err != nil {
		return backout.ExecResult{}, backout.Permanent(fmt.Errorf("%s: %w", verb, err))
	}
	r, err := h.run(ctx, exchange{line: h.shell() + " -s", text: text(id)})
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("the target says: %s (exit code %d)", attempt.Trim(r.Stderr), r.ExitCode)
	}
	if err != nil {
		return r, fmt.Errorf("%s on %s: %w", verb, h.address, err)
	}
	return r, nil
}

// Start implements [backout.Host].
func (h *Host) Start(ctx context.Context, id string, e backout.Exec) error {
	if err := attempt.CheckExec(e); err != nil {
		return backout.Permanent(fmt.Errorf("start attempt: %w", err))
	}
	_, err := h.do(ctx, "start attempt", id, func(id string) string { return h.script.Start(id, e) })
	return err
}

// Probe implements [backout.Host].
func (h *Host) Probe(ctx context.Context, id string) (backout.AttemptReport, error) {
	r, err := h.do(ctx, "probe", id, h.script.Probe)
	if err != nil {
		return backout.AttemptReport{}, err
	}
	f, err := attempt.ParseFacts(string(r.Stdout))
	if err != nil {
		return backout.AttemptReport{}, fmt.Errorf("probe on %s: %w", h.address, err)
	}
	return f.Report(), nil
}

// Attach implements [backout.Host]. One shell on the target watches the output
// for as long as it takes; it ends with the connection.
func (h *Host) Attach(ctx context.Context, id string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	if err := attempt.CheckID(id); err != nil {
		return backout.AttemptReport{}, backout.Permanent(fmt.Errorf("attach: %w", err))
	}
	var said attempt.Capped
	code, err := h.exchange(ctx, h.long, exchange{
		line: h.shell() + " -s", text: h.script.Attach(id, offset), stdout: out, stderr: &said, keepOpen: true,
	})
	if err != nil {
		return backout.AttemptReport{}, fmt.Errorf("attach on %s: %w", h.address, err)
	}
	f, err := attempt.ParseFacts(string(said.Bytes()))
	if code != 0 || err != nil {
		return backout.AttemptReport{}, fmt.Errorf("attach on %s: the target says: %s (exit code %d)", h.address, attempt.Trim(said.Bytes()), code)
	}
	return f.Report(), nil
}

// Stop implements [backout.Host]. It returns when nothing of the group is left.
func (h *Host) Stop(ctx context.Context, id string) error {
	_, err := h.do(ctx, "stop attempt", id, h.script.Stop)
	return err
}

// Forget implements [backout.Host]. An attempt that is not finished is kept.
func (h *Host) Forget(ctx context.Context, id string) error {
	_, err := h.do(ctx, "forget attempt", id, h.script.Forget)
	return err
}

// BootID implements [backout.Host]. Each connection asks once. The answer is that
// of the boot the connection reached: that a target is gone is known when
// something is sent to it, or after twice 15 seconds.
func (h *Host) BootID(ctx context.Context) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("read boot id of %s: %w", h.address, err) }
	c, err := h.connection(ctx)
	if err != nil {
		return fail(err)
	}
	if known := c.boot.Load(); known != nil {
		return *known, nil
	}
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"cat", "/proc/sys/kernel/random/boot_id"}})
	if err == nil && r.ExitCode != 0 {
		err = errors.New(attempt.Trim(r.Stderr))
	}
	if err != nil {
		return fail(err)
	}
	boot := string(bytes.TrimSpace(r.Stdout))
	h.mu.Lock()
	defer h.mu.Unlock()
	// Another connection may have taken its place and given the answer.
	if h.conn == c {
		c.boot.Store(&boot)
	}
	return boot, nil
}

// exchange is one session: a command line, its input and where its output goes.
type exchange struct {
	line, text     string
	stdout, stderr io.Writer
	// keepOpen leaves the input open to its end, so that the far end notices
	// when the connection is lost.
	keepOpen bool
	// kill ends the far end's process when ctx ends; OpenSSH does since 7.9.
	kill bool
}

// exchange returns the exit code. When ctx ends it returns at once, and nothing
// is written to the writers any more.
func (h *Host) exchange(ctx context.Context, slots chan struct{}, x exchange) (int, error) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	s, c, err := h.session(ctx)
	if err != nil {
		<-slots
		return 0, err
	}
	var gate sync.Mutex
	open := true
	defer func() {
		gate.Lock()
		open = false
		gate.Unlock()
	}()
	s.Stdout, s.Stderr = gated{&gate, &open, x.stdout}, gated{&gate, &open, x.stderr}
	done := make(chan error, 1)
	if !h.network.spawn(func() {
		defer func() { c.release(); <-slots }()
		done <- talk(s, x, ctx.Done())
	}) {
		c.release()
		<-slots
		_ = s.Close()
		return 0, errClosed
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		// The far end is told to go; should it not answer, the goroutine ends
		// with the connection, which keepalive bounds.
		h.network.spawn(func() {
			if x.kill {
				_ = s.Signal(ssh.SIGKILL)
			}
			_ = s.Close()
		})
		return 0, context.Cause(ctx)
	}
	return exitCode(ctx, c, err)
}

// talk runs the session to its end.
func talk(s *ssh.Session, x exchange, over <-chan struct{}) error {
	defer s.Close()
	if !x.keepOpen {
		s.Stdin = strings.NewReader(x.text)
		return s.Run(x.line)
	}
	in, err := s.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := s.Start(x.line); err != nil {
		return err
	}
	if _, err := io.WriteString(in, x.text); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-over:
		_ = in.Close()
		_ = s.Close()
		return <-ended
	}
}

func exitCode(ctx context.Context, c *conn, err error) (int, error) {
	if err == nil {
		return 0, nil
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	var exited *ssh.ExitError
	if errors.As(err, &exited) && exited.Signal() == "" {
		return exited.ExitStatus(), nil
	}
	// A lost connection is known as such a moment later than its sessions.
	var lost *ssh.ExitMissingError
	if exited == nil && !errors.As(err, &lost) && !errors.Is(err, io.EOF) {
		select {
		case <-c.gone:
		case <-time.After(100 * time.Millisecond):
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: the session ended without an exit code: %w", attempt.ErrUnreachable, err)
}

// gated drops what comes after its exchange has returned.
type gated struct {
	mu   *sync.Mutex
	open *bool
	w    io.Writer
}

// Write implements [io.Writer].
func (g gated) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !*g.open {
		return len(p), nil
	}
	return g.w.Write(p)
}
