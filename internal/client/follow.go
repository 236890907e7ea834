package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// silence is how long a stream may say nothing, keep-alives included, before it
// is taken for dead and opened again.
const silence = time.Minute

// Watcher is told how a followed log goes. Both may be nil.
type Watcher struct {
	// Entry is given every record after from, in order and once each; its error
	// ends the following.
	Entry func(handlers.LogEntry) error
	// Link is told when the connection stands (nil) and why it broke.
	Link func(error)
}

// FollowRollback gives w every record after from until the rollback's last
// event was given, ctx ends, w.Entry fails or the server refuses. A broken
// connection is opened again where it broke.
func (c *Client) FollowRollback(ctx context.Context, id string, from uint64, w Watcher) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(250*time.Millisecond),
		backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	f := &follower{c: c, id: id, seq: from, w: w}
	return backoff.Retry(func() error {
		before := f.seq
		err := f.once(ctx)
		if f.seq > before {
			wait.Reset()
		}
		switch {
		case f.done || f.failed != nil:
			return asPermanent(f.failed)
		case ctx.Err() != nil:
			return backoff.Permanent(context.Cause(ctx))
		case !Temporary(err):
			return backoff.Permanent(err)
		}
		if w.Link != nil {
			w.Link(err)
		}
		return err
	}, backoff.WithContext(wait, ctx))
}

func asPermanent(err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(err)
}

// follower is one log being followed over any number of connections.
type follower struct {
	c      *Client
	id     string
	seq    uint64
	w      Watcher
	done   bool
	failed error
}

func (f *follower) once(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	req, err := f.c.request(ctx, http.MethodGet, rollbackPath(f.id, "/events"), nil, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.seq > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatUint(f.seq, 10))
	}
	watchdog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing heard for %s", silence)) })
	defer watchdog.Stop()
	res, err := f.c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if f.w.Link != nil {
		f.w.Link(nil)
	}
	err = readEvents(res.Body, func() { watchdog.Reset(silence) }, f.take)
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return f.c.unreachable(ctx, err)
}

// errStop ends the reading of a stream; the follower knows why.
var errStop = errors.New("stop")

// take gives one event's data on, unless it was given before.
func (f *follower) take(data []byte) error {
	var entry handlers.LogEntry
	if err := json.Unmarshal(data, &entry); err != nil {
		f.failed = fmt.Errorf("decode log entry: %w", err)
		return errStop
	}
	if entry.Seq <= f.seq {
		return nil
	}
	f.seq = entry.Seq
	if f.w.Entry != nil {
		if f.failed = f.w.Entry(entry); f.failed != nil {
			return errStop
		}
	}
	for _, e := range entry.Record.Events {
		if _, ended := e.(backout.Ended); ended {
			f.done = true
			return errStop
		}
	}
	return nil
}

// readEvents reads a text/event-stream and gives the data of each event to take;
// alive is called for every line. It returns nil when the stream ends.
// Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
func readEvents(r io.Reader, alive func(), take func(data []byte) error) error {
	lines := bufio.NewReader(r)
	var data bytes.Buffer
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		alive()
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 {
			if err := collect(&data, line); err != nil {
				return err
			}
			continue
		}
		if data.Len() > 0 {
			event := bytes.TrimSuffix(data.Bytes(), []byte("\n"))
			if err := take(event); err != nil {
				return err
			}
			data.Reset()
		}
	}
}

// collect adds a data line to its event; every other field is not needed here.
func collect(data *bytes.Buffer, line []byte) error {
	field, value, _ := bytes.Cut(line, []byte(":"))
	if string(field) != "data" {
		return nil
	}
	if data.Len()+len(value) > maxAnswer {
		return errors.New("an event is larger than the client reads")
	}
	data.Write(bytes.TrimPrefix(value, []byte(" ")))
	data.WriteByte('\n')
	return nil
}
