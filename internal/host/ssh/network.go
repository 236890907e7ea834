// Package ssh reaches targets over SSH: keys only, host keys pinned by a
// known_hosts file, one shared connection for each target.
//
// Nothing is trusted on first use: a host whose key is not in the file is
// refused, and the error says how to add it. The file is read at each dial, so a
// key that was added counts at once.
//
// What is done on a target is shell text given to "sh -s" on its standard input
// (package attempt), so no argument passes through the login shell's reading.
// The exit status is the protocol's own 32-bit field; a session that ends
// without one says nothing about the work and is [attempt.ErrUnreachable].
//
// Host certificates are not supported: a host that known_hosts has under
// @cert-authority only is refused, and the error says how to pin its key.
//
// A target that ends user sessions' processes (KillUserProcesses=yes in
// logind.conf) ends detached attempts too, unless they are root's: use sudo, or
// name the user in KillExcludeUsers=. See package attempt.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/retry"
)

// Options are the same for all targets.
type Options struct {
	// User logs in with Key, a private key in PEM without passphrase.
	User string
	Key  backout.Secret
	// KnownHosts is a file in the format of OpenSSH.
	KnownHosts string
	// Port is used for addresses without one; zero means 22.
	Port int
	// ConnectTimeout bounds the dial and the handshake; zero means 10 s.
	ConnectTimeout time.Duration
	// Sudo runs everything as root, by "sudo -n".
	Sudo bool
	// Dir holds the attempts on the targets; see [attempt.Script].
	Dir string
	// Armed is how many targets may be kept connected at once; zero means 2000, less
	// than that none.
	Armed int
}

// Dials at once: sshd drops what comes above its MaxStartups (10 by default).
const (
	dialsPerAddress = 4
	dialsTotal      = 192
)

// Network keeps the connections to all targets.
type Network struct {
	o      Options
	signer ssh.Signer

	work sync.WaitGroup
	// done is closed with closed set.
	done chan struct{}

	mu        sync.Mutex
	hosts     map[string]*Host
	addresses map[string]chan struct{}
	dials     chan struct{}
	closed    bool
	// armed are the targets to keep connected; arming is set while their keeper
	// runs, and armNow wakes it.
	armed  map[string]*armed
	arming bool
	armNow chan struct{}
	// known is what was read last of the file of host keys.
	known knownHosts
}

var errClosed = errors.New("ssh is closed")

// New reads the key. It dials nothing.
func New(o Options) (*Network, error) {
	if o.User == "" {
		return nil, errors.New("ssh.user is empty: name the user that logs in to the targets")
	}
	if o.KnownHosts == "" {
		return nil, errors.New("ssh.known_hosts is empty: name the file that holds the targets' host keys")
	}
	signer, err := parseKey(o.Key)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = 22
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	return &Network{
		done: make(chan struct{}),
		o:    o, signer: signer, hosts: map[string]*Host{}, addresses: map[string]chan struct{}{}, dials: make(chan struct{}, dialsTotal),
		armed: map[string]*armed{}, armNow: make(chan struct{}, 1),
	}, nil
}

// Full is the address with its port.
func (n *Network) Full(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, strconv.Itoa(n.o.Port)
	}
	return net.JoinHostPort(host, port)
}

// Host returns the target at the address, "host" or "host:port". Every call
// with one address returns the same host.
func (n *Network) Host(address string) (*Host, error) {
	full := n.Full(address)
	if host, _, _ := net.SplitHostPort(full); host == "" {
		return nil, fmt.Errorf("address %q: want host or host:port", address)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	h := n.hosts[full]
	if h == nil {
		h = newHost(n, full)
		n.hosts[full] = h
	}
	return h, nil
}

// Close ends every connection and waits for what used it. Work on the targets
// goes on.
func (n *Network) Close() error {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.done)
	}
	hosts := n.hosts
	n.mu.Unlock()
	for _, h := range hosts {
		h.disconnect()
	}
	n.work.Wait()
	return nil
}

// spawn runs f in a goroutine that Close waits for; false after Close.
func (n *Network) spawn(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.work.Go(f)
	return true
}

// dial connects, and tries again for a while when the target drops the
// connection in the handshake, as sshd does above its MaxStartups.
func (n *Network) dial(ctx context.Context, address string) (*ssh.Client, error) {
	host, _, _ := net.SplitHostPort(address)
	n.mu.Lock()
	slots := n.addresses[host]
	if slots == nil {
		slots = make(chan struct{}, dialsPerAddress)
		n.addresses[host] = slots
	}
	n.mu.Unlock()
	for _, c := range []chan struct{}{slots, n.dials} {
		select {
		case c <- struct{}{}:
			defer func() { <-c }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var client *ssh.Client
	// That it is not tried again here does not make an error one that trying again
	// cannot cure: a target that reboots is away for a while.
	var settled error
	err := retry.Do(ctx, retry.Policy{First: 100 * time.Millisecond, Most: 2 * time.Second, Total: 2 * n.o.ConnectTimeout}, func(ctx context.Context) error {
		var err error
		client, err = n.dialOnce(ctx, address)
		if err != nil && !dropped(err) {
			settled = err
			return nil
		}
		return err
	})
	if settled != nil {
		err = settled
	}
	return client, err
}

func (n *Network) dialOnce(ctx context.Context, address string) (*ssh.Client, error) {
	config, err := n.clientConfig(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.o.ConnectTimeout, fmt.Errorf("no connection within %v", n.o.ConnectTimeout))
	defer cancel()
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() })
	conn, channels, requests, err := ssh.NewClientConn(tcp, address, config)
	if !stop() || err != nil {
		_ = tcp.Close()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, explain(ctx, err, address, n.o)
	}
	return ssh.NewClient(conn, channels, requests), nil
}

// unreachable marks a failed connection, with why it was given up.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", attempt.ErrNoConnection, err)
}
