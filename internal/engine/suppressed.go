package engine

import (
	"context"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/checks"
)

const (
	// treatmentEvery is how often Alertmanager is asked how it treats what is red on
	// targets of live changes, and treatmentSoon the least time between two
	// questions when something turns red.
	treatmentEvery = 15 * time.Second
	treatmentSoon  = 3 * time.Second
	// treatmentFor is how long an answer counts.
	treatmentFor = time.Minute
	// treatmentTimeout bounds a question.
	treatmentTimeout = 10 * time.Second
)

// TreatedAlerts asks Alertmanager how it treats what is firing now, by fingerprint.
type TreatedAlerts interface {
	Treated(ctx context.Context) (map[string]checks.Treatment, error)
}

// suppressions are what Alertmanager said last of the alerts that are red on targets
// of live changes.
type suppressions struct {
	mu      sync.Mutex
	at      time.Time
	treated map[string]checks.Treatment
}

// of fills in what is known of an alert.
func (s *suppressions) of(fingerprint string, now time.Time) backout.Signals {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.treated[fingerprint]
	if !t.Known || now.Sub(s.at) > treatmentFor {
		return backout.Signals{}
	}
	return backout.Signals{Asked: true, Silenced: t.Silenced, Inhibited: t.Inhibited}
}

// knows tells whether the last answer spoke of the alert.
func (s *suppressions) knows(fingerprint string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.treated[fingerprint]
	return ok
}

// said keeps an answer, but only for what is red: Alertmanager may know very many.
func (s *suppressions) said(treated map[string]checks.Treatment, red []*backout.Alert, at time.Time) {
	kept := make(map[string]checks.Treatment, len(red))
	for _, a := range red {
		if t, ok := treated[a.Fingerprint]; ok {
			kept[a.Fingerprint] = t
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.treated, s.at = kept, at
}

// treatedLoop asks Alertmanager while something is red on a target of a live change,
// every so often, and soon when something turns red.
func (e *Engine) treatedLoop(ctx context.Context) {
	ticker := time.NewTicker(treatmentEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-e.reddened:
		}
		e.askTreated(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(treatmentSoon):
		}
	}
}

func (e *Engine) askTreated(ctx context.Context) {
	cfg := e.cfg()
	red := e.world.redOnLive()
	if cfg.Treated == nil || len(red) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, treatmentTimeout)
	defer cancel()
	at := time.Now()
	treated, err := cfg.Treated.Treated(ctx)
	if err != nil {
		// After a minute nothing is known any more, and rules see that.
		e.log.Debug("alertmanager does not say how it treats alerts", "error", err)
		return
	}
	e.world.suppressed.said(treated, red, at)
}

// reddenSoon wakes the loop.
func (e *Engine) reddenSoon() {
	select {
	case e.reddened <- struct{}{}:
	default:
	}
}
