// Package host finds a target's far end: this machine, or one over SSH.
package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/host/ssh"
)

// ErrUnreachable is what a host's method wraps when the target could not be
// talked to, or the connection was lost meanwhile. Nothing follows from it about
// the target's work. ErrNoConnection wraps it when nothing had been sent.
var (
	ErrUnreachable  = attempt.ErrUnreachable
	ErrNoConnection = attempt.ErrNoConnection
)

// Options say how targets are reached.
type Options struct {
	// SSH may be zero when no target uses it.
	SSH   ssh.Options
	Local local.Options
	// Mark is put before each attempt's id on the target, so that attempts of
	// different stores never meet; letters and digits. Empty puts nothing.
	Mark string
}

// Registry finds hosts by their targets. It is safe for concurrent use.
type Registry struct {
	local   *local.Host
	network *ssh.Network
	mark    string
}

// New makes ready for local targets, and for SSH when it has a user.
func New(o Options) (*Registry, error) {
	here, err := local.New(o.Local)
	if err != nil {
		return nil, err
	}
	r := &Registry{local: here, mark: o.Mark}
	if o.SSH.User == "" {
		return r, nil
	}
	if r.network, err = ssh.New(o.SSH); err != nil {
		return nil, errors.Join(err, here.Close())
	}
	return r, nil
}

// Arm makes the first local start as fast as the later ones.
func (r *Registry) Arm(ctx context.Context) error { return r.local.Arm(ctx) }

// KeepArmed keeps the connections to these targets open from now on, instead of
// those before; see [ssh.Network.Arm]. Local targets need none. An error is about
// single targets: the others are kept.
func (r *Registry) KeepArmed(targets []backout.Target) (left int, err error) {
	if r.network == nil {
		return 0, nil
	}
	var addresses []string
	for _, t := range targets {
		if overSSH(t) {
			addresses = append(addresses, addressOf(t))
		}
	}
	return r.network.Arm(addresses)
}

// Unarmed are those of the targets that are to be kept connected and cannot be
// connected to just now, by name.
func (r *Registry) Unarmed(targets []backout.Target) map[string]error {
	out := map[string]error{}
	if r.network == nil {
		return out
	}
	failed := r.network.Unarmed()
	for _, t := range targets {
		if len(failed) == 0 || !overSSH(t) {
			continue
		}
		if err := failed[r.network.Full(addressOf(t))]; err != nil {
			out[t.Name] = err
		}
	}
	return out
}

func overSSH(t backout.Target) bool { return t.Transport == "ssh" || t.Transport == "" }

func addressOf(t backout.Target) string {
	if t.Address == "" {
		return t.Name
	}
	return t.Address
}

// For returns the target's host. It dials nothing.
func (r *Registry) For(t backout.Target) (backout.Host, error) {
	h, err := r.find(t)
	if err != nil || r.mark == "" {
		return h, err
	}
	return marked{Host: h, mark: r.mark}, nil
}

func (r *Registry) find(t backout.Target) (backout.Host, error) {
	switch t.Transport {
	case "local":
		return r.local, nil
	case "ssh", "":
		if r.network == nil {
			return nil, backout.Permanent(fmt.Errorf("target %s is reached by ssh, but the section \"ssh\" is not set", t.Name))
		}
		h, err := r.network.Host(addressOf(t))
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		return h, nil
	}
	return nil, backout.Permanent(fmt.Errorf("target %s: transport %q is not known: use local or ssh", t.Name, t.Transport))
}

// Close lets go of every target. Work on them goes on.
func (r *Registry) Close() error {
	err := r.local.Close()
	if r.network != nil {
		err = errors.Join(err, r.network.Close())
	}
	return err
}
