package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout/internal/lock"
)

// newsEvery is the shortest time between two rounds of calls: ten thousand alerts a
// second are one piece of news to whoever looks at a page.
const newsEvery = 100 * time.Millisecond

// news tells whoever watches that something pages show may have changed. Who changes
// something says so with tell, under whatever locks it holds; one goroutine calls those
// who watch, under none. The zero value tells nobody.
type news struct {
	// due is set from the first tell until the round that answers it begins.
	due  atomic.Bool
	wake chan struct{}

	mu sync.Mutex
	// watching is replaced whole, never changed in place.
	watching []*watcher
}

// watcher is one who watches. Its lock only makes stop wait for a call under way.
type watcher struct {
	mu      lock.Lock
	stopped bool
	fn      func()
}

// Watch implements [handlers.Insight]. Calls come one at a time, at most ten a second,
// the last one after the last change. fn must not call stop, which waits for a call
// under way.
func (e *Engine) Watch(fn func()) (stop func()) { return e.news.watch(fn) }

func (n *news) watch(fn func()) (stop func()) {
	w := &watcher{mu: lock.New(), fn: fn}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watching = append(slices.Clone(n.watching), w)
	return func() {
		n.mu.Lock()
		n.watching = slices.DeleteFunc(slices.Clone(n.watching), func(o *watcher) bool { return o == w })
		n.mu.Unlock()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = true
	}
}

// tell says that something has changed: it has, for whoever asks from now on. It never
// blocks and costs next to nothing while a round is due already.
func (n *news) tell() {
	if n.due.Load() || !n.due.CompareAndSwap(false, true) {
		return
	}
	select {
	case n.wake <- struct{}{}:
	default: // nobody runs it
	}
}

// run calls those who watch until ctx ends.
func (n *news) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		n.due.Store(false) // what changes from here on is another round's
		n.call()
		select {
		case <-ctx.Done():
			return
		case <-time.After(newsEvery):
		}
	}
}

func (n *news) call() {
	n.mu.Lock()
	watching := n.watching
	n.mu.Unlock()
	for _, w := range watching {
		w.call()
	}
}

func (w *watcher) call() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.fn()
	}
}

// waits notes why nobody has claimed an attempt, for people.
func (e *Engine) waits(attemptID, why string) {
	if was, known := e.waiting.Swap(attemptID, why); !known || was != why {
		e.news.tell()
	}
}

// waitsNoMore forgets it.
func (e *Engine) waitsNoMore(attemptID string) {
	if _, known := e.waiting.LoadAndDelete(attemptID); known {
		e.news.tell()
	}
}

// shown is what pages show of monitoring.
type shown struct {
	blind       bool
	since, seen time.Time
}

// seenNews is how much later the watchdog must have been seen to be news by itself.
const seenNews = 10 * time.Second

// moved tells whether pages would show something else of monitoring now than when it
// was last so. The caller holds m.mu.
func (m *monitoring) moved(span blindSpan, blind bool) bool {
	now := shown{blind: blind, since: span.Since, seen: m.dogs.last()}
	was := m.shown
	if now.blind == was.blind && now.since.Equal(was.since) && now.seen.Sub(was.seen).Abs() < seenNews {
		return false
	}
	m.shown = now
	return true
}

// refresh tells those who watch when pages would show something else of monitoring.
func (m *monitoring) refresh() {
	m.mu.Lock()
	span, blind := m.blind(m.e.cfg().Monitoring, time.Now())
	moved := m.moved(span, blind)
	m.mu.Unlock()
	if moved {
		m.e.news.tell()
	}
}
