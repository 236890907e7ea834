package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

const (
	// monitoringEvery is how often it is looked whether monitoring is blind.
	monitoringEvery = 5 * time.Second
	// monitoringKey names what all servers know of it.
	monitoringKey = "monitoring"
	// maxBlindSpans is how many times of blindness are remembered.
	maxBlindSpans = 50
)

// blindness is what all servers know together: whether monitoring is blind, and when
// it was. It is a document that changes by compare-and-set, so that each blindness
// is found and told once, whichever servers come and go meanwhile.
type blindness struct {
	Now   blindSpan   `json:"now"`
	Spans []blindSpan `json:"spans,omitempty"`
}

// blindSpan is one time of blindness.
type blindSpan struct {
	// Since is when it began, Until when it was over; zero while it is not.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// LastSeen is when the watchdog was seen last before; zero when it never was.
	LastSeen time.Time `json:"last_seen,omitzero"`
	// FoundAt is when a server found out.
	FoundAt time.Time `json:"found_at,omitzero"`
	// Told and ToldBack say that the notices are in the outbox.
	Told     bool `json:"told,omitempty"`
	ToldBack bool `json:"told_back,omitempty"`
}

func (s blindSpan) on() bool { return !s.Since.IsZero() && s.Until.IsZero() }

// monitoring knows whether anybody would tell that a target is red.
type monitoring struct {
	e    *Engine
	wake chan struct{}

	mu   sync.Mutex
	dogs watchdogs
	// from is since when this server waits for the watchdog under the config that
	// watched is: nothing is missing until it had its time to come.
	from    time.Time
	watched *Monitoring
	known   blindness
	// heard is when this server heard of the blindness that is known: who found it may
	// have a clock that is ahead.
	heard time.Time
	// was is set when monitoring was blind at the last look, or since.
	was bool
	// shown is what those who watch were told of last.
	shown shown

	revision uint64 // of the document; only look touches it
}

func newMonitoring(e *Engine) *monitoring {
	return &monitoring{e: e, wake: make(chan struct{}, 1), dogs: watchdogs{}}
}

// takes takes in an alert if it is the watchdog, and tells whether it is: then it is
// evidence against nothing.
func (m *monitoring) takes(a *backout.Alert, at time.Time) bool {
	cfg := m.e.cfg().Monitoring
	if cfg == nil || !cfg.Watchdog.Match(a) {
		return false
	}
	m.mu.Lock()
	now := time.Now()
	m.dogs.notAfter(now)
	_, before := m.blind(cfg, now)
	m.dogs.take(a, earliest(at, now))
	span, after := m.blind(cfg, now)
	m.was = m.was || before
	moved := m.moved(span, after)
	m.mu.Unlock()
	if moved {
		m.e.news.tell()
	}
	if before != after {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// is tells whether the alert is the watchdog.
func (m *monitoring) is(a *backout.Alert) bool {
	cfg := m.e.cfg().Monitoring
	return cfg != nil && cfg.Watchdog.Match(a)
}

// blind tells whether monitoring is, and which time of blindness it is. The caller
// holds m.mu.
func (m *monitoring) blind(cfg *Monitoring, now time.Time) (blindSpan, bool) {
	if cfg == nil {
		return blindSpan{}, false
	}
	until, said := m.dogs.until(cfg.MissingAfter)
	if m.known.Now.on() {
		// It is over once the watchdog is here again, not because a server is new.
		back := now.Before(until) && m.dogs.last().After(earliest(m.known.Now.FoundAt, m.heard))
		return m.known.Now, !back
	}
	if !m.waits(cfg) {
		return blindSpan{}, false // its time has not begun
	}
	if patience := m.from.Add(cfg.MissingAfter); patience.After(until) && !(said && until.After(m.from)) {
		until = patience
	}
	if now.Before(until) {
		return blindSpan{}, false
	}
	return blindSpan{Since: until.UTC(), LastSeen: m.dogs.last().UTC()}, true
}

// red says why no target counts as green now; empty while somebody watches.
func (m *monitoring) red() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	span, blind := m.blind(m.e.cfg().Monitoring, time.Now())
	if !blind {
		return ""
	}
	return "monitoring is blind since " + span.Since.UTC().Format(time.RFC3339) + ": nobody would tell that a target is red"
}

// start reads what the servers know, and begins to wait for the watchdog.
func (m *monitoring) start(ctx context.Context) error {
	if m.e.cfg().Monitoring == nil {
		return nil
	}
	return m.read(ctx)
}

// run looks every so often, and when the watchdog comes back or ends.
func (m *monitoring) run(ctx context.Context) {
	ticker := time.NewTicker(monitoringEvery)
	defer ticker.Stop()
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.e.log.Warn("whether monitoring is blind is not recorded, trying again", "error", err)
		}
		m.refresh()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-m.wake:
		}
	}
}

