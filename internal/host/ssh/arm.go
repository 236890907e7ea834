package ssh

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// armedMost is how many targets are kept armed at once, unless the options say
	// otherwise. A connection costs some 60 KiB here, and one process there.
	armedMost = 2000
	// armEvery is how often it is looked for armed connections that are gone.
	armEvery = 5 * time.Second
	// A target whose connection is lost is connected again after armPause at the
	// earliest; one that cannot be is tried again after armFirst, then after twice as
	// long each time, up to armLast.
	armPause = time.Second
	armFirst = 5 * time.Second
	armLast  = 5 * time.Minute
	// idleFor is how long a connection may go unused before it is closed, unless its
	// target is armed.
	idleFor = 10 * time.Minute
)

// armed is one target whose connection is to be kept open.
type armed struct {
	host *Host
	// dialing is set while one is being made; err is why the last could not be.
	dialing bool
	err     error
	wait    time.Duration
	next    time.Time
}

// Arm says which targets are to be kept connected from now on, by address, instead
// of those before: opened, authenticated and kept alive, so that a step starts on
// them without a handshake. What is above the limit is not armed, and its number is
// returned. Connections of targets that are not armed any more are closed once they
// have not been used for a while.
func (n *Network) Arm(addresses []string) (left int, err error) {
	var failed []error
	wanted := map[string]*Host{}
	for _, address := range addresses {
		h, err := n.Host(address)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if len(wanted) >= n.armLimit() && wanted[h.address] == nil {
			if n.o.Armed >= 0 {
				left++
			}
			continue
		}
		wanted[h.address] = h
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for address := range n.armed {
		if wanted[address] == nil {
			delete(n.armed, address)
		}
	}
	for address, h := range wanted {
		if n.armed[address] == nil {
			n.armed[address] = &armed{host: h}
		}
	}
	if !n.closed && !n.arming && len(n.armed) > 0 {
		n.arming = true
		n.work.Go(n.keepArmed)
	}
	n.wakeArming()
	return left, errors.Join(failed...)
}

// wakeArming lets the keeper look at once.
func (n *Network) wakeArming() {
	select {
	case n.armNow <- struct{}{}:
	default:
	}
}

func (n *Network) armLimit() int {
	switch {
	case n.o.Armed < 0:
		return 0
	case n.o.Armed > 0:
		return n.o.Armed
	}
	return armedMost
}

// Unarmed says of armed targets that cannot be connected to why not, by address.
func (n *Network) Unarmed() map[string]error {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]error{}
	for address, a := range n.armed {
		if a.err != nil {
			out[address] = a.err
		}
	}
	return out
}

// keepArmed connects what is to be armed and is not, until nothing is.
func (n *Network) keepArmed() {
	tick := time.NewTicker(armEvery)
	defer tick.Stop()
	for n.armMissing() {
		select {
		case <-n.done:
			return
		case <-n.armNow:
		case <-tick.C:
		}
	}
}

// armMissing begins a connection for each armed target without one. It reports
// whether there is anything to keep; if not, the next Arm starts the keeper anew.
func (n *Network) armMissing() bool {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.armed) == 0 {
		n.arming = false
		return false
	}
	for _, a := range n.armed {
		if a.dialing || now.Before(a.next) || a.host.connected() {
			continue
		}
		a.dialing = true
		n.work.Go(func() { n.armOne(a) })
	}
	return true
}

// armOne connects one target and asks for its boot id, which the claim of an
// attempt wants to know.
func (n *Network) armOne(a *armed) {
	ctx, cancel := n.untilClosed()
	defer cancel()
	_, err := a.host.BootID(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	a.dialing, a.err = false, err
	if err == nil {
		// One that is lost over and over is not dialled without a pause.
		a.wait, a.next = 0, time.Now().Add(armPause)
		return
	}
	a.wait = min(max(armFirst, 2*a.wait), armLast)
	a.next = time.Now().Add(a.wait)
}

// untilClosed is a context that ends with the network.
func (n *Network) untilClosed() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := make(chan struct{})
	go func() {
		select {
		case <-n.done:
			cancel(errClosed)
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel(nil) }
}

// isArmed tells whether the host's connection is to be kept.
func (n *Network) isArmed(address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.armed[address] != nil
}

// connected tells whether there is a live connection.
func (h *Host) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		return false
	}
	select {
	case <-h.conn.gone:
		return false
	default:
		return true
	}
}

// Armed lists the addresses that are connected and kept so, sorted.
func (n *Network) Armed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for address, a := range n.armed {
		if a.host.connected() {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return out
}
