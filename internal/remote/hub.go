package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
)

// HubOptions are what a [Hub] needs.
type HubOptions struct {
	Conn Conn
	// Key signs; all servers of a store have the same.
	Key SigningKey
	// Mark tells the attempts of the server's store from those of another.
	Mark string
	Log  *slog.Logger
}

// Hub is a server's end: it speaks to the runners of all sites.
type Hub struct {
	o     HubOptions
	since time.Time

	mu    sync.Mutex
	seen  map[string]Info // by address
	sites map[string]*Site
	stop  func()
}

// Info is what is known of a runner.
type Info struct {
	Name string `json:"name"`
	Site string `json:"site"`
	// Address is where it is spoken to in this life.
	Address string `json:"address"`
	// Release is its program's version.
	Release string `json:"release"`
	// Running of its Slots are taken.
	Running  int       `json:"running"`
	Slots    int       `json:"slots"`
	LastSeen time.Time `json:"last_seen"`
	// Alive tells whether it has been heard of within the last six seconds.
	Alive bool `json:"alive"`
}

const (
	// aliveFor is how long a runner counts as there after a hello.
	aliveFor = 3 * helloEvery
	// seenFor is how long one that is gone is shown.
	seenFor = time.Hour
)

// NewHub listens for runners until [Hub.Close].
func NewHub(o HubOptions) (*Hub, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{o: o, since: time.Now(), seen: map[string]Info{}, sites: map[string]*Site{}}
	stop, err := o.Conn.Subscribe(hellos("*", "*"), "", h.greeted)
	if err != nil {
		return nil, fmt.Errorf("listen for runners: %w", err)
	}
	h.stop = stop
	return h, nil
}

// Close stops listening. The calls of its sites end with their contexts.
func (h *Hub) Close() { h.stop() }

// PublicKey is the other half of the key that it signs with, as text.
func (h *Hub) PublicKey() string { return h.o.Key.Public() }

// Site returns the way to the runners of a site; the same one every time.
func (h *Hub) Site(name string) *Site {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sites[name]
	if s == nil {
		s = &Site{hub: h, name: name, held: map[string]*held{}, told: map[string]time.Time{}}
		h.sites[name] = s
	}
	return s
}

// Runners lists the runners that were heard of within the last hour, by site and
// name.
func (h *Hub) Runners() []Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Info, 0, len(h.seen))
	for _, r := range h.seen {
		r.Alive = r.Alive && time.Since(r.LastSeen) < aliveFor
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Info) int {
		return strings.Compare(a.Site+" "+a.Name+" "+a.Address, b.Site+" "+b.Name+" "+b.Address)
	})
	return list
}