// look brings the document up to date, owes every green target another look once
// monitoring was blind, cancels what waits for nothing when it is back, and tells people.
func (m *monitoring) look(ctx context.Context) error {
	cfg := m.e.cfg().Monitoring
	m.mu.Lock()
	is := false
	if cfg == nil {
		m.watched = nil
	} else {
		m.begin(cfg, time.Now())
		_, is = m.blind(cfg, time.Now())
	}
	was := m.was || is
	m.was = is
	m.mu.Unlock()
	if was && cfg != nil {
		m.oweRed()
	}
	if was && !is {
		m.e.rollbacks.awake(func(_ string, r backout.Rollback) { m.e.cancelUnconfirmed(r) })
	}
	m.e.confirmEnds(cfg)
	if cfg == nil {
		return nil
	}
	if err := m.read(ctx); err != nil {
		return err
	}
	if err := m.move(ctx, cfg); err != nil {
		return err
	}
	return m.tell(ctx, cfg)
}

// begin begins to wait for the watchdog, if it is another than before. The caller holds
// m.mu.
func (m *monitoring) begin(cfg *Monitoring, now time.Time) {
	if !m.waits(cfg) {
		m.from = now
	}
	m.watched = cfg
	// Nothing was later than now, whatever a clock has said.
	m.from, m.heard = earliest(m.from, now), earliest(m.heard, now)
	m.dogs.notAfter(now)
}

// waits tells whether it waits for that watchdog already.
func (m *monitoring) waits(cfg *Monitoring) bool {
	return m.watched != nil && (m.watched == cfg || m.watched.same(cfg))
}

// learn takes what all servers know. The caller holds m.mu.
func (m *monitoring) learn(known blindness) {
	if !known.Now.Since.Equal(m.known.Now.Since) {
		m.heard = time.Now()
	}
	m.known = known
}

func (m *Monitoring) same(o *Monitoring) bool {
	return m.Watchdog.String() == o.Watchdog.String() && m.MissingAfter == o.MissingAfter
}

// read reads the document.
func (m *monitoring) read(ctx context.Context) error {
	doc, err := m.e.store.Control.Get(ctx, monitoringKey)
	if errors.Is(err, backout.ErrNotFound) {
		return nil
	}
	var known blindness
	if err == nil {
		err = json.Unmarshal(doc.Value, &known)
	}
	if err != nil {
		return fmt.Errorf("read monitoring: %w", err)
	}
	m.revision = doc.Revision
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn(known)
	return nil
}

// move records that a blindness begins or is over. What another server has recorded
// meanwhile is read at the next look.
func (m *monitoring) move(ctx context.Context, cfg *Monitoring) error {
	now := time.Now().UTC()
	m.mu.Lock()
	next := m.known
	span, blind := m.blind(cfg, now)
	m.mu.Unlock()
	switch {
	case blind == next.Now.on():
		return nil
	case blind:
		if !next.Now.Since.IsZero() {
			spans := append([]blindSpan{next.Now}, next.Spans...)
			next.Spans = spans[:min(len(spans), maxBlindSpans)]
		}
		span.FoundAt = now
		next.Now = span
		m.e.log.Warn("monitoring is blind: the watchdog alert is missing", "last_seen", span.LastSeen)
	default:
		next.Now.Since, next.Now.Until = earliest(next.Now.Since, now), now
		m.e.log.Info("monitoring is back", "blind_since", next.Now.Since)
	}
	return m.write(ctx, next)
}

func (m *monitoring) write(ctx context.Context, next blindness) error {
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write monitoring: %w", err)
	}
	revision, err := m.e.store.Control.Put(ctx, monitoringKey, data, m.revision)
	if errors.Is(err, backout.ErrConflict) {
		return m.read(ctx) // another server was faster
	}
	if err != nil {
		return fmt.Errorf("write monitoring: %w", err)
	}
	m.revision = revision
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn(next)
	return nil
}

// oweRed makes every green target begin anew: it was not seen for a while.
func (m *monitoring) oweRed() {
	m.e.rollbacks.awake(func(id string, r backout.Rollback) {
		if r.Status.Final() || !m.e.owns(id) {
			return
		}
		for _, t := range r.Targets {
			if !t.GreenSince.IsZero() && rollback.Judged(r, t.Name) {
				m.e.owedRed.Store(id+"/"+t.Name, "monitoring was blind")
			}
		}
	})
}
