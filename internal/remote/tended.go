package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// errandPoll is how long a runner keeps a server that asks for an errand waiting.
	errandPoll = 5 * time.Second
	// errandsMost is how many errands a runner has under way at once; more wait.
	// errandsKept is how many it knows of, with those that wait and those that have
	// ended.
	errandsMost = 64
	errandsKept = 4096
	// unfetched is how long the answer of an errand is kept that nobody asks for.
	unfetched = 30 * time.Second
)

// errandRun is an errand that this runner has under way, or had until lately.
type errandRun struct {
	done   chan struct{} // closed at its end
	cancel context.CancelFunc

	mu    sync.Mutex
	heard time.Time
	ended time.Time
	data  []byte
	fault *fault
}

// errand begins it, unless it has begun, and tells how far it is.
func (a *Agent) errand(e *errand) (reply, error) {
	if err := a.mayTend(e); err != nil {
		return reply{}, err
	}
	run, err := a.errandRun(e)
	if err != nil {
		return reply{}, err
	}
	timer := time.NewTimer(errandPoll)
	defer timer.Stop()
	select {
	case <-run.done:
	case <-timer.C:
	case <-a.ctx.Done():
	}
	if a.ctx.Err() != nil {
		return reply{}, errLeaving // how it ended here says nothing
	}
	return run.state(e.Offset, pieceMost(a.o.Conn))
}

// mayTend tells why the errand is not run here.
func (a *Agent) mayTend(e *errand) error {
	err := e.bound(a.o.Site)
	switch {
	case err != nil:
		return err
	case e.Call == "" || len(e.Call) > nameMost:
		return errors.New("it does not say which call it is")
	case e.Task == nil:
		return nil
	}
	return a.executor(e.Task.Step.Uses)
}

// errandRun finds the errand's run, or begins it.
func (a *Agent) errandRun(e *errand) (*errandRun, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if run := a.errands[e.Call]; run != nil {
		run.hear()
		return run, nil
	}
	if a.stopping {
		return nil, errLeaving
	}
	if len(a.errands) >= errandsKept {
		return nil, fmt.Errorf("it has %d errands already: %w", errandsKept, backout.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(a.ctx, errandMost)
	run := &errandRun{done: make(chan struct{}), cancel: cancel, heard: time.Now()}
	a.errands[e.Call] = run
	r := a.runnerOf(e.Mark)
	a.work.Go(func() {
		defer cancel()
		run.finish(a.tend(ctx, r, e))
	})
	return run, nil
}

// tend runs the errand, once there is a place.
func (a *Agent) tend(ctx context.Context, r *runner.Runner, e *errand) ([]byte, error) {
	select {
	case a.tending <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.tending }()
	var answer any
	var err error
	if e.Again && e.Task != nil && r.OnRunner(e.Task.Step.Uses) {
		// The record of its attempt stands on the other one's machine.
		return nil, fmt.Errorf("%w: executor %s works from the runner's machine, and another runner may have begun it on its own", backout.ErrInDoubt, e.Task.Step.Uses)
	}
	if e.Task == nil {
		answer, err = r.Capture(ctx, runner.CaptureLook{Target: e.Target, ChangeID: e.ChangeID, Frozen: e.Plan, AIDE: e.AIDE})
	} else {
		answer, err = r.Tend(ctx, e.Plan, e.Errand, *e.Task)
	}
	if err != nil {
		return nil, err
	}
	return pack(answer)
}

func (r *errandRun) finish(data []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data, r.ended = data, time.Now()
	if err != nil {
		r.fault = faultOf(err)
	}
	close(r.done)
}

func (r *errandRun) hear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = time.Now()
}

// state is what there is to tell, from the offset of the answer on.
func (r *errandRun) state(offset, most int) (reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended.IsZero():
		return reply{Errand: &errandState{Running: true}}, nil
	case r.fault != nil:
		return reply{Errand: &errandState{Fault: r.fault}}, nil
	case r.data == nil:
		return reply{}, errors.New("its answer has been fetched, or nobody asked for it")
	case offset < 0 || offset >= len(r.data):
		return reply{}, fmt.Errorf("its answer has %d bytes, and it is asked from byte %d on", len(r.data), offset)
	}
	piece := r.data[offset:min(len(r.data), offset+most)]
	return reply{Errand: &errandState{Offset: offset, Size: len(r.data), Piece: piece}}, nil
}

// stale tells that there is no need to remember it any more. One that nobody asks
// for is ended before, which leaves what runs on a target running, and one that has
// been fetched gives up its answer: there may be many, and they are large.
func (r *errandRun) stale(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended.IsZero() && now.Sub(r.heard) > unfetched:
		r.cancel()
		return false
	case r.ended.IsZero():
		return false
	case now.Sub(r.heard) > unfetched:
		r.data = nil
	}
	return now.Sub(r.ended) > keptAfter && now.Sub(r.heard) > keptAfter
}
