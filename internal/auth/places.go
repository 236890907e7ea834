package auth

import (
	"context"
	"sync"
	"time"
)

// patience is how long a login waits for others' passwords to be tried, or for others to
// ask the provider.
const patience = 5 * time.Second

// enter takes one of the places, or says that there was none for too long.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	leave = func() { <-places }
	select {
	case places <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case places <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

// places are shared by all sources. One source takes half of them at most, so that it
// does not keep the others out.
type places struct {
	all chan struct{}

	mu  sync.Mutex
	own map[string]*share
}

// share are the places of one source, while any of its requests is there.
type share struct {
	taken    chan struct{}
	requests int
}

func newPlaces(n int) *places { return &places{all: make(chan struct{}, n), own: map[string]*share{}} }

// enter takes a place for the source, or says that there was none for too long.
func (p *places) enter(ctx context.Context, source string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own := p.come(source)
	leaveOwn, err := enter(ctx, own.taken)
	if err != nil {
		p.gone(source, own)
		return nil, err
	}
	leaveAll, err := enter(ctx, p.all)
	if err != nil {
		leaveOwn()
		p.gone(source, own)
		return nil, err
	}
	return func() {
		leaveAll()
		leaveOwn()
		p.gone(source, own)
	}, nil
}

func (p *places) come(source string) *share {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.own[source]
	if own == nil {
		own = &share{taken: make(chan struct{}, cap(p.all)/2)}
		p.own[source] = own
	}
	own.requests++
	return own
}

func (p *places) gone(source string, own *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own.requests--; own.requests == 0 {
		delete(p.own, source)
	}
}
