package simtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is one kind of trouble.
type Fault string

// The faults of single operations. Those of whole servers, targets and channels
// are actions of the [driver].
const (
	noFault Fault = ""

	writeRefused Fault = "write refused"
	answerLost   Fault = "answer lost"
	writeSlow    Fault = "write slow"
	// writeLate is stored after its writer was told that no answer came.
	writeLate   Fault = "write late"
	crashBefore Fault = "crash before a write"
	crashAfter  Fault = "crash after a write"

	readRefused Fault = "read refused"
	readSlow    Fault = "read slow"

	notConnected Fault = "target not connected"
	lostBefore   Fault = "connection lost before"
	lostAfter    Fault = "connection lost after"
	// startLate happens after its server was told that the connection is lost.
	startLate   Fault = "start late"
	callSlow    Fault = "target slow"
	callHangs   Fault = "target hangs"
	callRefused Fault = "target refuses"
	lookFails   Fault = "look at a target fails"
	lookSlow    Fault = "look at a target slow"
	// saysUnknown is a target that has lost its record of an attempt.
	saysUnknown Fault = "target lies: unknown"

	noticeRefused Fault = "notice refused"
	// noticeUnsure is delivered and reported as failed.
	noticeUnsure Fault = "notice answer lost"
	noticeSlow   Fault = "notice slow"

	alertsFail  Fault = "alertmanager fails"
	alertsStale Fault = "alertmanager stale"
)

// The faults that can befall an operation of each class.
var (
	writeFaults  = []Fault{writeRefused, answerLost, writeSlow, writeLate, crashBefore, crashAfter}
	readFaults   = []Fault{readRefused, readSlow}
	callFaults   = []Fault{notConnected, lostBefore, lostAfter, callSlow, callHangs, callRefused}
	lookFaults   = []Fault{lookFails, lookSlow}
	startFaults  = []Fault{notConnected, lostBefore, lostAfter, callSlow, callHangs, callRefused, startLate}
	reportFaults = []Fault{notConnected, lostBefore, lostAfter, callSlow, callHangs, callRefused, saysUnknown}
	noticeFaults = []Fault{noticeRefused, noticeUnsure, noticeSlow}
	alertFaults  = []Fault{alertsFail, alertsStale}
)

// sky decides which operations go wrong, and how. It looks at what an operation
// is, never at when it comes, so that goroutines which overtake each other change
// as little as possible.
type sky struct {
	seed  uint64
	odds  map[Fault]int // of 1,000 operations
	story *story
	// clear ends all faults.
	clear atomic.Bool
	// late are writes that are stored later.
	late sync.WaitGroup

	mu    sync.Mutex
	tries map[string]int
	count map[Fault]int
}

func newSky(seed uint64, odds map[Fault]int, s *story) *sky {
	return &sky{seed: seed, odds: odds, story: s, tries: map[string]int{}, count: map[Fault]int{}}
}

// draw returns the fault that befalls this try of the operation, and a number from
// 0 up to 1 that says how bad it is. what names the operation for good. Each takes
// a drawn moment: of two that begin at once it is drawn, too, which comes first.
func (s *sky) draw(class []Fault, who, what string) (Fault, float64) {
	if s == nil {
		return noFault, 0
	}
	key := who + " " + what
	s.mu.Lock()
	try := s.tries[key]
	s.tries[key]++
	s.mu.Unlock()
	n, size := roll(s.seed, fmt.Sprint(class[0], key, try))
	moment, _ := roll(s.seed, fmt.Sprint("moment", class[0], key, try))
	time.Sleep(between(10*time.Microsecond, time.Millisecond, moment))
	if s.clear.Load() {
		return noFault, 0
	}
	at := int(n * 1000)
	for _, f := range class {
		if at -= s.odds[f]; at < 0 {
			s.befell(f, key)
			return f, size
		}
	}
	return noFault, 0
}

// befell counts a fault and takes it down.
func (s *sky) befell(f Fault, what string) {
	s.mu.Lock()
	s.count[f]++
	s.mu.Unlock()
	s.story.note("FAULT", "%s: %s", f, what)
}

// faults is how many there were.
func (s *sky) faults() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.count {
		n += c
	}
	return n
}

// counted lists them by kind.
func (s *sky) counted() map[Fault]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.count)
}

// roll throws two dice that depend on the seed and the name only; both from 0 up
// to 1.
func roll(seed uint64, name string) (first, second float64) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := mix(h.Sum64() ^ mix(seed))
	return float64(x>>11) / (1 << 53), float64(mix(x)>>11) / (1 << 53)
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// nap waits, and tells whether the context let it.
func nap(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// between is a duration as far from low to high as size says.
func between(low, high time.Duration, size float64) time.Duration {
	return low + time.Duration(size*float64(high-low)).Round(time.Microsecond)
}

// listed writes counts of faults, the most frequent first.
func listed[K ~string](count map[K]int) string {
	names := slices.SortedFunc(maps.Keys(count), func(a, b K) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(string(a), string(b))
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%d %s", count[name], name)
	}
	return strings.Join(parts, ", ")
}
