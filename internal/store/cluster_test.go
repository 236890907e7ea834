package store_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/store"
)

// cluster runs three NATS servers that share their streams.
type cluster struct {
	servers []*server.Server
	urls    string
}

// startCluster returns once the three have a leader. dirs may name the storage of
// the first ones.
func startCluster(t *testing.T, dirs ...string) *cluster {
	t.Helper()
	if testing.Short() {
		missing(t, "a cluster takes some seconds to find its leader: not in short mode")
	}
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // what tcp listens on
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		_ = l.Close()
	}
	c := &cluster{}
	var urls []string
	for i, port := range ports {
		dir := t.TempDir()
		if i < len(dirs) {
			dir = dirs[i]
		}
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
			JetStreamMaxStore: 64 << 30, SyncAlways: true, MaxPayload: bus.MaxPayload, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		if !s.ReadyForConnections(30 * time.Second) {
			t.Fatal("a NATS server of the cluster is not ready")
		}
		urls = append(urls, s.ClientURL())
	}
	c.urls = strings.Join(urls, ",")
	for deadline := time.Now().Add(time.Minute); !c.led(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster has no leader")
		}
	}
	return c
}

func (c *cluster) led() bool {
	for _, s := range c.servers {
		if s.JetStreamIsLeader() {
			return len(s.JetStreamClusterPeers()) == len(c.servers)
		}
	}
	return false
}

func (c *cluster) connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{URL: c.urls, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.JetStream()
}

// TestToAClusterAndBack: everything arrives on three servers, and comes back.
func TestToAClusterAndBack(t *testing.T) {
	s := start(t)
	populate(t, s)
	data := takeBackup(t, s)
	js := startCluster(t).connect(t)
	checked, err := store.CheckBackup(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{JS: js, Server: "two", Replicas: 3, Marks: store.ControlMarks{JS: js}}
	r, err := store.Restore(t.Context(), o, checked, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := r.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(t.Context(), clustered, store.PauseState{On: true, Reason: "restored"}); err != nil {
		t.Fatal(err)
	}
	if err := clustered.Close(); err != nil {
		t.Fatal(err)
	}
	if clustered, err = store.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = clustered.Close() }()
	for _, name := range []string{"BACKOUT_CHANGES", "OBJ_BACKOUT_ARTIFACTS"} {
		if stream, err := js.Stream(t.Context(), name); err != nil || stream.CachedInfo().Config.Replicas != 3 {
			t.Errorf("stream %s: %v, want 3 replicas", name, err)
		}
	}
	again := takeBackup(t, clustered)
	same(t, s, restoreHere(t, again), again)
	same(t, s, clustered, data)
}

// TestPurgedOrRemadeStreamIsRefused: on the user's NATS, where anybody with the
// nats command can do that.
func TestPurgedOrRemadeStreamIsRefused(t *testing.T) {
	for name, do := range map[string]func(js jetstream.JetStream, stream string) error{
		"purged": func(js jetstream.JetStream, stream string) error {
			s, err := js.Stream(t.Context(), stream)
			if err != nil {
				return err
			}
			return s.Purge(t.Context())
		},
		"remade":  func(js jetstream.JetStream, stream string) error { return remake(t, js, stream) },
		"deleted": func(js jetstream.JetStream, stream string) error { return js.DeleteStream(t.Context(), stream) },
	} {
		for _, stream := range []string{"BACKOUT_CHANGES", "BACKOUT_ROLLBACKS", "BACKOUT_ALERTS", "BACKOUT_NOTICES", "KV_BACKOUT_RECEIPTS", "OBJ_BACKOUT_ARTIFACTS"} {
			logs := stream == "BACKOUT_CHANGES" || stream == "BACKOUT_ROLLBACKS"
			if name == "purged" && !logs {
				continue // what may expire may also be purged
			}
			t.Run(name+" "+stream, func(t *testing.T) {
				js := external(t)
				o := store.Options{JS: js, Server: "one", Marks: store.ControlMarks{JS: js}}
				s, err := store.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				populate(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if err := do(js, stream); err != nil {
					t.Fatal(err)
				}
				if logs {
					_, err = store.Open(t.Context(), o)
					wantError(t, "Open", err, stream, "lost", "backup")
					return
				}
				openWithout(t, o, stream)
			})
		}
	}
}

// openWithout opens a store that has lost the end of a stream on which no rollback
// hangs: it says so, can be backed up, and says it once.
func openWithout(t *testing.T, o store.Options, stream string) {
	t.Helper()
	for range 2 {
		var said bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&said, nil))
		s, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		takeBackup(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if first := strings.Contains(said.String(), "lost its end") && strings.Contains(said.String(), "stream="+stream); first != (o.Server == "one") {
			t.Errorf("server %s says: %s", o.Server, said.String())
		}
		o.Server = "two"
	}
}

func remake(t *testing.T, js jetstream.JetStream, stream string) error {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		return err
	}
	cfg := s.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), stream); err != nil {
		return err
	}
	_, err = js.CreateStream(t.Context(), cfg)
	return err
}

// external is a NATS server of the user's own.
func external(t *testing.T) jetstream.JetStream {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: bus.MaxPayload})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return (&cluster{urls: s.ClientURL()}).connect(t)
}

// TestClusterOnASingleServersDirectory: a NATS server of a cluster that was
// started there may have removed everything; nobody goes on as if nothing was.
func TestClusterOnASingleServersDirectory(t *testing.T) {
	dir := t.TempDir()
	fillForDamage(t, dir)
	c := startCluster(t, dir)
	for _, s := range c.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
	_, err := bus.Open(t.Context(), bus.Options{DataDir: dir})
	wantError(t, "Open", err, dir, "cluster", "restore the last backup")
}
