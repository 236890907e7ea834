package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/backout-io/backout/internal/host/attempt"
)

// keepalive is how often a connection is asked whether it lives, and how long
// it has for the answer.
const keepalive = 15 * time.Second

// Sessions of one connection: sshd allows 10 by default. Those that stay open as
// long as a step runs must leave room for the others.
const (
	longSessions  = 5
	shortSessions = 4
)

// conn is one live connection.
type conn struct {
	client *ssh.Client
	gone   chan struct{}
	// boot is the target's boot id once it was asked for: no connection outlives
	// a boot.
	boot atomic.Pointer[string]
	// used is when a session was opened last, in nanoseconds since 1970; sessions
	// is how many are open.
	used     atomic.Int64
	sessions atomic.Int32
}

// connection returns the shared connection, made anew when it is gone.
func (h *Host) connection(ctx context.Context) (*conn, error) {
	select {
	case h.dialing <- struct{}{}:
		defer func() { <-h.dialing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	h.mu.Lock()
	c := h.conn
	h.mu.Unlock()
	if c != nil {
		select {
		case <-c.gone:
		default:
			return c, nil
		}
	}
	client, err := h.network.dial(ctx, h.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", h.address, err)
	}
	c = &conn{client: client, gone: make(chan struct{})}
	c.used.Store(time.Now().UnixNano())
	if !h.network.spawn(func() { h.mind(c) }) {
		_ = client.Close()
		return nil, errClosed
	}
	h.mu.Lock()
	h.conn = c
	h.mu.Unlock()
	return c, nil
}

// mind keeps a connection alive, and ends when it does.
func (h *Host) mind(c *conn) {
	var asking sync.WaitGroup
	asking.Go(func() {
		_ = c.client.Wait()
		close(c.gone)
	})
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	for alive := true; alive; {
		select {
		case <-c.gone:
			alive = false
			continue
		case <-h.network.done:
			_ = c.client.Close()
			<-c.gone
			alive = false
			continue
		case <-tick.C:
			if c.idle() && !h.network.isArmed(h.address) {
				_ = c.client.Close()
				continue
			}
		}
		answered := make(chan struct{})
		asking.Go(func() {
			defer close(answered)
			_, _, _ = c.client.SendRequest("keepalive@openssh.com", true, nil)
		})
		late := time.NewTimer(keepalive)
		select {
		case <-answered:
		case <-c.gone:
		case <-h.network.done:
		case <-late.C:
			_ = c.client.Close()
		}
		late.Stop()
	}
	asking.Wait()
	h.network.wakeArming()
}

// release says that a session of the connection has ended.
func (c *conn) release() {
	c.used.Store(time.Now().UnixNano())
	c.sessions.Add(-1)
}

// idle tells whether nobody has used the connection for a while.
func (c *conn) idle() bool {
	return c.sessions.Load() == 0 && time.Since(time.Unix(0, c.used.Load())) > idleFor
}

// disconnect ends the shared connection, if there is one.
func (h *Host) disconnect() {
	h.mu.Lock()
	c := h.conn
	h.mu.Unlock()
	if c != nil {
		_ = c.client.Close()
	}
}

// session opens a session. Opening has no effect on the target, so a connection
// that turns out to be gone is replaced once.
func (h *Host) session(ctx context.Context) (*ssh.Session, *conn, error) {
	for try := 0; ; try++ {
		c, err := h.connection(ctx)
		if err != nil {
			return nil, nil, err
		}
		c.sessions.Add(1)
		s, err := c.newSession(ctx)
		if err == nil {
			return s, c, nil
		}
		c.release()
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return nil, nil, fmt.Errorf("open session on %s: %w: raise MaxSessions in its sshd_config", h.address, err)
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		_ = c.client.Close()
		<-c.gone
		if try > 0 {
			return nil, nil, fmt.Errorf("open session on %s: %w: %w", h.address, attempt.ErrNoConnection, err)
		}
	}
}

// newSession is x/crypto's, but ends with ctx: a hung connection is closed.
func (c *conn) newSession(ctx context.Context) (*ssh.Session, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.client.Close() })
	s, err := c.client.NewSession()
	if !stop() && err == nil {
		_ = s.Close()
		return nil, context.Cause(ctx)
	}
	return s, err
}
