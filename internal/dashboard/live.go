package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// beat is how often a stream says what time it is; page.js thinks it lost after 12 s.
	beat = 5 * time.Second
	// settle is how long a page waits after it was sent before it is sent again: what
	// comes in bursts is shown once.
	settle = 150 * time.Millisecond
	// rendering is how long an open page waits for its turn and is rendered: one that
	// takes longer is old, and the others go on.
	rendering = 4 * time.Second
	// writing is how long one write may take before the client counts as gone.
	writing = 10 * time.Second
)

// hub tells streams that something has changed, and renders each page once for all that
// look at the same.
type hub struct {
	stop func()

	mu      sync.Mutex
	version uint64
	news    chan struct{}
	views   map[string]*shared

	// rendering is held while a page is rendered: all open pages together cost one core
	// at most.
	rendering turn
}

// shared is a page as it looked at a version, for everybody who sees the same.
type shared struct {
	viewers int
	turn    turn
	version uint64
	at      time.Time
	text    []byte
}

func newHub() *hub {
	return &hub{version: 1, news: make(chan struct{}), views: map[string]*shared{}, rendering: newTurn()}
}

// turn is a lock that nobody has to wait for longer than they want to.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) takeWithin(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return t.take(ctx)
}

func (t turn) give() { <-t }

// changed wakes every stream. It does not block.
func (h *hub) changed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	close(h.news)
	h.news = make(chan struct{})
}

// now returns the version, and a channel that is closed with the next one.
func (h *hub) now() (uint64, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version, h.news
}

// view joins those who see the same; leave leaves them.
func (h *hub) view(key string) (s *shared, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s = h.views[key]
	if s == nil {
		s = &shared{turn: newTurn()}
		h.views[key] = s
	}
	s.viewers++
	return s, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.viewers--; s.viewers == 0 {
			delete(h.views, key)
		}
	}
}

// asOf returns the page as of the version or a later one, rendered by whoever comes first.
// What changes without anybody telling, such as a limit that passes, is looked at again
// with every beat.
// gather reads before that what would keep all other pages waiting.
func (s *shared) asOf(ctx context.Context, h *hub, now time.Time, gather func(context.Context) error, render func(context.Context) ([]byte, error)) ([]byte, error) {
	if err := s.turn.takeWithin(ctx, rendering); err != nil {
		return nil, err
	}
	defer s.turn.give()
	version, _ := h.now()
	if s.version >= version && now.Sub(s.at) < beat/2 {
		return s.text, nil
	}
	if err := gather(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, rendering)
	defer cancel()
	if err := h.rendering.take(ctx); err != nil {
		return nil, err
	}
	defer h.rendering.give()
	text, err := render(ctx)
	if err != nil {
		return nil, err // perhaps of this reader alone, who went away
	}
	s.version, s.at, s.text = version, now, text
	return text, nil
}

// follow serves the stream of a page.
func (d *Dashboard) follow(p page) func(http.ResponseWriter, *http.Request, handlers.Actor) error {
	return func(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
		get, err := handlers.Query(r, p.params...)
		if err != nil {
			return err
		}
		s := &stream{d: d, p: p, w: w, control: http.NewResponseController(w), q: &query{by: by, r: p.shownAt(r), get: get, now: time.Now()}}
		if s.q.now = time.Now(); r.Method == http.MethodHead {
			return nil
		}
		// A page that there is none of is told before the stream begins.
		if err := s.gather(r.Context(), s.q); err != nil {
			return err
		}
		if _, err := p.build(r.Context(), s.q); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/event-stream")
		// Proxies that buffer would hold events back until they are of no use.
		w.Header().Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		s.run(r.Context())
		return nil
	}
}

// shownAt is the request for the page itself, whose stream r asks for.
func (p page) shownAt(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	if p.liveAt != "" {
		out.URL.Path = p.path
		return out
	}
	if out.URL.Path = strings.TrimSuffix(r.URL.Path, "/live"); out.URL.Path == "" {
		out.URL.Path = "/"
	}
	return out
}

