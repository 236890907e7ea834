package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/lock"
	"github.com/backout-io/backout/internal/store"
)

// restAfter is how long after its end an aggregate is put at rest: who lists or
// counts what ended just now need not unpack it.
const restAfter = time.Hour

// packer turns a state into few bytes and back, without a loss. Of years there is
// much that has ended and is hardly ever looked at: packed, it costs a fifth.
type packer[S any] struct {
	pack   func(S) ([]byte, error)
	unpack func([]byte) (S, error)
	// ended is when the state became final; zero while it can move, or is looked for.
	ended func(*S) time.Time
}

// open returns the state of a version. Bytes that do not unpack cannot be, since
// this release packed them; they count as nothing.
func (t *table[S]) open(v *version[S]) S {
	if v.packed == nil {
		return *v.state
	}
	s, _ := t.rest.unpack(v.packed)
	return s
}

// atRest packs the version, if its state ended long enough before now.
func (t *table[S]) atRest(v *version[S], now time.Time) *version[S] {
	if v.packed != nil || t.rest.ended == nil {
		return v
	}
	if at := t.rest.ended(v.state); at.IsZero() || now.Sub(at) < restAfter {
		return v
	}
	packed, err := t.rest.pack(*v.state)
	if err != nil {
		return v
	}
	return &version[S]{packed: packed, seq: v.seq}
}

// putToRest is atRest for the version that the table has under the id, if it
// still has it.
func (t *table[S]) putToRest(id string, v *version[S], now time.Time) *version[S] {
	packed := t.atRest(v, now)
	if packed != v {
		t.entry(id).now.CompareAndSwap(v, packed)
	}
	return packed
}

// after is the version that the entry makes of the one before, nil for none. It
// is the table's own, while the table has it: then both hold one copy.
func (t *table[S]) after(before *version[S], e store.Entry) *version[S] {
	if v := t.entry(e.ID).now.Load(); v.seq == e.Seq {
		return v
	}
	return versionOf(t.fold(t.openAny(before), e.Seq, e.Record), e.Seq)
}

// openAny is open for what may be nil, which is the state before the first
// record.
func (t *table[S]) openAny(v *version[S]) (none S) {
	if v == nil {
		return none
	}
	return t.open(v)
}

// resting lists the ids of what is at rest.
func (t *table[S]) resting() []string {
	var ids []string
	t.each(func(id string, v *version[S]) {
		if v.packed != nil {
			ids = append(ids, id)
		}
	})
	return ids
}

// fill puts versions into a table that has nothing yet.
func (t *table[S]) fill(versions map[string]*version[S]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, v := range versions {
		a := &aggregate[S]{mu: lock.New()}
		a.now.Store(v)
		t.entries[id] = a
	}
}

// The packed forms: a frozen plan that many share is left out, and named by its
// hash.
type (
	packedChange struct {
		backout.Change
		Frozen *backout.FrozenPlan `json:"frozen,omitempty"`
		Shared string              `json:"shared_plan,omitempty"`
	}
	packedRollback struct {
		backout.Rollback
		Frozen *backout.FrozenPlan `json:"frozen,omitempty"`
		Shared string              `json:"shared_plan,omitempty"`
	}
)

func (e *Engine) changePacker() packer[backout.Change] {
	return packer[backout.Change]{
		pack: func(c backout.Change) ([]byte, error) {
			p := packedChange{Change: c, Frozen: c.Frozen}
			if c.Frozen != nil && e.isShared(*c.Frozen) {
				p.Frozen, p.Shared = nil, c.Frozen.Hash
			}
			return packJSON(p)
		},
		unpack: func(data []byte) (backout.Change, error) {
			var p packedChange
			err := unpackJSON(data, &p)
			p.Change.Frozen = p.Frozen
			if err == nil && p.Shared != "" {
				p.Change.Frozen, err = e.sharedPlan(p.Shared)
			}
			return p.Change, err
		},
		ended: func(c *backout.Change) time.Time {
			if !c.State.Final() {
				return time.Time{}
			}
			return c.EndedAt
		},
	}
}

func (e *Engine) rollbackPacker() packer[backout.Rollback] {
	return packer[backout.Rollback]{
		pack: func(r backout.Rollback) ([]byte, error) {
			p := packedRollback{Rollback: r, Frozen: &r.Frozen}
			if e.isShared(r.Frozen) {
				p.Frozen, p.Shared = nil, r.Frozen.Hash
			}
			return packJSON(p)
		},
		unpack: func(data []byte) (backout.Rollback, error) {
			var p packedRollback
			err := unpackJSON(data, &p)
			if err == nil && p.Shared != "" {
				p.Frozen, err = e.sharedPlan(p.Shared)
			}
			if p.Frozen != nil {
				p.Rollback.Frozen = *p.Frozen
			}
			return p.Rollback, err
		},
		ended: func(r *backout.Rollback) time.Time {
			// One that somebody has to review yet is shown to everybody until then: there are
			// few, and they need not be looked for among all that have ended.
			if !r.Status.Final() || r.Unreviewed() {
				return time.Time{}
			}
			return r.EndedAt
		},
	}
}

func packJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(s2.EncodeBetter(nil, data)), nil // without the room to spare
}

func unpackJSON(data []byte, into any) error {
	data, err := s2.Decode(nil, data)
	if err != nil {
		return err
	}
	return strictly(data, into)
}

// strictly decodes what this release wrote: a field it does not know was written
// by another.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// shared returns the one copy of a frozen plan that all changes and rollbacks
// opened under it share: there are many of them and few plans. Nobody changes a
// frozen plan.
func (e *Engine) shared(p *backout.FrozenPlan) *backout.FrozenPlan {
	if p == nil {
		return nil
	}
	first, loaded := e.plans.LoadOrStore(p.Hash, p)
	if same, ok := first.(*backout.FrozenPlan); loaded && ok && (same == p || reflect.DeepEqual(same, p)) {
		return same
	}
	return p
}

// isShared tells whether [Engine.sharedPlan] returns just this plan.
func (e *Engine) isShared(p backout.FrozenPlan) bool {
	same, err := e.sharedPlan(p.Hash)
	return err == nil && p.Hash != "" && reflect.DeepEqual(*same, p)
}

func (e *Engine) sharedPlan(hash string) (*backout.FrozenPlan, error) {
	first, _ := e.plans.Load(hash)
	p, ok := first.(*backout.FrozenPlan)
	if !ok {
		return nil, fmt.Errorf("frozen plan %s: %w", hash, backout.ErrNotFound)
	}
	return p, nil
}
