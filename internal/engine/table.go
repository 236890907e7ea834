package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/lock"
	"github.com/backout-io/backout/internal/store"
)

// appender is the part of a log that a table needs.
type appender interface {
	Append(ctx context.Context, id string, expected uint64, rec backout.Record) (uint64, error)
	AppendGuarded(ctx context.Context, id string, expected, streamSeq uint64, rec backout.Record) (uint64, error)
	Load(ctx context.Context, id string) ([]store.Entry, error)
	Last(ctx context.Context) (uint64, error)
	LastOf(ctx context.Context, id string) (uint64, error)
}

// decideFunc decides on one input; see the pure cores.
type decideFunc[S any] func(state S, at time.Time) ([]backout.Event, error)

// advanceFunc decides on one input and returns the state with the events folded in,
// but for its sequence. With own it may make that state of the one it was given;
// after an error the one it was given is as it was.
type advanceFunc[S any] func(state S, at time.Time, own bool) ([]backout.Event, S, error)

// table holds the folded aggregates of one log and is the only way to append to
// it. Inputs that reach one aggregate while it is being appended to are decided
// together and share the next record: a thousand targets that finish at once cost
// one commit.
type table[S any] struct {
	log    appender
	server string
	fold   func(state S, seq uint64, rec backout.Record) S
	// rest packs what is final; nil packs nothing.
	rest packer[S]
	// moved is called after a record of this server became part of the log, and
	// for records of others; own tells which. It must not block.
	moved func(ctx context.Context, id string, before, after S, own bool, rec backout.Record)

	// folded is the sequence up to which the whole log has been folded here; whole
	// lets one decision on all of it be made at a time.
	folded atomic.Uint64
	whole  lock.Lock
	// refused says since when the store takes no writes; nil when it does. refusing is
	// called when it begins to refuse, unless nil; it must not block.
	refused  atomic.Pointer[string]
	refusing func()

	mu      sync.RWMutex
	entries map[string]*aggregate[S]
}

type aggregate[S any] struct {
	mu lock.Lock // held while appending or folding
	// now is what readers see: they never wait for an append.
	now     atomic.Pointer[version[S]]
	queueMu sync.Mutex
	queue   []*request[S]
	busy    bool
}

// version is a state with the sequence of its last record, 0 for none. It is
// never changed.
type version[S any] struct {
	state *S
	// packed is what there is instead of the state once it is at rest.
	packed []byte
	seq    uint64
}

func versionOf[S any](state S, seq uint64) *version[S] { return &version[S]{state: &state, seq: seq} }

func newAggregate[S any]() *aggregate[S] {
	var none S
	a := &aggregate[S]{mu: lock.New()}
	a.now.Store(versionOf(none, 0))
	return a
}

type request[S any] struct {
	// One of these decides.
	decide  decideFunc[S]
	advance advanceFunc[S]

	done  chan struct{}
	state S
	err   error
}

func newTable[S any](log appender, server string, fold func(S, uint64, backout.Record) S) *table[S] {
	return &table[S]{log: log, server: server, fold: fold, whole: lock.New(), entries: map[string]*aggregate[S]{}}
}

