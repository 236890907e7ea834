package webconfig

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/password"
)

// maxQueue is how many passwords may wait to be computed.
const maxQueue = 32

// passwords compares passwords with hashes. A right one is remembered, as a keyed
// hash, so that it is computed once. A wrong one always takes as long as a right one
// took the first time, whether the user is known or not.
type passwords struct {
	key [sha256.Size]byte
	// slot lets one be computed at a time: guessing must not take every processor.
	slot    chan struct{}
	waiting atomic.Int32

	mu sync.Mutex
	// right holds one entry a user: the last that was right.
	right map[string][sha256.Size]byte
}

func newPasswords() *passwords {
	p := &passwords{slot: make(chan struct{}, 1), right: map[string][sha256.Size]byte{}}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

// check tells whether the password is the user's. [backout.ErrUnavailable]: too many
// wait, or ctx ended.
func (p *passwords) check(ctx context.Context, f *File, name, given string) (bool, error) {
	if len(f.names) == 0 {
		return false, nil
	}
	hash, known := f.users[name]
	if !known {
		hash = f.users[f.names[p.pick(name, len(f.names))]]
	}
	sum := p.sum(name, hash.Reveal(), given)
	if known && p.remembers(name, sum) {
		return true, nil
	}
	if p.waiting.Add(1) > maxQueue {
		p.waiting.Add(-1)
		return false, fmt.Errorf("%w: too many passwords wait to be checked", backout.ErrUnavailable)
	}
	defer p.waiting.Add(-1)
	select {
	case p.slot <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", backout.ErrUnavailable, context.Cause(ctx))
	}
	defer func() { <-p.slot }()
	if known && p.remembers(name, sum) {
		return true, nil
	}
	fits := password.Matches(hash.Reveal(), given)
	if !known || !fits {
		return false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.right[name] = sum
	return true, nil
}

// pick chooses whose hash an unknown name is compared with, the same for each name:
// with hashes of different costs, a name that is unknown takes as long as some known
// one.
func (p *passwords) pick(name string, n int) int {
	sum := p.sum(name)
	return int(binary.LittleEndian.Uint32(sum[:]) % uint32(n)) //nolint:gosec // n is a few users
}

func (p *passwords) remembers(name string, sum [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.right[name]
	return ok && hmac.Equal(known[:], sum[:])
}

// sum is keyed with what only this process has, so that no memory of it tells a
// password.
func (p *passwords) sum(parts ...string) (out [sha256.Size]byte) {
	mac := hmac.New(sha256.New, p.key[:])
	for _, part := range parts {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = mac.Write(size[:])
		_, _ = mac.Write([]byte(part))
	}
	mac.Sum(out[:0])
	return out
}
