package engine

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

const (
	// snapshotEvery is how many records later the next one is taken.
	snapshotEvery = 20_000
	// snapshotAtEnd is the share of that which is worth one at the end.
	snapshotAtEnd = 40
	// snapshotTimeout bounds the one at the end.
	snapshotTimeout = 10 * time.Second
)

// folded is both logs, folded up to a record of each.
type folded struct {
	changesAt, rollbacksAt place
	changes                map[string]*version[backout.Change]
	rollbacks              map[string]*version[backout.Rollback]
	verdicts               verdicts
}

// place is a record of a log: its sequence, and how to know it again.
type place struct {
	Seq uint64 `json:"seq"`
	ID  string `json:"id,omitempty"`
	Op  string `json:"op,omitempty"`
}

func placeOf(e store.Entry) place { return place{Seq: e.Seq, ID: e.ID, Op: e.Record.Op} }

func newFolded() folded {
	return folded{
		changes: map[string]*version[backout.Change]{}, rollbacks: map[string]*version[backout.Rollback]{}, verdicts: verdicts{},
	}
}

func (f *folded) change(entry store.Entry, after *version[backout.Change]) {
	f.changesAt, f.changes[entry.ID] = placeOf(entry), after
	f.verdicts.noteAll(entry.Record)
	if after.packed != nil || !after.state.State.Live() {
		delete(f.verdicts, entry.ID)
	}
}

func (f *folded) rollback(entry store.Entry, after *version[backout.Rollback]) {
	f.rollbacksAt, f.rollbacks[entry.ID] = placeOf(entry), after
}

// records is how many there are up to here.
func (f *folded) records() uint64 { return f.changesAt.Seq + f.rollbacksAt.Seq }

// snapshots keeps a start short: now and then the fold is stored, so that only
// what came later is to be read. A snapshot is a cache and never the truth: what
// is absent, damaged or of another schema costs a longer start and nothing else.
//
// One that covers a record also promises that its notices were handed to the
// outbox, so every server may begin where any server's snapshot ends.
type snapshots struct {
	e     *Engine
	every uint64

	mu   sync.Mutex
	busy bool
	// covered is how many records the snapshot that stands covers, as far as is
	// known; tried, how many the last one was to cover.
	covered, tried uint64
}

func newSnapshots(e *Engine, every int) *snapshots {
	return &snapshots{e: e, every: uint64(cmp.Or(max(every, 0), snapshotEvery))} //nolint:gosec // not negative
}

// look takes a snapshot of what the relay has handed over, if it is time. Only
// the copy of the tables' outlines is made here, the rest in a goroutine.
func (s *snapshots) look(f *folded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.e.live.Load() || s.busy || f.records() < max(s.covered, s.tried)+s.every {
		return
	}
	s.busy, s.tried = true, f.records()
	taken := s.outline(f)
	s.e.spawn(func(ctx context.Context) {
		covered := s.write(ctx, taken, s.every)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy, s.covered = false, covered
	})
}

// end takes one when the engine is closed. Nothing else runs any more.
func (s *snapshots) end(f *folded) {
	after := max(s.every/snapshotAtEnd, 1)
	if !s.e.live.Load() || f.records() < s.covered+after {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	s.write(ctx, s.outline(f), after)
}

// outline copies what moves on, and puts to rest what has ended long ago.
func (s *snapshots) outline(f *folded) folded {
	now := time.Now()
	for id, v := range f.changes {
		f.changes[id] = s.e.changes.putToRest(id, v, now)
	}
	for id, v := range f.rollbacks {
		f.rollbacks[id] = s.e.rollbacks.putToRest(id, v, now)
	}
	taken := *f
	taken.changes, taken.rollbacks, taken.verdicts = maps.Clone(f.changes), maps.Clone(f.rollbacks), f.verdicts.clone()
	return taken
}

func (vs verdicts) clone() verdicts {
	out := make(verdicts, len(vs))
	for id, known := range vs {
		out[id] = maps.Clone(known)
	}
	return out
}
