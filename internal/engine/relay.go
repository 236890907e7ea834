package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/store"
)

// relay derives notices from the logs, in their order, and hands them to the
// outbox. It remembers how far it has come, so that a server that dies between an
// append and its notices sends them after its start; a notice that was handed
// over before has the same identity and goes out once.
type relay struct {
	e *Engine

	queueMu sync.Mutex
	queue   []relayed
	more    chan struct{}

	// folded is both logs as far as they are handed over; only run touches it.
	folded folded

	mu       sync.Mutex
	position relayPosition
	revision uint64
}

// relayPosition is the last sequence of each log whose notices are handed over.
type relayPosition struct {
	Changes   uint64 `json:"changes"`
	Rollbacks uint64 `json:"rollbacks"`
}

func newRelay(e *Engine) *relay {
	return &relay{e: e, more: make(chan struct{}, 1), folded: newFolded()}
}

// relayed is one record on its way through the relay.
type relayed struct {
	entry  store.Entry
	change bool
}

// take queues a record. It never waits: an outbox that refuses must not hold up
// those who follow the log.
func (r *relay) take(next relayed) {
	r.queueMu.Lock()
	r.queue = append(r.queue, next)
	r.queueMu.Unlock()
	r.wake()
}

// wake makes run look whether there is something to do.
func (r *relay) wake() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// run works the queue off until ctx ends.
func (r *relay) run(ctx context.Context) {
	for {
		r.queueMu.Lock()
		batch := r.queue
		r.queue = nil
		r.queueMu.Unlock()
		for _, next := range batch {
			handle := r.rollback
			if next.change {
				handle = r.change
			}
			if handle(ctx, next.entry) != nil {
				return // only the end of ctx does that
			}
			r.e.snapshots.look(&r.folded)
		}
		if len(batch) > 0 {
			continue
		}
		r.e.snapshots.look(&r.folded)
		select {
		case <-ctx.Done():
			return
		case <-r.more:
		}
	}
}

// load reads how far the relay came before.
func (r *relay) load(ctx context.Context) error {
	doc, err := r.e.store.Control.Get(ctx, r.key())
	if errors.Is(err, backout.ErrNotFound) {
		return r.loadOthers(ctx)
	}
	if err == nil {
		r.revision = doc.Revision
		err = json.Unmarshal(doc.Value, &r.position)
	}
	if err != nil {
		return fmt.Errorf("read relay position: %w", err)
	}
	return nil
}

// loadOthers begins where any server has come to: what one has handed over stands
// in the outbox for all. A server with a new name would tell old news otherwise,
// once their receipts are gone.
func (r *relay) loadOthers(ctx context.Context) error {
	keys, err := r.e.store.Control.Keys(ctx, relayKey)
	if err != nil {
		return fmt.Errorf("read relay positions: %w", err)
	}
	for _, key := range keys {
		var p relayPosition
		doc, err := r.e.store.Control.Get(ctx, key)
		if err == nil {
			err = json.Unmarshal(doc.Value, &p)
		}
		if err != nil {
			return fmt.Errorf("read relay position %s: %w", key, err)
		}
		r.position.Changes, r.position.Rollbacks = max(r.position.Changes, p.Changes), max(r.position.Rollbacks, p.Rollbacks)
	}
	return nil
}

// relayKey names the position of a sole server; those of others begin with it.
const relayKey = "relay"

// key names the position; a sole server keeps its own whatever it is called.
func (r *relay) key() string {
	if r.e.sole {
		return relayKey
	}
	return relayKey + "." + r.e.server
}

// change takes the next record of CHANGES.
func (r *relay) change(ctx context.Context, entry store.Entry) error {
	before := r.folded.changes[entry.ID]
	if entry.Seq > r.done().Changes {
		notices := r.tells(r.e.changes.openAny(before), entry)
		if err := r.handOver(ctx, notices, "changes/"+entry.ID, func(p *relayPosition) { p.Changes = entry.Seq }); err != nil {
			return err
		}
	}
	r.folded.change(entry, r.e.changes.after(before, entry))
	return nil
}

// tells derives the notices of a record of a change's log.
func (r *relay) tells(c backout.Change, entry store.Entry) []backout.Notice {
	var notices []backout.Notice
	for i, ev := range entry.Record.Events {
		var further []string
		if plan, ok := r.e.cfg().Plans[c.Plan]; ok && c.Frozen == nil {
			further = plan.Audience
		}
		for _, n := range change.Tells(c, entry.Record.At, ev, further...) {
			n.ID = fmt.Sprintf("%s.%d.%d", entry.ID, entry.Seq, i)
			notices = append(notices, n)
		}
		c = change.Apply(c, entry.Seq, entry.Record.At, ev)
	}
	return notices
}

// rollback takes the next record of ROLLBACKS.
func (r *relay) rollback(ctx context.Context, entry store.Entry) error {
	before := r.folded.rollbacks[entry.ID]
	if entry.Seq > r.done().Rollbacks {
		notices := toldBy(r.e.rollbacks.openAny(before), entry.Seq, entry.Record)
		r.e.cfg().actingFirst(notices)
		if err := r.handOver(ctx, notices, "rollbacks/"+entry.ID, func(p *relayPosition) { p.Rollbacks = entry.Seq }); err != nil {
			return err
		}
	}
	r.folded.rollback(entry, r.e.rollbacks.after(before, entry))
	return nil
}

func (r *relay) done() relayPosition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position
}

// handOver stores the notices in the outbox, as long as it takes, then remembers
// the position.
func (r *relay) handOver(ctx context.Context, notices []backout.Notice, path string, advance func(*relayPosition)) error {
	for _, n := range notices {
		if err := r.send(ctx, r.e.withURL(n, path)); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	advance(&r.position)
	if len(notices) == 0 {
		return nil // nothing to lose: deriving it again yields nothing again
	}
	data, err := json.Marshal(r.position)
	if err == nil {
		err = r.remember(ctx, data)
	}
	if err != nil && ctx.Err() == nil {
		// Handing a notice over twice is harmless, so this is not fatal.
		r.e.log.Warn("relay position not stored", "error", err)
	}
	return nil
}

func (r *relay) remember(ctx context.Context, data []byte) (err error) {
	if r.revision == 0 {
		r.revision, err = r.e.store.Control.Create(ctx, r.key(), data)
		return err
	}
	revision, err := r.e.store.Control.Put(ctx, r.key(), data, r.revision)
	switch {
	case err == nil:
		r.revision = revision
	case errors.Is(err, backout.ErrConflict):
		// The answer to an earlier Put was lost; the next one goes on from there.
		if doc, read := r.e.store.Control.Get(ctx, r.key()); read == nil {
			r.revision = doc.Revision
		}
	}
	return err
}

// send hands one notice over; while the store refuses it is tried again, so that
// no notice is lost and their order is kept. One that the store can never take goes
// without its long parts: it must not keep those behind it for ever.
func (r *relay) send(ctx context.Context, n backout.Notice) error {
	short := false
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := r.e.sender.Send(ctx, n)
		if err == nil {
			return nil
		}
		if errors.Is(err, backout.ErrInvalid) && !short {
			r.e.log.Error("notice is too large to be stored, handed over without its details", "notice_id", n.ID, "error", err)
			n, short = n.Abridged(), true
			continue
		}
		if backout.IsPermanent(err) || errors.Is(err, backout.ErrInvalid) {
			r.e.log.Error("notice has no way out", "notice_id", n.ID, "moment", n.Moment, "audience", n.Audience, "error", err)
			return nil
		}
		r.e.log.Warn("notice not handed over, trying again", "notice_id", n.ID, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
