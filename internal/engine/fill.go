package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
)

// fillTask sets what an executor gets to know of the change and of the task's
// target: what the patch is, the target's baseline, what was made on it for the way
// back, and what the patch has changed there, as far as the change's log has come.
func (e *Engine) fillTask(ctx context.Context, c backout.Change, t *backout.Task) error {
	name := t.Target.Name
	t.Patch, t.WindowFor = c.Patch, windowFor(c, time.Now())
	t.Baseline, t.Prepared, t.Delta = c.Baselines[name], nil, nil
	t.Opened = !c.OpenedAt.IsZero()
	var err error
	if t.Baseline != "" {
		if t.Prepared, err = e.found.preparedOf(ctx, e.store.Artifacts, t.Baseline); err != nil {
			return fmt.Errorf("read baseline of %s: %w", name, err)
		}
	}
	if digest := c.Deltas[name]; digest != "" {
		if t.Delta, err = e.found.delta(ctx, e.store.Artifacts, digest); err != nil {
			return fmt.Errorf("read patch delta of %s: %w", name, err)
		}
	}
	return nil
}

// windowFor is how long the traces of the patch have to be kept from now on.
func windowFor(c backout.Change, now time.Time) backout.Duration {
	until := c.WatchUntil
	if until.IsZero() {
		closes := c.Window.Closes
		if closes.IsZero() {
			closes = now.Add(change.DefaultWindow)
		}
		until = closes.Add(time.Duration(c.Window.Watch))
	}
	return backout.Duration(max(until.Sub(now), 0).Round(time.Second))
}

// What is remembered of each kind of artifact: so many. Deltas and the gate's answers,
// which are kept whole and may be large, of so many bytes together as they are stored.
const (
	foundMost  = 10_000
	foundBytes = 32 << 20
)

// getter reads artifacts by their digests.
type getter interface {
	Get(ctx context.Context, digest string) ([]byte, error)
}

// found remembers the parts of artifacts that every task needs, and what pages show
// again and again. Their content never changes, so that what is remembered is never
// old; it is to be read only.
type found struct {
	prepared memory[[]backout.Prepared]
	deltas   memory[*backout.Delta]
	answers  memory[handlers.GateResult]
}

func newFound() *found {
	return &found{deltas: memory[*backout.Delta]{weighs: true}, answers: memory[handlers.GateResult]{weighs: true}}
}

func (f *found) preparedOf(ctx context.Context, from getter, digest string) ([]backout.Prepared, error) {
	return f.prepared.of(ctx, from, digest, func(data []byte) ([]backout.Prepared, error) {
		var b struct {
			Prepared []backout.Prepared `json:"prepared"`
		}
		err := json.Unmarshal(data, &b)
		return b.Prepared, err
	})
}

func (f *found) delta(ctx context.Context, from getter, digest string) (*backout.Delta, error) {
	return f.deltas.of(ctx, from, digest, func(data []byte) (*backout.Delta, error) {
		d := &backout.Delta{}
		err := json.Unmarshal(data, d)
		return d, err
	})
}

// answer is an answer of the gate, in lists of its own.
func (f *found) answer(ctx context.Context, from getter, digest string) (handlers.GateResult, error) {
	g, err := f.answers.of(ctx, from, digest, func(data []byte) (g handlers.GateResult, err error) {
		err = json.Unmarshal(data, &g)
		return g, err
	})
	g.Violations, g.Warnings, g.Looks = slices.Clone(g.Violations), slices.Clone(g.Warnings), slices.Clone(g.Looks)
	return g, err
}

// keep remembers what was just stored.
func (f *found) keep(digest string, prepared []backout.Prepared) {
	f.prepared.keep(digest, prepared, 0)
}

// memory is what was made of artifacts, by their digests.
type memory[V any] struct {
	// weighs is set where all of an artifact is kept.
	weighs bool

	mu    sync.Mutex
	known map[string]V
	bytes int
}

func (m *memory[V]) keep(digest string, v V, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= foundMost || m.bytes+size > foundBytes {
		m.known, m.bytes = map[string]V{}, 0
	}
	m.known[digest] = v
	m.bytes += size
}

// of is what decode makes of an artifact, made once.
func (m *memory[V]) of(ctx context.Context, from getter, digest string, decode func([]byte) (V, error)) (V, error) {
	m.mu.Lock()
	v, ok := m.known[digest]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	data, err := from.Get(ctx, digest)
	if err != nil {
		return v, err
	}
	if v, err = decode(data); err != nil {
		return v, fmt.Errorf("decode artifact %s: %w", digest, err)
	}
	size := 0
	if m.weighs {
		size = len(data)
	}
	m.keep(digest, v, size)
	return v, nil
}
