package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

// A part of a snapshot is a row of frames:
//
//	frame = kind (1 byte) | sequence | length of id | id | length of body | body
//
// Numbers are unsigned varints. The body of a change or a rollback is its packed
// state, of anything else JSON.
const (
	kindPlan            = 'p'
	kindVerdict         = 'v'
	kindChange          = 'c'
	kindRestingChange   = 'C'
	kindRollback        = 'r'
	kindRestingRollback = 'R'

	// partSize is where a part ends, in bytes: few enough to be held several times.
	partSize = 4 << 20
)

type frame struct {
	kind byte
	seq  uint64
	id   string
	body []byte
}

// frames are made one after the other, so that never all are in memory.
type frames = iter.Seq2[frame, error]

func (f frame) append(to []byte) []byte {
	to = append(to, f.kind)
	to = binary.AppendUvarint(to, f.seq)
	to = binary.AppendUvarint(to, uint64(len(f.id)))
	to = append(to, f.id...)
	to = binary.AppendUvarint(to, uint64(len(f.body)))
	return append(to, f.body...)
}

// cutFrame reads the first frame of a part; its body is a piece of data.
func cutFrame(data []byte) (f frame, rest []byte, err error) {
	rest = data[1:]
	number := func() (n uint64) {
		var size int
		if n, size = binary.Uvarint(rest); size <= 0 {
			err = errors.New("it is cut short")
			return 0
		}
		rest = rest[size:]
		return n
	}
	text := func() (b []byte) {
		n := number()
		if err != nil || n > uint64(len(rest)) {
			err = errors.New("it is cut short")
			return nil
		}
		b, rest = rest[:n:n], rest[n:]
		return b
	}
	f.kind, f.seq = data[0], number()
	f.id, f.body = string(text()), text()
	return f, rest, err
}

// writeParts hands the frames to store in parts, which returns a digest for each part.
func writeParts(ctx context.Context, all frames, store func(context.Context, []byte) (string, error)) (digests []string, err error) {
	var part []byte
	put := func() error {
		digest, err := store(ctx, part)
		digests, part = append(digests, digest), part[:0]
		return err
	}
	for f, err := range all {
		if err != nil {
			return nil, err
		}
		if part = f.append(part); len(part) >= partSize {
			if err := put(); err != nil {
				return nil, err
			}
		}
	}
	if len(part) > 0 {
		err = put()
	}
	return digests, err
}

func jsonFrame(kind byte, id string, body any) (frame, error) {
	data, err := json.Marshal(body)
	return frame{kind: kind, id: id, body: data}, err
}

func planFrames(plans *sync.Map) frames {
	all := map[string]any{}
	for hash, plan := range plans.Range {
		if hash, ok := hash.(string); ok {
			all[hash] = plan
		}
	}
	return func(yield func(frame, error) bool) {
		for _, hash := range slices.Sorted(maps.Keys(all)) {
			if !yield(jsonFrame(kindPlan, hash, all[hash])) {
				return
			}
		}
	}
}

// givenVerdict is one verdict that is remembered.
type givenVerdict struct {
	Rule        string    `json:"rule"`
	Hash        string    `json:"hash,omitempty"`
	Target      string    `json:"target"`
	Fingerprint string    `json:"fingerprint"`
	At          time.Time `json:"at"`
}

func verdictFrames(all verdicts) frames {
	return func(yield func(frame, error) bool) {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			for key, at := range all[id] {
				if !yield(jsonFrame(kindVerdict, id, givenVerdict{key.rule, key.hash, key.target, key.fingerprint, at})) {
					return
				}
			}
		}
	}
}

// restingFrames are the versions at rest, in the order of their last records.
func restingFrames[S any](kind byte, versions map[string]*version[S]) frames {
	var all []frame
	for id, v := range versions {
		if v.packed != nil {
			all = append(all, frame{kind: kind, seq: v.seq, id: id, body: v.packed})
		}
	}
	slices.SortFunc(all, func(a, b frame) int { return cmp.Compare(a.seq, b.seq) })
	return func(yield func(frame, error) bool) {
		for _, f := range all {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func awakeFrames[S any](kind byte, versions map[string]*version[S], p packer[S]) frames {
	return func(yield func(frame, error) bool) {
		for id, v := range versions {
			if v.packed != nil {
				continue
			}
			packed, err := p.pack(*v.state)
			if !yield(frame{kind: kind, seq: v.seq, id: id, body: packed}, err) {
				return
			}
		}
	}
}

// readFrames adds what a part holds. Only what is awake is unpacked.
func (e *Engine) readFrames(data []byte, into *folded) error {
	for len(data) > 0 {
		f, rest, err := cutFrame(data)
		if err == nil {
			err = e.readFrame(f, into)
		}
		if err != nil {
			return fmt.Errorf("%q of kind %q: %w", f.id, f.kind, err)
		}
		data = rest
	}
	return nil
}

func (e *Engine) readFrame(f frame, into *folded) error {
	switch f.kind {
	case kindPlan:
		plan := &backout.FrozenPlan{}
		if err := strictly(f.body, plan); err != nil {
			return err
		}
		e.plans.LoadOrStore(f.id, plan)
	case kindVerdict:
		var g givenVerdict
		if err := strictly(f.body, &g); err != nil {
			return err
		}
		into.verdicts.noteKey(f.id, verdictKey{g.Rule, g.Hash, g.Target, g.Fingerprint}, g.At)
	case kindChange, kindRestingChange:
		return read(f, f.kind == kindRestingChange, e.changes.rest, into.changes)
	case kindRollback, kindRestingRollback:
		return read(f, f.kind == kindRestingRollback, e.rollbacks.rest, into.rollbacks)
	default:
		return errors.New("this release does not know it")
	}
	return nil
}

func read[S any](f frame, resting bool, p packer[S], into map[string]*version[S]) error {
	v := &version[S]{packed: f.body, seq: f.seq}
	if !resting {
		state, err := p.unpack(f.body)
		if err != nil {
			return err
		}
		v = versionOf(state, f.seq)
	}
	into[f.id] = v
	return nil
}

// add takes over what another part holds.
func (f *folded) add(part folded) {
	maps.Copy(f.changes, part.changes)
	maps.Copy(f.rollbacks, part.rollbacks)
	for id, known := range part.verdicts {
		for key, at := range known {
			f.verdicts.noteKey(id, key, at)
		}
	}
}
