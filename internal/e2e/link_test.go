package e2e

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// cut is what is wrong with a link.
type cut int

const (
	// whole: everything passes.
	whole cut = iota
	// broken: connections are reset, and so is every new one.
	broken
	// silentCut: nothing passes and nobody is told, as when packets are dropped.
	// What was under way passes once the link is whole again.
	silentCut
)

func (c cut) String() string { return [...]string{"whole", "reset", "silent"}[c] }

// link is a piece of network between two parts, which can be cut.
type link struct {
	listener net.Listener
	to       string
	work     sync.WaitGroup

	mu    sync.Mutex
	state cut
	// healed is closed when the link is not silent any more.
	healed chan struct{}
	// closed is closed with the link.
	closed chan struct{}
	conns  map[*net.TCPConn]struct{}
}

// newLink leads from an address of its own to another, until the test ends.
func newLink(t testing.TB, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to, healed: make(chan struct{}), closed: make(chan struct{}), conns: map[*net.TCPConn]struct{}{}}
	close(l.healed)
	l.work.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		close(l.closed)
		l.set(broken)
		l.work.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// set cuts the link, or makes it whole.
func (l *link) set(state cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case state == silentCut && l.state != silentCut:
		l.healed = make(chan struct{})
	case state != silentCut && l.state == silentCut:
		close(l.healed)
	}
	l.state = state
	if state == broken {
		for c := range l.conns {
			reset(c)
		}
	}
}

// reset ends a connection as a router does that forgot it.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// pass waits while the link is silent.
func (l *link) pass() {
	l.mu.Lock()
	healed := l.healed
	l.mu.Unlock()
	select {
	case <-healed:
	case <-l.closed:
	}
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		if near, ok := c.(*net.TCPConn); ok && l.keep(near) {
			l.work.Go(func() { l.join(near) })
		}
	}
}

// keep remembers a connection, unless the link resets it.
func (l *link) keep(c *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == broken {
		reset(c)
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) drop(c *net.TCPConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

// join carries bytes both ways until either side ends.
func (l *link) join(near *net.TCPConn) {
	defer l.drop(near)
	l.pass()
	c, err := net.DialTimeout("tcp", l.to, 5*time.Second)
	if err != nil {
		reset(near)
		return
	}
	far, ok := c.(*net.TCPConn)
	if !ok || !l.keep(far) {
		reset(near)
		return
	}
	defer l.drop(far)
	var both sync.WaitGroup
	both.Go(func() { l.carry(far, near) })
	both.Go(func() { l.carry(near, far) })
	both.Wait()
}

func (l *link) carry(to, from *net.TCPConn) {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		l.pass()
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			// The other direction may still have something to say.
			_ = to.CloseWrite()
			return
		}
	}
}

// TestLink: what the chaos run cuts is really cut, and heals.
func TestLink(t *testing.T) {
	t.Parallel()
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var echoes sync.WaitGroup
	echoes.Go(func() {
		for {
			c, err := far.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	l := newLink(t, far.Addr().String())
	t.Cleanup(func() { _ = far.Close(); l.set(broken); echoes.Wait() })

	say := func(c net.Conn, what string, within time.Duration) error {
		if _, err := io.WriteString(c, what); err != nil {
			return err
		}
		return hear(c, what, within)
	}
	c, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := say(c, "one", 10*time.Second); err != nil {
		t.Fatalf("a whole link: %v", err)
	}
	l.set(silentCut)
	if err := say(c, "two", 50*time.Millisecond); err == nil {
		t.Error("something passed a silent link")
	}
	l.set(whole)
	if err := hear(c, "two", 10*time.Second); err != nil {
		t.Errorf("what was under way did not pass after all: %v", err)
	}
	l.set(broken)
	if err := say(c, "three", 10*time.Second); err == nil {
		t.Error("something passed a broken link")
	}
	l.set(whole)
	again, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := say(again, "four", 10*time.Second); err != nil {
		t.Errorf("a healed link: %v", err)
	}
}

// hear waits for these bytes and nothing else.
func hear(c net.Conn, what string, within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	got := make([]byte, len(what))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	return notYet(bytes.Equal(got, []byte(what)))
}
