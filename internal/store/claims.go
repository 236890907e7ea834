package store

import (
	"context"
	"slices"
	"sync"
)

// maxLoose bounds how many batches with loose posts are remembered. Only posts
// that were never acknowledged are at stake when the oldest is forgotten.
const maxLoose = 4096

// claims remembers which posts of this run nobody was told about: those of a
// batch whose answer was lost, and those whose waiter had gone. Batches are
// numbered from 1 and settled in order.
type claims struct {
	mu      sync.Mutex
	settled uint64
	changed chan struct{} // closed and replaced when settled grows
	loose   map[uint64]loose
	order   []uint64 // keys of loose, oldest first
}

// loose are the posts of a batch that are not claimed: all or some.
type loose struct {
	all   bool
	posts []int
}

func newClaims() *claims {
	return &claims{changed: make(chan struct{}), loose: make(map[uint64]loose)}
}

// settle records how a batch ended.
func (c *claims) settle(number uint64, stored bool, unclaimed []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !stored || len(unclaimed) > 0 {
		c.loose[number] = loose{all: !stored, posts: unclaimed}
		c.order = append(c.order, number)
		if len(c.order) > maxLoose {
			delete(c.loose, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.settled = number
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait waits until the batch has ended for its writers and returns which of its
// posts were claimed, and whether all were.
func (c *claims) wait(ctx context.Context, number uint64) (claimed func(int) bool, whole bool, _ error) {
	for {
		c.mu.Lock()
		settled, changed, l := c.settled, c.changed, c.loose[number]
		c.mu.Unlock()
		if settled >= number {
			return func(i int) bool { return !l.all && !slices.Contains(l.posts, i) }, !l.all && len(l.posts) == 0, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}