// greeted notes a hello. Who sent it stands in the subject, which NATS lets only
// that runner publish; the body only says more.
func (h *Hub) greeted(m bus.Message) {
	tokens := strings.Split(strings.TrimPrefix(m.Subject, root), ".")
	var said hello
	if len(tokens) != 3 || json.Unmarshal(m.Data, &said) != nil || !addressForm.MatchString(said.Address) || nameOf(said.Address) != tokens[2] {
		return
	}
	r := Info{
		Name: tokens[2], Site: tokens[0], Address: said.Address, Release: clip(said.Release, nameMost),
		Running: min(max(0, said.Running), slotsMost), Slots: min(max(0, said.Slots), slotsMost), LastSeen: time.Now(), Alive: !said.Leaving,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	lives := 0
	for address, other := range h.seen {
		namesake := other.Site == r.Site && other.Name == r.Name && address != r.Address
		if namesake && time.Since(other.LastSeen) > aliveFor || time.Since(other.LastSeen) > seenFor {
			delete(h.seen, address)
		} else if namesake {
			lives++
		}
	}
	if _, known := h.seen[r.Address]; !known {
		if lives >= livesMost || len(h.seen) >= seenMost {
			return
		}
		h.o.Log.Info("runner seen", "runner", r.Name, "site", r.Site, "release", r.Release)
	}
	h.seen[r.Address] = r
}

// livesMost is how many lives of one runner are listed at once: it may have been
// started again and again. seenMost bounds the list, whatever somebody says hello
// with.
const (
	livesMost = 4
	seenMost  = 10_000
)

// left tells whether the runner at the address has said good-bye.
func (h *Hub) left(address string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, known := h.seen[address]
	return known && !r.Alive
}

// alive counts the runners of the site.
func (h *Hub) alive(site string) int {
	n := 0
	for _, r := range h.Runners() {
		if r.Site == site && r.Alive {
			n++
		}
	}
	return n
}

// firstHello is how long a new server waits to hear of the runners there are.
const firstHello = helloEvery + time.Second

// choose returns the address of a runner of the site that is not among those, or
// "" when there is none: any of those that are alive, else one that may be.
func (h *Hub) choose(ctx context.Context, site string, not []string) string {
	for {
		if address := h.another(site, not); address != "" {
			return address
		}
		if time.Since(h.since) > firstHello || !wait(ctx, again/4) {
			return ""
		}
	}
}

func (h *Hub) another(site string, not []string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := map[string]Info{} // by name: many lives of one count no more than one
	for _, r := range h.seen {
		if r.Site == site && r.Alive && r.LastSeen.After(newest[r.Name].LastSeen) && !slices.Contains(not, r.Address) {
			newest[r.Name] = r
		}
	}
	address := ""
	for _, r := range newest { // in no order
		if address = r.Address; time.Since(r.LastSeen) < aliveFor {
			break
		}
	}
	return address
}

// others tells whether the site has another runner than the one of that name.
func (h *Hub) others(site, name string) bool {
	return slices.ContainsFunc(h.Runners(), func(r Info) bool { return r.Site == site && r.Alive && r.Name != name })
}

// ErrNoRunner says that nobody is there to do it.
var ErrNoRunner = errors.New("no runner")

// refusal is a runner's word why not; moved as in [reply].
type refusal struct {
	runner, reason string
	moved          bool
}

// Error implements error.
func (r refusal) Error() string { return "runner " + r.runner + " refuses: " + r.reason }

// message signs an order, and says so when it does not fit.
func (h *Hub) message(subject string, o order) (bus.Message, error) {
	m, err := h.o.Key.sign(subject, o, time.Now())
	if most := h.o.Conn.MaxPayload() - 1<<10; err == nil && len(m.Data) > most {
		return m, fmt.Errorf("%s takes %d bytes, and this NATS allows messages of %d: make the %s smaller, or raise max_payload there", o.Op, len(m.Data), most, o.largest())
	}
	return m, err
}

// largest is what takes most room in an order that is too large.
func (o order) largest() string {
	var t *backout.Task
	switch {
	case o.Work != nil:
		t = &o.Work.Task
	case o.Preflight != nil:
		t = &o.Preflight.Task
	case o.Errand != nil:
		t = o.Errand.Task
	}
	if t != nil && t.Delta != nil && len(t.Delta.Packages)+len(t.Delta.Differences) > 1_000 {
		return "patch, whose patch delta goes with each step,"
	}
	return "plan"
}

// ask sends an order and returns the first answer.
func (h *Hub) ask(ctx context.Context, subject string, o order) (reply, error) {
	m, err := h.message(subject, o)
	if err != nil {
		return reply{}, err
	}
	answer, err := h.o.Conn.Request(ctx, m)
	if err != nil {
		return reply{}, err
	}
	return read(answer)
}

func read(m bus.Message) (reply, error) {
	var r reply
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return reply{}, fmt.Errorf("a runner's answer cannot be read: %w", err)
	}
	nonsense := r.fit()
	switch {
	case r.Version != version:
		return r, refusal{runner: r.Runner, reason: fmt.Sprintf("it speaks version %d of the runners' messages, this server %d: run the same release of backout on both sides", r.Version, version)}
	case r.Refused != "":
		return r, refusal{r.Runner, r.Refused, r.Moved}
	}
	return r, nonsense
}
