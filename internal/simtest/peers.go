package simtest

import (
	"slices"
	"time"

	"github.com/backout-io/backout/internal/engine"
)

// deadAfter is how long a server may be silent before the others think it gone.
const deadAfter = 5 * time.Second

// span is a time with an end, or with none yet.
type span struct{ from, to time.Time }

func (s span) open() bool { return s.to.IsZero() }

// peers is what one server hears of the others. Who has ended, in whatever way, is
// missed after a while.
type peers struct {
	w    *World
	name string
}

var _ engine.Peers = peers{}

// Alive implements [engine.Peers].
func (p peers) Alive(server string) bool { return slices.Contains(p.Names(), server) }

// Names implements [engine.Peers].
func (p peers) Names() []string {
	names := []string{p.name}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, s := range p.w.servers {
		if s.name != p.name && !p.w.missing(s.name, time.Now(), time.Now()) {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

// Knows implements [engine.Peers].
func (p peers) Knows() bool { return time.Since(p.since()) >= deadAfter }

// Since implements [engine.Peers].
func (p peers) Since() time.Time {
	since := p.since()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, s := range p.w.servers {
		if s.name != p.name && !p.w.missing(s.name, time.Now(), time.Now()) && s.began.Before(since) {
			since = s.began
		}
	}
	return since
}

// since is when the server itself began; the present while it starts.
func (p peers) since() time.Time {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, s := range p.w.servers {
		if s.name == p.name && s.running() {
			return s.began
		}
	}
	return time.Now()
}

func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}

// quiet notes that the others do not hear a server from now on, or that they do
// again.
func (w *World) quiet(name string, quiet bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	spans := w.silences[name]
	last := len(spans) - 1
	switch open := last >= 0 && spans[last].open(); {
	case quiet && !open:
		w.silences[name] = append(spans, span{from: time.Now()})
	case !quiet && open:
		spans[last].to = time.Now()
	}
}

// missing tells whether the others thought the server gone at any moment between
// the two. The caller holds w.mu.
func (w *World) missing(name string, from, to time.Time) bool {
	return slices.ContainsFunc(w.silences[name], func(s span) bool {
		return !s.from.Add(deadAfter).After(to) && (s.open() || !s.to.Before(from))
	})
}

// wasMissing is missing for who does not hold w.mu.
func (w *World) wasMissing(name string, from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missing(name, from, to)
}

// Mute keeps the others from hearing the server though it runs.
func (s *Server) Mute(mute bool) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.w.quiet(s.name, mute)
	}
}
