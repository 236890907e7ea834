package simtest

import (
	"slices"
	"time"

	"github.com/backout-io/backout/internal/engine"
)

// deadAfter is how long a server may be silent before the others think it gone.
const deadAfter = 5 * time.Second

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
		if s.name != p.name && s.heard() {
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
		if s.name != p.name && s.heard() && s.began.Before(since) {
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

func (s *Server) heard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone.IsZero() || time.Since(s.gone) < deadAfter
}

// Mute keeps the others from hearing the server though it runs.
func (s *Server) Mute(mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = time.Time{}
	if mute {
		s.gone = time.Now()
	}
}
