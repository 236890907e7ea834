package itsm

import (
	"sync"
	"time"
)

const (
	// presenceLife is how long it counts that there is a record.
	presenceLife = 10 * time.Minute
	// absenceLife is how long it counts that there is none: one that is made later, or
	// that the user may see later, is to have what is written from then on.
	absenceLife = time.Minute
	// maxPresence bounds the memory.
	maxPresence = 4096
)

// Presence remembers for a while which ids of changes name a record and which name
// none, so that not every notice asks. Its methods may be called from several
// goroutines.
type Presence struct {
	mu    sync.Mutex
	known map[string]presence
}

type presence struct {
	there bool
	until time.Time
}

// Get tells whether there is a record of the id, where that is known.
func (p *Presence) Get(id string) (there, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is, known := p.known[id]
	if !known || !is.until.After(time.Now()) {
		return false, false
	}
	return is.there, true
}

// Put keeps whether there is one.
func (p *Presence) Put(id string, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPresence {
		p.known = map[string]presence{}
	}
	life := absenceLife
	if there {
		life = presenceLife
	}
	p.known[id] = presence{there, time.Now().Add(life)}
}