// stream is one open page.
type stream struct {
	d       *Dashboard
	p       page
	q       *query
	w       http.ResponseWriter
	control *http.ResponseController
	sent    [sha256.Size]byte
	// old tells that the page could not be made: no beat says that it is as things are.
	old bool
}

// run sends the page whenever it looks different, until the client or the server ends,
// or whoever looks may not any more.
func (s *stream) run(ctx context.Context) {
	shared, leave := s.d.hub.view(s.key())
	defer leave()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	if s.sendBeat() != nil {
		return
	}
	for {
		_, news := s.d.hub.now()
		if err := s.refresh(ctx, shared); err != nil {
			return
		}
		if pause(ctx, settle) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-tick.C:
			if !s.may(ctx) || s.sendBeat() != nil {
				return
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// key tells those who see the same from others: the same page, asked for by the same
// person with the same rights.
func (s *stream) key() string {
	return s.q.r.URL.RequestURI() + " " + readerKey(s.q.by)
}

// readerKey tells readers apart: by who they are, and by what they may see and do.
func readerKey(by handlers.Actor) string {
	who, err := json.Marshal([]any{by.Name, by.Groups, by.Grants, by.Via, by.LoginAt.Unix()})
	if err != nil {
		panic(fmt.Errorf("encode an actor: %w", err)) // texts and times
	}
	return string(who)
}

// may asks whether whoever looks still may, and all that they could when they began. A
// page that was allowed is not taken away while nobody can say.
func (s *stream) may(ctx context.Context) bool {
	now, err := handlers.StillIn(ctx)
	if err == nil && readerKey(now) == readerKey(s.q.by) || errors.Is(err, backout.ErrUnavailable) {
		return true
	}
	_ = s.send("event: anew\ndata: sign in\n\n")
	return false
}

// refresh sends the page if it looks different from what was sent last.
func (s *stream) refresh(ctx context.Context, shared *shared) error {
	q := *s.q
	q.now = time.Now()
	text, err := shared.asOf(ctx, s.d.hub, q.now, func(ctx context.Context) error { return s.gather(ctx, &q) }, func(ctx context.Context) ([]byte, error) { return s.render(ctx, &q) })
	switch {
	case errors.Is(err, backout.ErrForbidden), errors.Is(err, backout.ErrNotFound):
		_ = s.send("event: anew\ndata: gone\n\n")
		return err
	case err != nil:
		s.old = true
		return nil //nolint:nilerr // without a beat the page says by itself that it is old; the next news try again
	}
	wasOld := s.old
	s.old = false
	if sum := sha256.Sum256(text); sum != s.sent {
		if err := s.send("%s", text); err != nil {
			return err
		}
		s.sent = sum
	}
	if wasOld {
		return s.sendBeat()
	}
	return nil
}

func (s *stream) gather(ctx context.Context, q *query) error {
	if s.p.gather == nil {
		return nil
	}
	return s.p.gather(ctx, q)
}

// render is the page as one event.
func (s *stream) render(ctx context.Context, q *query) ([]byte, error) {
	q.now = time.Now()
	content, err := s.p.build(ctx, q)
	if err != nil {
		return nil, err
	}
	frame, err := s.d.frame(ctx, q, s.p)
	if err != nil {
		return nil, err
	}
	var page, event bytes.Buffer
	if err := ui.WriteLive(&page, frame, content); err != nil {
		return nil, err
	}
	// A carriage return ends a line of a stream too: what follows it would be a field of
	// its own, made of data.
	for line := range bytes.SplitSeq(bytes.ReplaceAll(page.Bytes(), []byte("\r"), nil), []byte("\n")) {
		event.WriteString("data: ")
		event.Write(line)
		event.WriteByte('\n')
	}
	event.WriteByte('\n')
	return event.Bytes(), nil
}

func (s *stream) sendBeat() error {
	if s.old {
		return nil
	}
	return s.send("event: beat\ndata: %d\n\n", time.Now().UnixMilli())
}

func (s *stream) send(format string, args ...any) error {
	// A writer that knows no deadline is a test's; the server's knows.
	_ = s.control.SetWriteDeadline(time.Now().Add(writing))
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