func (t *table[S]) entry(id string) *aggregate[S] {
	t.mu.RLock()
	a := t.entries[id]
	t.mu.RUnlock()
	if a != nil {
		return a
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if a = t.entries[id]; a == nil {
		a = newAggregate[S]()
		t.entries[id] = a
	}
	return a
}

// get returns the state, and false when the log has no record of the id.
func (t *table[S]) get(id string) (S, bool) {
	t.mu.RLock()
	a := t.entries[id]
	t.mu.RUnlock()
	if a == nil {
		var none S
		return none, false
	}
	v := a.now.Load()
	return t.open(v), v.seq > 0
}

// all calls fn with every state there is, in no order.
func (t *table[S]) all(fn func(id string, state S)) {
	t.each(func(id string, v *version[S]) { fn(id, t.open(v)) })
}

// awake calls fn with every state that is not at rest: those that can still move,
// those that ended within [restAfter], and those that somebody has to review yet.
func (t *table[S]) awake(fn func(id string, state S)) {
	t.each(func(id string, v *version[S]) {
		if v.packed == nil {
			fn(id, t.open(v))
		}
	})
}

func (t *table[S]) each(fn func(id string, v *version[S])) {
	t.mu.RLock()
	ids := make([]string, 0, len(t.entries))
	for id := range t.entries {
		ids = append(ids, id)
	}
	t.mu.RUnlock()
	for _, id := range ids {
		if v := t.entry(id).now.Load(); v.seq > 0 {
			fn(id, v)
		}
	}
}

// replayed folds an entry that the log handed over. It reports whether the entry
// was new to the table.
func (t *table[S]) replayed(ctx context.Context, e store.Entry, live bool) bool {
	a := t.entry(e.ID)
	a.mu.Lock()
	defer a.mu.Unlock()
	defer t.advance(e.Seq)
	return t.take(ctx, a, e, live)
}

// advance notes that everything up to the sequence has been folded.
func (t *table[S]) advance(seq uint64) {
	for {
		known := t.folded.Load()
		if seq <= known || t.folded.CompareAndSwap(known, seq) {
			return
		}
	}
}

// take folds an entry that came from the log, once. One that this server wrote
// and did not know of is its own all the same: the append's answer was lost, and
// nobody else carries it out. The caller holds a.mu, so that what moved is told in
// order.
func (t *table[S]) take(ctx context.Context, a *aggregate[S], e store.Entry, live bool) bool {
	before := a.now.Load()
	if e.Seq <= before.seq {
		return false
	}
	was := t.open(before)
	after := versionOf(t.fold(was, e.Seq, e.Record), e.Seq)
	if !live {
		after = t.atRest(after, time.Now()) // there may be many
	}
	a.now.Store(after)
	if live {
		t.moved(ctx, e.ID, was, *after.state, e.Record.By == t.server, e.Record)
	}
	return true
}

// transact lets decide look at the newest state and appends what it returns. It
// answers with the state after the append, or with decide's error and no change.
// A nil answer of decide is no append and no error.
func (t *table[S]) transact(ctx context.Context, id string, decide decideFunc[S]) (S, error) {
	return t.enqueue(ctx, id, &request[S]{decide: decide, done: make(chan struct{})})
}

// advanceBy is transact for a core that folds as it decides.
func (t *table[S]) advanceBy(ctx context.Context, id string, advance advanceFunc[S]) (S, error) {
	return t.enqueue(ctx, id, &request[S]{advance: advance, done: make(chan struct{})})
}

func (t *table[S]) enqueue(ctx context.Context, id string, r *request[S]) (S, error) {
	a := t.entry(id)
	a.queueMu.Lock()
	a.queue = append(a.queue, r)
	leader := !a.busy
	a.busy = true
	a.queueMu.Unlock()
	if leader {
		// What follows is the fate of other callers' inputs too: it must not end
		// with this caller's context.
		t.lead(context.WithoutCancel(ctx), id, a)
	}
	<-r.done
	return r.state, r.err
}

// batchMax is how many inputs may share a record: with the longest of reasons it
// stays well below the 1 MiB that every NATS takes.
const batchMax = 200

// lead works the queue off, round by round, until it is empty.
func (t *table[S]) lead(ctx context.Context, id string, a *aggregate[S]) {
	for {
		a.queueMu.Lock()
		batch := a.queue[:min(len(a.queue), batchMax)]
		a.queue = a.queue[len(batch):]
		if len(batch) == 0 {
			a.queue, a.busy = nil, false
			a.queueMu.Unlock()
			return
		}
		a.queueMu.Unlock()
		t.round(ctx, id, a, batch)
		for _, r := range batch {
			close(r.done)
		}
	}
}

// appendTimeout bounds one append, retries included. A caller that was told
// "unavailable" may find that it happened all the same: the operation id tells.
const appendTimeout = 15 * time.Second

// round decides the batch on the newest state and appends once. After a lost race
// it folds what others did and decides anew.
func (t *table[S]) round(ctx context.Context, id string, a *aggregate[S], batch []*request[S]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.locked(ctx, id, a, batch)
}

// alone decides each half of the batch by itself.
func (t *table[S]) alone(ctx context.Context, id string, a *aggregate[S], batch []*request[S]) {
	half := len(batch) / 2
	t.locked(ctx, id, a, batch[:half])
	t.locked(ctx, id, a, batch[half:])
}

// locked is round for a caller that holds a.mu.
func (t *table[S]) locked(ctx context.Context, id string, a *aggregate[S], batch []*request[S]) {
	for {
		before := a.now.Load()
		was := t.open(before)
		rec := t.decideAll(id, was, before.seq, batch)
		if len(rec.Events) == 0 {
			return
		}
		appendCtx, cancel := context.WithTimeout(ctx, appendTimeout)
		seq, err := t.log.Append(appendCtx, id, before.seq, rec)
		cancel()
		switch {
		case err == nil:
			after := t.appended(ctx, id, a, was, seq, rec)
			for _, r := range batch {
				if r.err == nil {
					r.state = after
				}
			}
			return
		case errors.Is(err, backout.ErrInvalid) && len(batch) > 1:
			// Together they are too large for a record, or one of them is.
			t.alone(ctx, id, a, batch)
			return
		case errors.Is(err, backout.ErrConflict):
			if err := t.reload(ctx, id, a); err != nil {
				fail(batch, err)
				return
			}
			if a.now.Load() == before {
				// Nothing of others is there: trying again would be refused again.
				fail(batch, fmt.Errorf("append to %s: %w", id, err))
				return
			}
		default:
			t.noteRefusal(err, rec.At)
			fail(batch, fmt.Errorf("append to %s: %w", id, err))
			return
		}
	}
}

// appended folds a record of this server that has become part of the log, and
// returns the state after it. The caller holds a.mu.
func (t *table[S]) appended(ctx context.Context, id string, a *aggregate[S], was S, seq uint64, rec backout.Record) S {
	after := t.fold(was, seq, rec)
	a.now.Store(versionOf(after, seq))
	t.refused.Store(nil)
	t.moved(ctx, id, was, after, true, rec)
	return after
}

// noteRefusal remembers since when the store takes no writes.
func (t *table[S]) noteRefusal(err error, at time.Time) {
	if errors.Is(err, backout.ErrUnavailable) {
		why := fmt.Sprintf("the store takes no writes since %s: nothing is started until it does", at.Format(time.RFC3339))
		if t.refused.CompareAndSwap(nil, &why) && t.refusing != nil {
			t.refusing()
		}
	}
}

// decideAll runs the batch in order, each on what the ones before made true.
func (t *table[S]) decideAll(id string, state S, seq uint64, batch []*request[S]) backout.Record {
	at := time.Now().UTC()
	rec := backout.Record{By: t.server, At: at}
	given := state
	for _, r := range batch {
		events, after, err := t.decideOne(r, state, seq, at, len(rec.Events) > 0)
		// Nobody sees what the ones behind it may write to: what is appended is
		// answered with the state after the append.
		r.state, r.err = given, err
		if err != nil || len(events) == 0 {
			continue
		}
		state = after
		rec.Events = append(rec.Events, events...)
	}
	rec.Op = fmt.Sprintf("%s.%s.%d.%d", t.server, id, seq, at.UnixNano())
	return rec
}

// decideOne decides on one input; own says that state is the batch's own.
func (t *table[S]) decideOne(r *request[S], state S, seq uint64, at time.Time, own bool) ([]backout.Event, S, error) {
	if r.advance != nil {
		return r.advance(state, at, own)
	}
	events, err := r.decide(state, at)
	if err != nil || len(events) == 0 {
		return nil, state, err
	}
	return events, t.fold(state, seq, backout.Record{At: at, Events: events}), nil
}

// reload folds the aggregate again from its log.
func (t *table[S]) reload(ctx context.Context, id string, a *aggregate[S]) error {
	entries, err := t.log.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("load %s: %w", id, err)
	}
	for _, e := range entries {
		t.take(ctx, a, e, true)
	}
	return nil
}

func fail[S any](batch []*request[S], err error) {
	for _, r := range batch {
		if r.err == nil {
			r.err = err
		}
	}
}
