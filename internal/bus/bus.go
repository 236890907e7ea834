package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// MaxPayload is the largest message of the embedded server, in bytes: enough for
// the alerts of many requests in one record.
const MaxPayload = 8 << 20

// DefaultMaxStore is how much the embedded server may keep on disk when
// [Options.MaxStore] is 0, in bytes. It is a ceiling, not a reservation.
const DefaultMaxStore = 64 << 30

// Options say which JetStream to use. Exactly one of DataDir and URL is set.
type Options struct {
	// DataDir is the directory of the embedded server; it is made if missing.
	DataDir string
	// MaxStore bounds the embedded server's disk use, in bytes; 0 means
	// [DefaultMaxStore].
	MaxStore int64

	// Bulk makes the embedded server acknowledge before it has synced; [Bus.Close]
	// syncs everything at once. A directory whose Close never came is refused from
	// then on: it is for filling an empty one.
	Bulk bool

	// URL names the user's own NATS: one or more, separated by commas.
	URL string
	// Credentials is the content of a NATS credentials file; may be zero.
	Credentials backout.Secret
	// CAFile is a file of PEM certificates that the server's must chain to;
	// empty means the system's.
	CAFile string

	// Name is this server's name, as the other side sees it.
	Name string
	// Logger gets what NATS has to say; nil discards it.
	Logger *slog.Logger
}

func (o Options) validate() error {
	switch {
	case o.DataDir == "" && o.URL == "":
		return fmt.Errorf("%w: neither data_dir nor nats.url is set: set one of them", backout.ErrInvalid)
	case o.DataDir != "" && o.URL != "":
		return fmt.Errorf("%w: both a data directory and a NATS URL are given: give one of them", backout.ErrInvalid)
	case o.MaxStore < 0:
		return fmt.Errorf("%w: the store's size limit is %d bytes: want more than 0", backout.ErrInvalid, o.MaxStore)
	}
	return nil
}

// Bus is a connection to JetStream and, when embedded, the server behind it.
// Its methods may be called from several goroutines.
type Bus struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	server *server.Server // nil when external
	dir    *directory     // nil when external
	bulk   bool

	closing sync.Once
}

// Open starts the embedded server, or connects to the user's own, and checks
// that it is healthy. The caller must Close the result. ctx bounds the opening
// only.
func Open(ctx context.Context, o Options) (*Bus, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	open := openEmbedded
	if o.URL != "" {
		open = openExternal
	}
	b, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	return b, nil
}

// JetStream returns the way to the streams. Streams created through it are
// remembered: if one is missing at the next [Open], that is an error.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Marks keeps how far the embedded server's streams reach. ok is false for the
// user's own NATS, which has no directory here.
func (b *Bus) Marks() (marks Marks, ok bool) { return Marks{b.dir}, b.dir != nil }

// Health returns nil when writes can be expected to succeed, else an error that
// wraps [backout.ErrUnavailable] and says why.
func (b *Bus) Health(ctx context.Context) error {
	if b.server != nil {
		if err := serverHealth(b.server, b.dir.path); err != nil {
			return fmt.Errorf("%w: %w", backout.ErrUnavailable, err)
		}
	}
	if status := b.conn.Status(); status != nats.CONNECTED {
		return fmt.Errorf("%w: the connection to NATS is %s", backout.ErrUnavailable, status)
	}
	if _, err := b.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("%w: JetStream does not answer: %w", backout.ErrUnavailable, err)
	}
	return nil
}

// Usage returns how many bytes the streams take on disk, and how many they may; a limit
// of 0 or less is none that is known.
func (b *Bus) Usage(ctx context.Context) (used, limit int64, err error) {
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: JetStream does not answer: %w", backout.ErrUnavailable, err)
	}
	used, limit = int64(min(info.Store, math.MaxInt64)), info.Limits.MaxStore
	if limit <= 0 && b.server != nil {
		if cfg := b.server.JetStreamConfig(); cfg != nil {
			limit = cfg.MaxStore
		}
	}
	return used, limit, nil
}

// Close ends the connection, stops the embedded server and frees the data
// directory, in this order. Close the store first. Only the first call counts.
func (b *Bus) Close() error {
	var err error
	b.closing.Do(func() {
		b.conn.Close()
		if b.server != nil {
			b.server.Shutdown()
			b.server.WaitForShutdown()
		}
		if b.bulk {
			if err = syncAll(filepath.Join(b.dir.path, "jetstream")); err == nil {
				err = b.dir.fill(false)
			}
		}
		if b.dir != nil {
			err = errors.Join(err, b.dir.release())
		}
	})
	return err
}
