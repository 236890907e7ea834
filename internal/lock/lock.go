// Package lock has the lock for what takes long: an append to the store, a call to
// a target. Who waits for it is at rest in the eyes of testing/synctest, which for
// a [sync.Mutex] is not so: virtual time would stand still for ever.
package lock

// Lock is a mutual exclusion lock. Make one with [New].
type Lock struct{ held chan struct{} }

// New returns a lock that nobody holds.
func New() Lock { return Lock{make(chan struct{}, 1)} }

// Lock waits until nobody holds the lock, and takes it.
func (l Lock) Lock() { l.held <- struct{}{} }

// Unlock lets go of it. It must be held.
func (l Lock) Unlock() { <-l.held }
