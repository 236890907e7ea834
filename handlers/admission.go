package handlers

import "sync/atomic"

// admission counts what waits and refuses what would be too much. It never
// waits itself: who is refused comes again.
type admission struct {
	maxCount, maxBytes int64
	count, bytes       atomic.Int64
}

// enter takes one place for size bytes; leave must be called with the same size
// if it returns true. maxBytes 0 means that bytes are not counted.
func (a *admission) enter(size int64) bool {
	if a.count.Add(1) > a.maxCount {
		a.count.Add(-1)
		return false
	}
	if a.bytes.Add(size) > a.maxBytes && a.maxBytes > 0 {
		a.leave(size)
		return false
	}
	return true
}

func (a *admission) leave(size int64) {
	a.bytes.Add(-size)
	a.count.Add(-1)
}
