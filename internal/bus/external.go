package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// minPayload is the smallest message size an external server must allow, in
// bytes: NATS's own default.
const minPayload = 1 << 20

func openExternal(ctx context.Context, o Options) (*Bus, error) {
	conn, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	name := withoutPasswords(o.URL)
	b := &Bus{conn: conn}
	if b.js, err = jetstream.New(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("use JetStream at %s: %w", name, err)
	}
	if err := checkExternal(ctx, b); err != nil {
		conn.Close()
		return nil, fmt.Errorf("NATS at %s: %w", name, err)
	}
	return b, nil
}

// connect connects to the user's own NATS. The connection comes back by itself
// whatever ended it, also when it was refused for a while.
func connect(ctx context.Context, o Options) (*nats.Conn, error) {
	options := append(connOptions(o), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond), nats.IgnoreAuthErrorAbort(),
		// A link that swallows everything is to be noticed within seconds.
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2))
	if o.CAFile != "" {
		options = append(options, nats.RootCAs(o.CAFile))
	}
	if !o.Credentials.IsZero() {
		options = append(options, nats.UserCredentialBytes([]byte(o.Credentials.Reveal())))
	}
	if deadline, ok := ctx.Deadline(); ok {
		options = append(options, nats.Timeout(max(time.Until(deadline), time.Millisecond)))
	}
	name := withoutPasswords(o.URL)
	conn, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w: check nats.url, its credentials and its CA", name, scrub(err, o.URL, name))
	}
	return conn, nil
}

func checkExternal(ctx context.Context, b *Bus) error {
	if limit := b.conn.MaxPayload(); limit < minPayload {
		return fmt.Errorf("it allows messages of %d bytes: set max_payload to at least %d, better %d", limit, minPayload, MaxPayload)
	}
	_, err := b.js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: enable JetStream there, for the account of the given credentials", err)
	case err != nil:
		return fmt.Errorf("%w: JetStream does not answer: %w", backout.ErrUnavailable, err)
	}
	return nil
}

// withoutPasswords makes a list of URLs fit for messages.
func withoutPasswords(list string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		u, err := url.Parse(strings.TrimSpace(part))
		switch {
		case err != nil:
			parts[i] = "(unreadable URL)"
		case u.User != nil:
			u.User = url.User("xxxxx")
			parts[i] = u.String()
		}
	}
	return strings.Join(parts, ",")
}

// scrub keeps an error's text from repeating the URL with its password.
func scrub(err error, secret, shown string) error {
	if secret == shown || !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, shown))
}
