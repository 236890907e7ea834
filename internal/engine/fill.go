package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
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

// foundMost is how many artifacts of each kind are remembered.
const foundMost = 10_000

// getter reads artifacts by their digests.
type getter interface {
	Get(ctx context.Context, digest string) ([]byte, error)
}

// found remembers the parts of artifacts that every task needs. Their content
// never changes, so that what is remembered is never old; it is to be read only.
type found struct {
	mu       sync.Mutex
	prepared map[string][]backout.Prepared
	deltas   map[string]*backout.Delta
}

func newFound() *found {
	return &found{prepared: map[string][]backout.Prepared{}, deltas: map[string]*backout.Delta{}}
}

func (f *found) preparedOf(ctx context.Context, from getter, digest string) ([]backout.Prepared, error) {
	return remembered(ctx, f, f.prepared, from, digest, func(data []byte) ([]backout.Prepared, error) {
		var b struct {
			Prepared []backout.Prepared `json:"prepared"`
		}
		err := json.Unmarshal(data, &b)
		return b.Prepared, err
	})
}

func (f *found) delta(ctx context.Context, from getter, digest string) (*backout.Delta, error) {
	return remembered(ctx, f, f.deltas, from, digest, func(data []byte) (*backout.Delta, error) {
		d := &backout.Delta{}
		err := json.Unmarshal(data, d)
		return d, err
	})
}

// keep remembers what was just stored.
func (f *found) keep(digest string, prepared []backout.Prepared) {
	f.mu.Lock()
	defer f.mu.Unlock()
	remember(f.prepared, digest, prepared)
}

func remember[V any](known map[string]V, digest string, v V) {
	if len(known) >= foundMost {
		clear(known)
	}
	known[digest] = v
}

// remembered is what decode makes of an artifact, made once.
func remembered[V any](ctx context.Context, f *found, known map[string]V, from getter, digest string, decode func([]byte) (V, error)) (V, error) {
	f.mu.Lock()
	v, ok := known[digest]
	f.mu.Unlock()
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
	f.mu.Lock()
	defer f.mu.Unlock()
	remember(known, digest, v)
	return v, nil
}
