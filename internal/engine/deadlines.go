package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// deadlines is a wheel of one timer: it knows the earliest deadline of each key
// and calls fire when one has passed. Deadlines are in the logs; this only wakes
// the server at the right time.
type deadlines struct {
	mu    sync.Mutex
	queue deadlineQueue
	byKey map[string]*deadline
	wake  chan struct{}
}

type deadline struct {
	key   string
	at    time.Time
	index int
}

func newDeadlines() *deadlines {
	return &deadlines{byKey: map[string]*deadline{}, wake: make(chan struct{}, 1)}
}

// arm is set with what next returns. It is asked under the lock, so that of two
// calls at once the newer state counts.
func (d *deadlines) arm(key string, next func() (time.Time, bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := next()
	d.move(key, at, ok)
}

// set arms, moves or (with ok false) clears the deadline of a key.
func (d *deadlines) set(key string, at time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.move(key, at, ok)
}

// move is called with d.mu held.
func (d *deadlines) move(key string, at time.Time, ok bool) {
	known := d.byKey[key]
	switch {
	case !ok && known != nil:
		heap.Remove(&d.queue, known.index)
		delete(d.byKey, key)
		return
	case !ok:
		return
	case known != nil:
		known.at = at
		heap.Fix(&d.queue, known.index)
	default:
		known = &deadline{key: key, at: at}
		d.byKey[key] = known
		heap.Push(&d.queue, known)
	}
	if d.queue[0] == known {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// run calls fire with the keys whose deadlines have passed, the earliest first,
// until ctx ends. A fired deadline is disarmed; fire's effects arm it again.
func (d *deadlines) run(ctx context.Context, fire func(keys []string)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		keys, wait := d.due(time.Now())
		if len(keys) > 0 {
			fire(keys)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
	}
}

func (d *deadlines) due(now time.Time) (keys []string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) > 0 && !d.queue[0].at.After(now) {
		next, ok := heap.Pop(&d.queue).(*deadline)
		if !ok {
			break
		}
		delete(d.byKey, next.key)
		keys = append(keys, next.key)
	}
	if len(d.queue) == 0 {
		return keys, time.Hour
	}
	return keys, d.queue[0].at.Sub(now)
}

// deadlineQueue is a heap by time.
type deadlineQueue []*deadline

func (q deadlineQueue) Len() int           { return len(q) }
func (q deadlineQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q deadlineQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements [heap.Interface].
func (q *deadlineQueue) Push(x any) {
	d, ok := x.(*deadline)
	if !ok {
		return
	}
	d.index = len(*q)
	*q = append(*q, d)
}

// Pop implements [heap.Interface].
func (q *deadlineQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// lane works keys off, several at a time and the newest first: when very many are
// due at once, one that comes due meanwhile does not wait for all of them.
type lane struct {
	// most is how many are worked on at once.
	most int
	// spawn starts a worker; a worker ends when there is nothing to do.
	spawn func(fn func(ctx context.Context))
	do    func(ctx context.Context, key string)

	mu      sync.Mutex
	waiting []string
	working int
}

// add takes keys, the most urgent last.
func (l *lane) add(keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, keys...)
	for range min(len(l.waiting), l.most-l.working) {
		l.working++
		l.spawn(l.work)
	}
}

func (l *lane) work(ctx context.Context) {
	for {
		l.mu.Lock()
		last := len(l.waiting) - 1
		if last < 0 || ctx.Err() != nil {
			l.working--
			l.mu.Unlock()
			return
		}
		key := l.waiting[last]
		if l.waiting = l.waiting[:last]; last == 0 {
			l.waiting = nil // there may have been very many
		}
		l.mu.Unlock()
		l.do(ctx, key)
	}
}
