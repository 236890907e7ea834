package app

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/config"
)

// announce lets the servers on one NATS know of each other, once they have started:
// what one had that takes long to start, or hangs, others take over meanwhile. The
// embedded store has one server only.
func (a *App) announce(cfg *config.Config) error {
	if cfg.NATS.URL == "" {
		return nil
	}
	a.namesake.name, a.namesake.log = cfg.ServerName, a.o.Log
	var err error
	a.presence, err = a.bus.Announce(bus.PresenceOptions{Name: cfg.ServerName, Namesake: a.namesake.heard})
	if err != nil {
		return err
	}
	a.later(a.presence.Close)
	return nil
}

// namesake watches for another server of the same name: each would take what the
// other has claimed for its own.
type namesake struct {
	name string
	log  *slog.Logger

	mu   sync.Mutex
	last time.Time
	// inARow counts announcements that came one soon after the other: a server that
	// is being replaced is heard a few times more.
	inARow int
}

const (
	namesakeGap = 5 * time.Second
	namesakeMin = 5
)

func (n *namesake) heard() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.last) > namesakeGap {
		n.inARow = 0
	}
	n.last = time.Now()
	if n.inARow++; n.inARow == namesakeMin {
		n.log.Error("another server on this NATS has the same server_name: give each its own and restart it", "server_name", n.name)
	}
}

// problem is an error while there is such a server.
func (n *namesake) problem() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inARow < namesakeMin || time.Since(n.last) > namesakeGap {
		return nil
	}
	return fmt.Errorf("%w: another server on this NATS is called %q too: give each its own server_name", backout.ErrConflict, n.name)
}
