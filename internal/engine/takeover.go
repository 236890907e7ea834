package engine

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// Peers tells which of the servers on one store were heard lately. It is a hint:
// whoever is wrongly thought gone is only looked after by another, and what both
// do is decided by the log and by the target.
type Peers interface {
	// Alive is true for whoever was heard lately, and while that cannot be known.
	Alive(server string) bool
	// Names are the servers that were heard lately, this one included, sorted.
	Names() []string
	// Knows tells whether something follows from not hearing a server: not right
	// after the start, nor while this server is cut off.
	Knows() bool
	// Since is since when at least one of those that are heard has been there all
	// the time.
	Since() time.Time
}

const (
	// sweepEvery is how often it is looked for work that nobody looks after.
	sweepEvery = 2 * time.Second
	// orphaned is how long a requested attempt may wait for the server that asked
	// for it before any other tries too.
	orphaned = 3 * time.Second
)

// owns tells whether this server is the one that verifies the rollback, cleans up
// after it, and takes over what is orphaned in it: of all that are alive the one
// with the highest hash, so that each knows without asking.
func (e *Engine) owns(key string) bool {
	if e.peers == nil {
		return true
	}
	if !e.peers.Knows() {
		return false
	}
	best, most := e.server, weight(e.server, key)
	for _, name := range e.peers.Names() {
		if w := weight(name, key); w > most || w == most && name > best {
			best, most = name, w
		}
	}
	return best == e.server
}

func weight(server, key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(server + "\x00" + key))
	// FNV leaves the last byte's change in the low bits: mix it into all.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// sweepLoop finds what nobody looks after, on this server or on one that is gone.
func (e *Engine) sweepLoop(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	waiting, gone := map[string]time.Time{}, map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			waiting = e.sweep(waiting, time.Now())
			gone = e.sweepCaptures(ctx, gone, time.Now())
		}
	}
}

// sweep looks at every attempt of every rollback that is not final. waiting holds
// since when each requested attempt is known to wait.
func (e *Engine) sweep(waiting map[string]time.Time, now time.Time) map[string]time.Time {
	still := map[string]time.Time{}
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if r.Status.Final() {
			return
		}
		e.verifiers.ensure(r)
		for _, t := range r.Targets {
			if t.Phase != backout.TargetRunning || t.Attempt == nil {
				continue
			}
			if _, ok := e.carriedBy(t.Attempt.ID); ok {
				continue
			}
			switch by := t.Attempt.Runner; {
			case by == "":
				since, known := waiting[t.Attempt.ID]
				if !known {
					since = now
				}
				still[t.Attempt.ID] = since
				if now.Sub(since) >= orphaned {
					e.carryOut(rollback.Requested(r, t))
				}
			case e.mine(by):
				e.resumeAttempt(r, t)
			case e.peers != nil && !e.peers.Alive(by) && e.owns(t.Attempt.ID):
				e.spawn(func(ctx context.Context) { e.takeOver(ctx, id, t) })
			}
		}
	})
	return still
}

// takeOver looks after an attempt from now on whose server is gone.
func (e *Engine) takeOver(ctx context.Context, id string, t backout.TargetState) {
	r, err := e.input(ctx, id, rollback.TakeOver{AttemptID: t.Attempt.ID, Runner: e.server, From: t.Attempt.Runner})
	switch {
	case err == nil:
		e.log.Warn("attempt taken over from a server that is gone", "rollback_id", id, "target", t.Name, "attempt", t.Attempt.ID, "from", t.Attempt.Runner)
		if now := r.Target(t.Name); now != nil && now.Attempt != nil && e.mine(now.Attempt.Runner) {
			e.resumeAttempt(r, *now)
		}
	case errors.Is(err, backout.ErrConflict), errors.Is(err, backout.ErrStale), errors.Is(err, backout.ErrFinal), ctx.Err() != nil:
	default:
		e.log.Error("attempt not taken over, trying again", "rollback_id", id, "target", t.Name, "attempt", t.Attempt.ID, "error", err)
	}
}

// handOver gives an attempt on a target that this server cannot reach to the next
// one, which may stand elsewhere. It reports whether there is one.
func (e *Engine) handOver(ctx context.Context, id, attemptID string) bool {
	next := e.nextPeer()
	if r, _ := e.rollbacks.get(id); next == "" || r.Status != backout.RollbackRunning || !r.PausedAt.IsZero() {
		return false // what waits for people waits here
	}
	if _, err := e.input(ctx, id, rollback.TakeOver{AttemptID: attemptID, Runner: next, From: e.server}); err != nil {
		return false
	}
	e.log.Warn("attempt handed over, its target is out of reach from here", "rollback_id", id, "attempt", attemptID, "to", next)
	return true
}

// onceHandedOver hands an attempt over that this server cannot look after, unless
// it has done so before: then nobody can.
func (e *Engine) onceHandedOver(ctx context.Context, id, attemptID string) bool {
	if _, before := e.passed.LoadOrStore(attemptID, true); before {
		return false
	}
	return e.handOver(ctx, id, attemptID)
}

// nextPeer is the server after this one, by name, round and round; empty when
// there is no other.
func (e *Engine) nextPeer() string {
	if e.peers == nil || !e.peers.Knows() {
		return ""
	}
	names := e.peers.Names()
	i := slices.Index(names, e.server)
	if i < 0 || len(names) < 2 {
		return ""
	}
	return names[(i+1)%len(names)]
}
