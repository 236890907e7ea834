package slackfake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// AckWithin is how long an app has to answer an interaction; the person sees a
// warning after that.
const AckWithin = 3 * time.Second

// pingEvery is how often a connection is asked whether it is there.
const pingEvery = 10 * time.Second

// ErrNoAnswer says that the app did not acknowledge in time: the person sees a
// warning beside the button.
var ErrNoAnswer = errors.New("the app did not answer in time")

// sockets are the Socket Mode connections of the app.
type sockets struct {
	w  *Workspace
	mu sync.Mutex
	// tickets are the addresses that were given out and not used.
	tickets map[string]bool
	open    []*socket
	waiting map[string]chan []byte // by envelope id
}

type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex // one writer at a time
}

func (s *socket) send(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(AckWithin))
	return s.conn.WriteJSON(v)
}

func (s *sockets) ticket() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := rand.Text()
	s.tickets[t] = true
	return t
}

// serve is one connection: hello, then envelopes, until either side ends it.
func (s *sockets) serve(rw http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	known := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if !known {
		http.Error(rw, "unknown ticket", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return
	}
	one := &socket{conn: conn}
	s.add(one)
	defer s.remove(one)
	done := make(chan struct{})
	var pings sync.WaitGroup
	pings.Go(func() { ping(one, done) })
	defer pings.Wait()
	defer close(done)
	s.mu.Lock()
	n := len(s.open)
	s.mu.Unlock()
	if one.send(map[string]any{"type": "hello", "num_connections": n, "connection_info": map[string]any{"app_id": "ABACKOUT"}}) != nil {
		return
	}
	s.w.locked(func() {})
	for {
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if err := conn.ReadJSON(&ack); err != nil {
			return
		}
		s.mu.Lock()
		if ch, ok := s.waiting[ack.EnvelopeID]; ok {
			delete(s.waiting, ack.EnvelopeID)
			ch <- ack.Payload
		}
		s.mu.Unlock()
	}
}

func ping(s *socket, done <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) != nil {
			return
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

func (s *sockets) add(one *socket) {
	s.mu.Lock()
	s.open = append(s.open, one)
	s.mu.Unlock()
}

func (s *sockets) remove(one *socket) {
	_ = one.conn.Close()
	s.mu.Lock()
	for i := range s.open {
		if s.open[i] == one {
			s.open = append(s.open[:i], s.open[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	s.w.locked(func() {})
}

// Sockets counts the open connections.
func (w *Workspace) Sockets() int {
	w.sockets.mu.Lock()
	defer w.sockets.mu.Unlock()
	return len(w.sockets.open)
}

// DropSockets cuts every connection, as a network does.
func (w *Workspace) DropSockets() {
	w.sockets.mu.Lock()
	defer w.sockets.mu.Unlock()
	for _, one := range w.sockets.open {
		_ = one.conn.Close()
	}
}

// RefreshSockets asks the app to connect anew, as Slack does every few hours.
func (w *Workspace) RefreshSockets() {
	w.sockets.mu.Lock()
	defer w.sockets.mu.Unlock()
	for _, one := range w.sockets.open {
		_ = one.send(map[string]any{"type": "disconnect", "reason": "refresh_requested"})
	}
}

// SendSockets sends a text as it is by every connection.
func (w *Workspace) SendSockets(text string) {
	w.sockets.mu.Lock()
	defer w.sockets.mu.Unlock()
	for _, one := range w.sockets.open {
		one.mu.Lock()
		_ = one.conn.WriteMessage(websocket.TextMessage, []byte(text))
		one.mu.Unlock()
	}
}

// deliver hands an envelope to one of the connections, whichever, and waits for its
// acknowledgement.
func (s *sockets) deliver(ctx context.Context, id string, payload json.RawMessage) ([]byte, error) {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return nil, errors.Join(ErrNoAnswer, errors.New("no connection is open"))
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(s.open))))
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	one, ch := s.open[n.Int64()], make(chan []byte, 1)
	s.waiting[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	err = one.send(map[string]any{"type": "interactive", "envelope_id": id, "payload": payload, "accepts_response_payload": true})
	if err != nil {
		return nil, errors.Join(ErrNoAnswer, err)
	}
	limit := time.NewTimer(AckWithin)
	defer limit.Stop()
	select {
	case ack := <-ch:
		return ack, nil
	case <-limit.C:
		return nil, ErrNoAnswer
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
