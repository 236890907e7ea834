package store

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/backout-io/backout"
)

const (
	// What may wait to be committed; more is refused at once.
	maxWaiters      = 8192
	maxWaitingBytes = 64 << 20
	// headerRoom is kept free in a message for its headers, in bytes.
	headerRoom = 4 << 10
	// maxBatchBytes is the largest batch, in bytes, whatever the server allows.
	maxBatchBytes = 8<<20 - headerRoom
	// keepBuffer is the largest buffer kept while nothing happens, in bytes.
	keepBuffer = 1 << 20
)

// The states of a waiter.
const (
	waiting int32 = iota
	answered
	abandoned
)

// waiter is one post and the goroutine that waits for it.
type waiter struct {
	post  Post
	size  int
	batch *batch // set once taken from the queue; guarded by committer.mu
	state atomic.Int32
	// The rest is written before done is closed and read after.
	done     chan struct{}
	position Position
	err      error
}

// batch is the posts of one message.
type batch struct {
	number  uint64
	waiters []*waiter
	size    int
	encoded chan struct{} // closed when the posts are no longer read
}

// committer stores posts, many in a message. One goroutine takes all that wait,
// stores them as one batch and answers their waiters; meanwhile the next batch
// gathers. A lone post goes at once.
type committer struct {
	pub    publisher
	server string
	run    string
	limit  int
	claims *claims
	table  *crc32.Table

	wake chan struct{} // holds at most one token
	done chan struct{}

	mu     sync.Mutex
	queue  []*waiter
	bytes  int
	taken  uint64 // batches so far
	closed bool
}

func newCommitter(pub publisher, server, run string) *committer {
	limit := min(int(pub.js.Conn().MaxPayload())-headerRoom, maxBatchBytes)
	return &committer{
		pub: pub, server: server, run: run, limit: limit, claims: newClaims(), table: castagnoli(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// add queues the waiter, or refuses it at once.
func (c *committer) add(w *waiter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("%w: the store is closing", backout.ErrUnavailable)
	case len(c.queue) >= maxWaiters, c.bytes+w.size > maxWaitingBytes:
		return fmt.Errorf("%w: %w", backout.ErrUnavailable, errBusy)
	}
	c.queue = append(c.queue, w)
	c.bytes += w.size
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes the waiter back: out of the queue if it is still there, else it
// waits until the committer no longer reads the post. It tells whether the
// waiter is free to go; if not, its answer has come.
func (c *committer) withdraw(w *waiter) bool {
	c.mu.Lock()
	if w.batch == nil {
		c.queue = slices.DeleteFunc(c.queue, func(other *waiter) bool { return other == w })
		c.bytes -= w.size
		c.mu.Unlock()
		return true
	}
	encoded := w.batch.encoded
	c.mu.Unlock()
	<-encoded
	return w.state.CompareAndSwap(waiting, abandoned)
}

// take removes the next batch from the queue: as many as fit, in order. It
// returns nil when nothing waits.
func (c *committer) take() (b *batch, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, c.closed
	}
	c.taken++
	b = &batch{number: c.taken, size: 1, encoded: make(chan struct{})}
	for _, w := range c.queue {
		if b.size+w.size > c.limit {
			break
		}
		w.batch = b
		b.size += w.size
		b.waiters = append(b.waiters, w)
	}
	c.queue = slices.Delete(c.queue, 0, len(b.waiters))
	c.bytes -= b.size - 1
	return b, c.closed
}

// loop commits until close, and then what is left.
func (c *committer) loop() {
	defer close(c.done)
	var kept buffers
	for {
		b, closed := c.take()
		switch {
		case b != nil:
			if !c.commit(b, &kept) {
				kept = buffers{} // the connection may still hold one
			}
		case closed:
			return
		default:
			if cap(kept.batch)+cap(kept.packed) > keepBuffer {
				kept = buffers{}
			}
			<-c.wake
		}
	}
}

// buffers are used again for each batch.
type buffers struct{ batch, packed []byte }

// write makes the message of a batch.
func (k *buffers) write(b *batch, table *crc32.Table) []byte {
	k.batch = append(slices.Grow(k.batch[:0], b.size), batchVersion)
	for _, w := range b.waiters {
		k.batch = appendFrame(k.batch, w.post, table)
	}
	data := packed(k.batch, k.packed)
	if data[0] == packedVersion {
		k.packed = data
	}
	return data
}

// commit stores one batch and answers its waiters. It does not heed anybody's
// context: the posts belong to many.
func (c *committer) commit(b *batch, kept *buffers) bool {
	data := kept.write(b, c.table)
	close(b.encoded)
	id := fmt.Sprintf("%s.%d", c.run, b.number)
	ack, err := c.pub.commit(context.Background(), message{
		subject: alertsSubject, id: id, data: data,
		header: nats.Header{headerServer: {c.server}, headerBatch: {id}},
	})
	var seq uint64
	if err == nil {
		seq = ack.Sequence
	}
	var unclaimed []int
	for i, w := range b.waiters {
		w.position, w.err = Position{Seq: seq, Index: i}, err
		if !w.state.CompareAndSwap(waiting, answered) {
			unclaimed = append(unclaimed, i)
		}
	}
	// Before the waiters wake: whoever follows the log may already wait for this.
	c.claims.settle(b.number, err == nil, unclaimed)
	for _, w := range b.waiters {
		close(w.done)
	}
	return err == nil
}

// close lets no more in, commits what waits, and returns when all are answered.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.done
}
