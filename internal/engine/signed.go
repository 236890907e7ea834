package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// signedFor is how long a signature is remembered: its time may be the window ahead
	// of the clock that took it in, and is refused the window after; the third is for
	// servers whose clocks differ.
	signedFor = 3 * handlers.SignatureWindow
	// signedStep is how finely it is forgotten.
	signedStep = time.Minute
	// maxSigned is how many are remembered, some 10 MB; more are asked to come again.
	maxSigned = 100_000
)

// signatures are the signed requests that were taken lately, by any server: the others'
// come with the log, as do all after a restart. It is safe for concurrent use.
type signatures struct {
	mu sync.Mutex
	// seen holds the minute in which each is forgotten, due the other way round.
	seen map[string]int64
	due  map[int64]map[string]struct{}
}

func newSignatures() *signatures {
	return &signatures{seen: map[string]int64{}, due: map[int64]map[string]struct{}{}}
}

// take notes a signature. [backout.ErrExists] says that it was there,
// [backout.ErrUnavailable] that there are too many. An empty one is nothing.
func (s *signatures) take(id string, at time.Time) error {
	if id == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(time.Now())
	if _, ok := s.seen[id]; ok {
		return fmt.Errorf("%w: a request with this signature was taken before", backout.ErrExists)
	}
	if len(s.seen) >= maxSigned {
		return fmt.Errorf("%w: %d signed requests within %s", backout.ErrUnavailable, maxSigned, signedFor)
	}
	until := at.Add(signedFor).Unix()/int64(signedStep/time.Second) + 1
	s.seen[id] = until
	if s.due[until] == nil {
		s.due[until] = map[string]struct{}{}
	}
	s.due[until][id] = struct{}{}
	return nil
}

// giveBack takes back what take noted: the request was not stored, or nobody knows.
func (s *signatures) giveBack(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.due[s.seen[id]], id)
	delete(s.seen, id)
}

// forget drops what no server would take any more.
func (s *signatures) forget(now time.Time) {
	minute := now.Unix() / int64(signedStep/time.Second)
	for until, ids := range s.due {
		if until > minute {
			continue
		}
		for id := range ids {
			delete(s.seen, id)
		}
		delete(s.due, until)
	}
}
