package handlers

import "sync/atomic"

// admission counts what waits and refuses what would be too much. It never
// waits itself: who is refused comes again.
type admission struct {
	maxCount, maxBytes int64
	count, bytes       atomic.Int64
}

// enter takes one place; leave gives it back if enter returned true.
func (a *admission) enter() bool {
	if a.count.Add(1) > a.maxCount {
		a.count.Add(-1)
		return false
	}
	return true
}

func (a *admission) leave() { a.count.Add(-1) }

// charge counts bytes that have come; release gives them back if charge returned
// true.
func (a *admission) charge(size int64) bool {
	if a.bytes.Add(size) > a.maxBytes {
		a.bytes.Add(-size)
		return false
	}
	return true
}

func (a *admission) release(size int64) { a.bytes.Add(-size) }
