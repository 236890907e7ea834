package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

const (
	// heartbeat is how often a silent stream says that it lives.
	heartbeat = 15 * time.Second
	// streamWrite is how long one write may take before the client counts as
	// gone.
	streamWrite = 30 * time.Second
)

// errEnding says that the server is stopping.
var errEnding = errors.New("the server is stopping")

// followRollback streams the log of one rollback: each record as an event named
// "record" whose id is its sequence and whose data is a [LogEntry]. It begins
// after Last-Event-ID (or at the beginning) and ends after the last record. A
// stream that is asked to resume after the last record is answered 204, which
// tells browsers not to come again.
func (h *Handler) followRollback(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	from, err := lastEventID(c.r)
	if err != nil {
		return err
	}
	rollback, err := h.o.Rollbacks.Rollback(c.r.Context(), id)
	if err != nil {
		return err
	}
	if rollback.Status.Final() && from >= rollback.Revision && from > 0 {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !h.streams.enter() {
		return errOverloaded
	}
	defer h.streams.leave()
	c.w.Header().Set("Content-Type", "text/event-stream")
	// Proxies that buffer would hold events back until they are of no use.
	c.w.Header().Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	return h.stream(c, id, from)
}

func lastEventID(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		return 0, nil
	}
	from, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("Last-Event-ID %s: want the id of an event of this stream", quoteShort(text))
	}
	return from, nil
}

// stream writes records and heartbeats until the log, the client or the server
// ends. The heart's goroutine ends before it returns.
func (h *Handler) stream(c *call, id string, from uint64) error {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	out := &eventWriter{w: c.w, control: http.NewResponseController(c.w)}
	var heart sync.WaitGroup
	defer heart.Wait()
	defer cancel(nil)
	heart.Go(func() { h.beat(ctx, cancel, out, func() error { return h.stillMay(c, id) }) })
	if err := out.send(": following\n\n"); err != nil {
		return nil
	}
	err := h.o.Rollbacks.FollowRollback(ctx, id, from, func(entry LogEntry) error {
		data, err := json.Marshal(entry)
		if err != nil {
			return fmt.Errorf("encode log entry: %w", err)
		}
		return out.send("id: %d\nevent: record\ndata: %s\n\n", entry.Seq, data)
	})
	if ctx.Err() != nil || errors.Is(err, errGone) {
		return nil
	}
	return err
}

// stillMay tells whether whoever began to follow the rollback may go on: a token or a
// session may have ended since, or a role may have been taken away.
func (h *Handler) stillMay(c *call, id string) error {
	actor, err := h.identify(c.r, c.need)
	if err == nil {
		_, err = h.o.Rollbacks.Rollback(WithActor(c.r.Context(), actor), id)
	}
	if errors.Is(err, backout.ErrUnavailable) {
		return nil // nobody can say now, and what is shown was allowed before
	}
	return err
}

// beat writes a comment whenever heartbeat has passed, and ends the stream when
// the client or the server does, or when the client may not follow any more.
func (h *Handler) beat(ctx context.Context, cancel context.CancelCauseFunc, out *eventWriter, may func() error) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.endingCtx.Done():
			cancel(errEnding)
			return
		case <-tick.C:
			if err := may(); err != nil {
				cancel(err)
				return
			}
			if err := out.send(": alive\n\n"); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// errGone says that the client takes nothing any more.
var errGone = errors.New("the client is gone")

// eventWriter writes whole events, one at a time.
type eventWriter struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e *eventWriter) send(format string, args ...any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A writer that knows no deadline is a test's; the server's knows.
	_ = e.control.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if err := e.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}
