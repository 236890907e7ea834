package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backout-io/backout"
)

// presenceSubject is where servers say that they are there.
const presenceSubject = "backout.presence"

// PresenceOptions say who is announced, and how often.
type PresenceOptions struct {
	Name string
	// Every is how often this server says that it is there, 1 s unless given. One
	// that was not heard four times in a row is gone.
	Every time.Duration
	// Ready tells whether the server does its work; while it does not, others are not
	// told that it is there, and look after what it had. nil means at once.
	Ready func() bool
	// Namesake is called, each time it is heard, when another server has this one's
	// name; nil ignores it.
	Namesake func()
}

// misses is how many announcements may stay out.
const misses = 4

// Presence says that this server is there and hears which others are. It keeps
// nothing and promises nothing: it is a hint for who should look after what.
type Presence struct {
	o    PresenceOptions
	conn *nats.Conn
	sub  *nats.Subscription
	run  string
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	heard map[string]time.Time
	// echo is when this server last heard itself. Where it does not, it is cut off,
	// and nothing follows from not hearing others; nor does it before knowing, for
	// a while after the start and after such a gap.
	echo, knowing time.Time
}

// beat is one announcement. Run tells two servers of one name apart.
type beat struct {
	Name string `json:"name"`
	Run  string `json:"run"`
	// Leaves is set on the last one.
	Leaves bool `json:"leaves,omitempty"`
}

// Announce begins to say that the server is there, and to listen for the others.
// The caller must Close the result, before the bus.
func (b *Bus) Announce(o PresenceOptions) (*Presence, error) {
	if o.Name == "" {
		return nil, fmt.Errorf("announce server: %w: it has no name", backout.ErrInvalid)
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	p := &Presence{
		o: o, conn: b.conn, run: rand.Text()[:12], stop: make(chan struct{}), heard: map[string]time.Time{},
	}
	var err error
	if p.sub, err = b.conn.Subscribe(presenceSubject, p.hear); err != nil {
		return nil, fmt.Errorf("announce server: %w", err)
	}
	p.done.Go(p.announce)
	return p, nil
}

func (p *Presence) announce() {
	ticker := time.NewTicker(p.o.Every)
	defer ticker.Stop()
	for {
		if p.o.Ready == nil || p.o.Ready() {
			p.say(beat{Name: p.o.Name, Run: p.run})
		}
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
	}
}

func (p *Presence) say(b beat) {
	if data, err := json.Marshal(b); err == nil {
		_ = p.conn.Publish(presenceSubject, data) // a lost one shows in its echo
	}
}

func (p *Presence) hear(m *nats.Msg) {
	var b beat
	if json.Unmarshal(m.Data, &b) != nil || b.Name == "" {
		return
	}
	if b.Name == p.o.Name && b.Run != p.run {
		if p.o.Namesake != nil && !b.Leaves {
			p.o.Namesake()
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case b.Run == p.run:
		if now.Sub(p.echo) > 2*p.o.Every {
			p.knowing = now.Add(misses * p.o.Every)
		}
		p.echo = now
	case b.Leaves:
		delete(p.heard, b.Name)
	default:
		p.heard[b.Name] = now
	}
}

// Alive tells whether the server was heard lately; true also while this cannot be
// known: for a while after the start, and while this server does not even hear
// itself.
func (p *Presence) Alive(server string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	unknown := now.Before(p.knowing) || now.Sub(p.echo) > 2*p.o.Every
	return server == p.o.Name || unknown || now.Sub(p.heard[server]) < misses*p.o.Every
}

// Names are the servers that were heard lately, this one included, sorted.
func (p *Presence) Names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := []string{p.o.Name}
	for name, at := range p.heard {
		if time.Since(at) < misses*p.o.Every {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Close says that the server leaves, so that others need not wait to notice.
func (p *Presence) Close() error {
	close(p.stop)
	p.done.Wait()
	p.say(beat{Name: p.o.Name, Run: p.run, Leaves: true})
	flushing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.FlushWithContext(flushing)
	if err := p.sub.Unsubscribe(); err != nil && !p.conn.IsClosed() {
		return fmt.Errorf("end announcement: %w", err)
	}
	return nil
}
