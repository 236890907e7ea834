package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readyTimeout bounds the start when ctx does not. Half a million subjects were
// measured to need 8 s.
const readyTimeout = 60 * time.Second

func openEmbedded(ctx context.Context, o Options) (_ *Bus, err error) {
	dir, err := claimDirectory(o.DataDir)
	if err != nil {
		return nil, err
	}
	b := &Bus{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.abandon())
		}
	}()
	if o.Bulk {
		if there := dir.streams(); len(there) > 0 {
			return nil, fmt.Errorf("data directory %s holds a store already (%s): name an empty one, or move this one away", dir.path, strings.Join(there, ", "))
		}
		if err = dir.fill(true); err != nil {
			return nil, err
		}
	}
	if err = dir.tidy(); err != nil {
		return nil, err
	}
	said := &serverLog{log: o.Logger}
	if b.server, err = startServer(ctx, o, said); err != nil {
		return nil, err
	}
	if err = serverHealth(b.server, dir.path); err != nil {
		return nil, err
	}
	options := append(connOptions(o), nats.InProcessServer(b.server))
	if b.conn, err = nats.Connect("", options...); err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS: %w", err)
	}
	inner, err := jetstream.New(b.conn)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	b.js = &remembering{JetStream: inner, dir: dir}
	if err = checkStreams(ctx, inner, dir, said); err != nil {
		return nil, err
	}
	b.bulk = o.Bulk
	return b, nil
}

func startServer(ctx context.Context, o Options, log *serverLog) (*server.Server, error) {
	maxStore := o.MaxStore
	if maxStore == 0 {
		maxStore = DefaultMaxStore
	}
	s, err := server.NewServer(&server.Options{
		ServerName:             "backout",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		JetStream:              true,
		StoreDir:               o.DataDir,
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     64 << 20,
		SyncAlways:             !o.Bulk,
		DisableJetStreamBanner: true,
		MaxPayload:             MaxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the embedded NATS: %w", err)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	wait := readyTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline)
	}
	if !s.ReadyForConnections(wait) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start the embedded NATS in %s: not ready after %s", o.DataDir, wait.Round(time.Second))
	}
	return s, nil
}

// serverHealth tells what the server says of its streams: whether each directory
// became a stream, and whether each takes writes.
func serverHealth(s *server.Server, path string) error {
	health := askHealth(s)
	var what []string
	for _, e := range health.Errors {
		// A deleted stream's directory gets a dot before its name and goes away
		// in the background; a stop may come first.
		if !strings.HasPrefix(e.Stream, ".") {
			what = append(what, e.Error)
		}
	}
	if health.Error != "" {
		what = append(what, health.Error)
	}
	if len(what) == 0 {
		return nil
	}
	said := strings.Join(what, "; ")
	if strings.Contains(said, "write error") {
		return fmt.Errorf("the store in %s stopped taking writes: %s: make room on the disk, then start the server again", path, said)
	}
	return fmt.Errorf("the store in %s is damaged: %s: restore it from a backup, or move the directory away to start with nothing", path, said)
}

// askHealth asks the server how it is. On a busy machine the server's own check
// that it has started, which gives itself a millisecond, fails now and then: that
// answer is asked for again.
func askHealth(s *server.Server) *server.HealthStatus {
	const tries = 10
	for try := 1; ; try++ {
		health := s.Healthz(&server.HealthzOptions{Details: true})
		hasty := slices.ContainsFunc(health.Errors, func(e server.HealthzError) bool { return e.Type == server.HealthzErrorConn })
		if !hasty || try == tries || !s.ReadyForConnections(time.Second) {
			return health
		}
	}
}

// checkStreams compares the streams that are there with those that were, and
// reports what a recovery cut off.
func checkStreams(ctx context.Context, js jetstream.JetStream, dir *directory, said *serverLog) error {
	there := make(map[string]bool)
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		there[info.Config.Name] = true
		if lost := info.State.Lost; lost != nil {
			said.log.Warn("stream lost data that was not readable", "stream", info.Config.Name, "bytes", lost.Bytes, "messages", len(lost.Msgs))
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("list the streams in %s: %w", dir.path, err)
	}
	for _, name := range dir.streams() {
		if !there[name] {
			return fmt.Errorf("the store in %s has lost its stream %s%s: restore it from a backup, or move the directory away to start with nothing", dir.path, name, said.about(name))
		}
	}
	return nil
}

// abandon undoes a half-finished opening.
func (b *Bus) abandon() error {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	return b.dir.release()
}

// remembering notes the streams that are created through it, so that a later
// start can tell a lost stream from one that never was.
type remembering struct {
	jetstream.JetStream
	dir *directory
}

// CreateStream implements [jetstream.StreamManager].
func (r *remembering) CreateStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := r.JetStream.CreateStream(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := r.dir.remember(cfg.Name); err != nil {
		return nil, fmt.Errorf("remember stream %s: %w", cfg.Name, err)
	}
	return stream, nil
}

// DeleteStream implements [jetstream.StreamManager].
func (r *remembering) DeleteStream(ctx context.Context, name string) error {
	if err := r.dir.forget(name); err != nil {
		return fmt.Errorf("forget stream %s: %w", name, err)
	}
	return r.JetStream.DeleteStream(ctx, name)
}
