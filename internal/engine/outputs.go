package engine

import (
	"io"
	"sync"
)

// outputs keeps what running attempts have printed so far, for people who watch.
type outputs struct {
	grown func() // called when there is more; it must not block
	mu    sync.Mutex
	byID  map[string]*liveOutput
}

// liveOutputMax is how much of a running step's output is kept for watchers, in
// bytes; the newest.
const liveOutputMax = 64 << 10

type liveOutput struct {
	grown func()
	mu    sync.Mutex
	data  []byte
}

func newOutputs(grown func()) *outputs {
	return &outputs{grown: grown, byID: map[string]*liveOutput{}}
}

func (o *outputs) writer(attemptID string) io.Writer {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &liveOutput{grown: o.grown}
	o.byID[attemptID] = out
	return out
}

func (o *outputs) get(attemptID string) ([]byte, bool) {
	o.mu.Lock()
	out := o.byID[attemptID]
	o.mu.Unlock()
	if out == nil {
		return nil, false
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	return append([]byte(nil), out.data...), true
}

func (o *outputs) drop(attemptID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byID, attemptID)
}

// Write implements [io.Writer].
func (l *liveOutput) Write(p []byte) (int, error) {
	defer l.grown()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, p...)
	if over := len(l.data) - liveOutputMax; over > 0 {
		l.data = append(l.data[:0:0], l.data[over:]...)
	}
	return len(p), nil
}
