package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

const (
	// snapshotKey names the one document that says which snapshot stands.
	snapshotKey = "fold-snapshot"
	// snapshotFormat is the number of the form, foldSchema that of what the folds
	// make of the logs. It grows with every change of them after which an old
	// snapshot would be wrong, whatever the release;
	// TestFoldsAreThoseOfTheSchema says when.
	snapshotFormat = 2
	foldSchema     = 13
)

// snapshotDoc says what a snapshot covers and which artifacts it is made of.
type snapshotDoc struct {
	Format    int   `json:"format"`
	Schema    int   `json:"schema"`
	Changes   place `json:"changes"`
	Rollbacks place `json:"rollbacks"`
	// Plans hold the frozen plans that the states in Parts name.
	Plans []string `json:"plans,omitempty"`
	Parts []string `json:"parts,omitempty"`
	// By is the server that made it.
	By string `json:"by"`
}

func (d *snapshotDoc) records() uint64     { return d.Changes.Seq + d.Rollbacks.Seq }
func (d *snapshotDoc) artifacts() []string { return slices.Concat(d.Plans, d.Parts) }

// errDoubt marks a snapshot that is there and cannot be used.
var errDoubt = errors.New("the snapshot cannot be used")

// current reads the document; its revision is 0 when there is none. One that this
// release cannot read is [errDoubt].
func (s *snapshots) current(ctx context.Context) (doc snapshotDoc, revision uint64, err error) {
	have, err := s.e.store.Control.Get(ctx, snapshotKey)
	if errors.Is(err, backout.ErrNotFound) {
		return doc, 0, nil
	}
	if err != nil {
		return doc, 0, err
	}
	if err = strictly(have.Value, &doc); err != nil {
		return snapshotDoc{}, have.Revision, fmt.Errorf("%w: %w", errDoubt, err)
	}
	if doc.Format != snapshotFormat || doc.Schema != foldSchema {
		err = fmt.Errorf("%w: it has format %d and schema %d, this release makes %d and %d", errDoubt, doc.Format, doc.Schema, snapshotFormat, foldSchema)
	}
	return doc, have.Revision, err
}

// write stores a snapshot, unless one stands that covers all but less than after
// of its records. It returns how many records the one that stands then covers.
func (s *snapshots) write(ctx context.Context, f folded, after uint64) (covered uint64) {
	old, revision, err := s.current(ctx)
	switch {
	case errors.Is(err, errDoubt):
	case err != nil:
		s.e.log.Warn("snapshot not written", "error", err)
		return 0
	case f.records() < old.records()+after:
		return old.records()
	case f.changesAt.Seq < old.Changes.Seq || f.rollbacksAt.Seq < old.Rollbacks.Seq:
		return old.records() // it only moves forward
	default:
		covered = old.records()
	}
	doc, err := s.put(ctx, f, s.e.store.Artifacts.Put)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(doc); err == nil {
			_, err = s.e.store.Control.Put(ctx, snapshotKey, data, revision)
		}
	}
	switch {
	case err == nil:
		s.remove(ctx, old.artifacts(), doc.artifacts())
		return f.records()
	case errors.Is(err, backout.ErrConflict):
		// Another server's stands by now.
		if now, _, err := s.current(ctx); err == nil {
			s.remove(ctx, doc.artifacts(), slices.Concat(now.artifacts(), old.artifacts()))
			covered = now.records()
		}
	case ctx.Err() == nil:
		s.e.log.Warn("snapshot not written", "error", err)
	}
	return covered
}

// remove deletes artifacts that nothing names any more. What stays takes room
// only.
func (s *snapshots) remove(ctx context.Context, artifacts, keep []string) {
	for _, digest := range artifacts {
		if slices.Contains(keep, digest) {
			continue
		}
		if err := s.e.store.Artifacts.Delete(ctx, digest); err != nil && ctx.Err() == nil {
			s.e.log.Warn("old snapshot not deleted", "error", err)
		}
	}
}

// resume reads the snapshot that stands and puts it into the tables. Without a
// usable one it returns the beginning of both logs.
func (s *snapshots) resume(ctx context.Context) folded {
	doc, revision, err := s.current(ctx)
	if err == nil && revision == 0 {
		return newFolded()
	}
	f := newFolded()
	if err == nil {
		f, err = s.read(ctx, doc, s.e.store.Artifacts.Get)
	}
	if err != nil {
		s.e.log.Warn("no snapshot to begin from, reading the logs from their beginning", "error", err)
		return newFolded()
	}
	s.covered = f.records()
	s.e.changes.fill(f.changes)
	s.e.changes.advance(f.changesAt.Seq)
	s.e.rollbacks.fill(f.rollbacks)
	s.e.rollbacks.advance(f.rollbacksAt.Seq)
	s.e.world.recorded = f.verdicts.clone()
	return f
}

// put stores the parts of a snapshot. Those of what is at rest come in the order
// in which it ended, so they are the same the next time, and stored already.
func (s *snapshots) put(ctx context.Context, f folded, store func(context.Context, []byte) (string, error)) (snapshotDoc, error) {
	doc := snapshotDoc{Format: snapshotFormat, Schema: foldSchema, Changes: f.changesAt, Rollbacks: f.rollbacksAt, By: s.e.server}
	var err error
	if doc.Plans, err = writeParts(ctx, planFrames(&s.e.plans), store); err != nil {
		return doc, err
	}
	for _, section := range []frames{
		restingFrames(kindRestingRollback, f.rollbacks),
		restingFrames(kindRestingChange, f.changes),
		verdictFrames(f.verdicts),
		awakeFrames(kindChange, f.changes, s.e.changes.rest),
		awakeFrames(kindRollback, f.rollbacks, s.e.rollbacks.rest),
	} {
		parts, err := writeParts(ctx, section, store)
		if err != nil {
			return doc, err
		}
		doc.Parts = append(doc.Parts, parts...)
	}
	return doc, nil
}

// readers is how many parts are read at once.
const readers = 4

// read reads the parts of a snapshot, which get returns by their digests.
func (s *snapshots) read(ctx context.Context, doc snapshotDoc, get func(context.Context, string) ([]byte, error)) (folded, error) {
	f := newFolded()
	for _, digest := range doc.Plans {
		if err := s.readPart(ctx, digest, get, &f); err != nil {
			return f, err
		}
	}
	got, errs := make([]folded, len(doc.Parts)), make([]error, len(doc.Parts))
	slots := make(chan struct{}, readers)
	var all sync.WaitGroup
	for i, digest := range doc.Parts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			got[i] = newFolded()
			errs[i] = s.readPart(ctx, digest, get, &got[i])
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return f, err
	}
	for _, part := range got {
		f.add(part)
	}
	f.changesAt, f.rollbacksAt = doc.Changes, doc.Rollbacks
	return f, nil
}

func (s *snapshots) readPart(ctx context.Context, digest string, get func(context.Context, string) ([]byte, error), into *folded) error {
	data, err := get(ctx, digest)
	if err != nil {
		return err
	}
	if err := s.e.readFrames(data, into); err != nil {
		return fmt.Errorf("read snapshot part %s: %w", digest, err)
	}
	return nil
}

// stored says a place in the words of the store. The result's map is its own.
func stored[S any](at place, versions map[string]*version[S]) store.Place {
	last := make(map[string]uint64, len(versions))
	for id, v := range versions {
		last[id] = v.seq
	}
	return store.Place{Seq: at.Seq, ID: at.ID, Op: at.Op, Last: last}
}
