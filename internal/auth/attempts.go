package auth

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout/handlers"
)

// How many wrong passwords are taken within attemptWindow: for one user from one source,
// from one source, and for one user from everywhere. The last is large, so that a stranger
// can hardly lock out who breaks the glass.
const (
	perUserAndSource = 5
	perSource        = 20
	perUser          = 100
	// perState is how often one login that was begun may come back: a provider that did
	// not answer is asked again when the person loads the page again.
	perState      = 3
	attemptWindow = 15 * time.Minute
	// maxTries bounds what is remembered; what was tried least makes way, a tenth at
	// once, so that a flood of new names and sources forgives nobody.
	maxTries = 10_000
)

// attempts counts wrong passwords. Sources are remembered in memory only: a restart
// forgives.
type attempts struct {
	mu    sync.Mutex
	tries map[string]*try
}

type try struct {
	count int
	first time.Time
}

// attempt is one try of a password, counted as wrong until it was right.
type attempt struct{ keys []string }

// limits are the same for a name that nobody has: else the first refusal would tell
// which names there are. Names are kept as hashes, since people type passwords into the
// wrong field.
func (a *attempts) limits(name, source string) map[string]int {
	name = hashed("name", name)[:16]
	limits := map[string]int{"source " + source: perSource, "both " + name + " " + source: perUserAndSource}
	// Strangers anywhere must not lock out whoever breaks the glass on the server itself.
	if source != "127.0.0.1" && source != "::/64" {
		limits["user "+name] = perUser
	}
	return limits
}

// begin counts a try of a password, or says how long no more is taken.
func (a *attempts) begin(name, source string, now time.Time) (attempt, time.Duration) {
	return a.count(a.limits(name, source), now)
}

// count counts a try for each key, or says how long no more is taken for one of them.
func (a *attempts) count(limits map[string]int, now time.Time) (attempt, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tries == nil {
		a.tries = map[string]*try{}
	}
	var out attempt
	var wait time.Duration
	for key, most := range limits {
		t := a.tries[key]
		if t != nil && now.Sub(t.first) >= attemptWindow {
			delete(a.tries, key)
			t = nil
		}
		if t != nil && t.count >= most {
			wait = max(wait, attemptWindow-now.Sub(t.first))
		}
	}
	if wait > 0 {
		return out, wait
	}
	for key := range limits {
		if a.tries[key] == nil {
			a.makeRoom(now)
			a.tries[key] = &try{first: now}
		}
		a.tries[key].count++
		out.keys = append(out.keys, key)
	}
	return out, 0
}

// right takes back what begin counted: the password was right.
func (a *attempts) right(t attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range t.keys {
		if counted := a.tries[key]; counted != nil {
			counted.count--
		}
	}
}

func (a *attempts) makeRoom(now time.Time) {
	if len(a.tries) < maxTries {
		return
	}
	maps.DeleteFunc(a.tries, func(_ string, t *try) bool { return now.Sub(t.first) >= attemptWindow })
	if len(a.tries) < maxTries {
		return
	}
	keys := slices.SortedFunc(maps.Keys(a.tries), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.tries[x].count, a.tries[y].count), a.tries[x].first.Compare(a.tries[y].first))
	})
	for _, key := range keys[:maxTries/10] {
		delete(a.tries, key)
	}
}

// source is where a request comes from: an address, or the network that one holder of
// IPv6 addresses has. What a proxy says of it is not believed; but whoever comes by way of
// a proxy on this machine is not at this machine.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap()
	if addr.IsLoopback() && handlers.Forwarded(r) != "" {
		return "proxy " + addr.String()
	}
	if addr.Is6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}
