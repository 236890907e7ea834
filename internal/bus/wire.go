package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backout-io/backout"
)

// ErrNobody says that nobody listens to what was asked.
var ErrNobody = errors.New("nobody listens")

// Message is one message on a [Wire]. Nothing keeps it: who does not listen
// misses it.
type Message struct {
	Subject string
	// Reply is where an answer is expected; empty for none.
	Reply string
	// Header has at most one value a key.
	Header map[string]string
	Data   []byte
}

// Wire is a connection to NATS without its store: messages that reach whoever
// listens now, or nobody. Its methods may be called from several goroutines.
// While the connection is down they fail; it comes back by itself.
type Wire struct {
	conn *nats.Conn
	own  bool
}

// Wire returns the way to messages over the bus's own connection. It ends with
// the bus.
func (b *Bus) Wire() *Wire { return &Wire{conn: b.conn} }

// Dial connects to the NATS that [Options.URL] names, for messages only: it needs
// no JetStream there and asks for none. The caller must Close the result.
func Dial(ctx context.Context, o Options) (*Wire, error) {
	if o.URL == "" {
		return nil, fmt.Errorf("connect to NATS: %w: no nats.url", backout.ErrInvalid)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	conn, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Wire{conn: conn, own: true}, nil
}

// MaxPayload is the largest message that the server takes, in bytes, headers
// included.
func (w *Wire) MaxPayload() int { return int(w.conn.MaxPayload()) }

// Connected tells whether messages can be sent now.
func (w *Wire) Connected() bool { return w.conn.Status() == nats.CONNECTED }

// Publish sends the message to whoever listens, and does not wait for anybody.
func (w *Wire) Publish(m Message) error {
	if err := w.conn.PublishMsg(outgoing(m)); err != nil {
		return fmt.Errorf("publish to %s: %w", m.Subject, err)
	}
	return nil
}

// Request sends the message and returns the first answer; [ErrNobody] when nobody
// listens, the context's error when nobody answers.
func (w *Wire) Request(ctx context.Context, m Message) (Message, error) {
	answer, err := w.conn.RequestMsgWithContext(ctx, outgoing(m))
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return Message{}, fmt.Errorf("ask %s: %w", m.Subject, ErrNobody)
	case err != nil:
		return Message{}, fmt.Errorf("ask %s: %w", m.Subject, err)
	}
	return incoming(answer), nil
}

// Gather sends the message and hands every answer to take, until it returns false
// or the context ends; then it returns nil. [ErrNobody] when nobody listens.
func (w *Wire) Gather(ctx context.Context, m Message, take func(Message) bool) error {
	m.Reply = w.conn.NewInbox()
	answers, err := w.conn.SubscribeSync(m.Reply)
	if err != nil {
		return fmt.Errorf("listen for answers of %s: %w", m.Subject, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := w.Publish(m); err != nil {
		return err
	}
	for {
		answer, err := answers.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrNoResponders):
			return fmt.Errorf("ask %s: %w", m.Subject, ErrNobody)
		case err != nil:
			return fmt.Errorf("ask %s: %w", m.Subject, err)
		}
		// What nobody got comes back as an empty message of status 503.
		if len(answer.Data) == 0 && answer.Header.Get("Status") == "503" {
			return fmt.Errorf("ask %s: %w", m.Subject, ErrNobody)
		}
		if !take(incoming(answer)) {
			return nil
		}
	}
}

// Subscribe calls handle for every message on the subject, one after the other,
// until stop is called; when it returns the server knows of it. Of those with the
// same queue, when it is not empty, one gets each message.
func (w *Wire) Subscribe(subject, queue string, handle func(Message)) (stop func(), err error) {
	each := func(m *nats.Msg) { handle(incoming(m)) }
	var sub *nats.Subscription
	if queue == "" {
		sub, err = w.conn.Subscribe(subject, each)
	} else {
		sub, err = w.conn.QueueSubscribe(subject, queue, each)
	}
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	if err := w.conn.FlushTimeout(flushTimeout); err != nil {
		_ = sub.Unsubscribe()
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// flushTimeout bounds the wait until the server has what was sent last.
const flushTimeout = 5 * time.Second

// Close sends what is on its way and ends the connection; that of a bus stays.
func (w *Wire) Close() {
	_ = w.conn.FlushTimeout(flushTimeout)
	if w.own {
		w.conn.Close()
	}
}

func outgoing(m Message) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Reply: m.Reply, Data: m.Data}
	for key, value := range m.Header {
		if out.Header == nil {
			out.Header = nats.Header{}
		}
		out.Header.Set(key, value)
	}
	return out
}

func incoming(m *nats.Msg) Message {
	in := Message{Subject: m.Subject, Reply: m.Reply, Data: m.Data, Header: make(map[string]string, len(m.Header))}
	for key := range m.Header {
		in.Header[key] = m.Header.Get(key)
	}
	return in
}
