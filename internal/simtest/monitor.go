package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// monitor is the monitoring of a simulated world. It sends what it sees until a
// server has taken it, and answers what fires.
type monitor struct {
	w      *World
	direct bool

	mu     sync.Mutex
	alerts map[Alert]*seen
	// past is what fired, each time that it changed.
	past []snapshot
}

// seen is one alert as monitoring knows it. The key of its map has name and target
// only.
type seen struct {
	since  time.Time
	firing bool
	// unsent is set while no server has taken the last news of it.
	unsent bool
	// known is since when it fires for the servers: where they never took that it
	// ended, its earlier start.
	known time.Time
}

type snapshot struct {
	at     time.Time
	firing map[string]bool
}

func newMonitor(w *World, direct bool) *monitor {
	return &monitor{w: w, direct: direct, alerts: map[Alert]*seen{}}
}

// see notes that an alert fires, or has ended.
func (m *monitor) see(name, target string, firing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := Alert{Name: name, Target: target}
	s := m.alerts[key]
	switch {
	case s == nil && !firing, s != nil && s.firing == firing:
		return
	case s == nil:
		s = &seen{}
		m.alerts[key] = s
	}
	if firing {
		s.since = time.Now()
	}
	s.firing, s.unsent = firing, true
	m.w.story.note("alert", "%s on %s firing: %t", name, target, firing)
	now := map[string]bool{}
	for a, s := range m.alerts {
		if s.firing {
			now[a.Fingerprint()] = true
		}
	}
	m.past = append(m.past, snapshot{time.Now(), now})
}

// firing are the alerts that fire, sorted.
func (m *monitor) firing() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Alert
	for _, a := range m.sorted() {
		if m.alerts[a].firing {
			out = append(out, a)
		}
	}
	return out
}

func (m *monitor) sorted() []Alert {
	return slices.SortedFunc(maps.Keys(m.alerts), func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Name, b.Name))
	})
}

// again says that what fires is to be sent once more, as senders do.
func (m *monitor) again() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.alerts {
		s.unsent = s.unsent || s.firing
	}
}

// send sends the news to a server; what it does not take is sent again next time.
func (m *monitor) send(s *Server) {
	m.mu.Lock()
	var keys, news []Alert
	for _, a := range m.sorted() {
		if m.alerts[a].unsent {
			keys = append(keys, a)
			news = append(news, Alert{Name: a.Name, Target: a.Target, Since: m.alerts[a].since, Resolved: !m.alerts[a].firing})
		}
	}
	m.mu.Unlock()
	if len(news) == 0 {
		return
	}
	post := s.Post
	if m.direct {
		post = s.PostDirect
	}
	code := post(news...)
	m.w.story.note("do", "%d alerts sent to %s: %d", len(news), s.name, code)
	if code != http.StatusOK {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, key := range keys {
		s := m.alerts[key]
		s.unsent = false
		switch {
		case news[i].Resolved:
			s.known = time.Time{}
		case s.known.IsZero():
			s.known = s.since
		}
	}
}

// Firing implements the engine's FiringAlerts.
func (m *monitor) Firing(context.Context) (map[string]bool, error) {
	at := time.Now()
	fault, size := m.w.sky.draw(alertFaults, "alertmanager", fmt.Sprint("asked at ", at.Sub(m.w.story.begin).Round(time.Second)))
	switch fault {
	case alertsFail:
		return nil, errors.New("alertmanager answers 502")
	case alertsStale:
		at = at.Add(-between(time.Minute, 10*time.Minute, size))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range slices.Backward(m.past) {
		if !s.at.After(at) {
			return maps.Clone(s.firing), nil
		}
	}
	return map[string]bool{}, nil
}
