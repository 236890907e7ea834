package remote

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
)

// thief is a connection with a runner's credentials and all freedom of a client.
func thief(t *testing.T, w *world, user string) (*nats.Conn, <-chan error) {
	t.Helper()
	refused := make(chan error, 100)
	c, err := nats.Connect("nats://"+user+":pass@"+w.nats, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, refused
}

func wantViolation(t *testing.T, what string, refused <-chan error) {
	t.Helper()
	select {
	case err := <-refused:
		if !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s: it was allowed", what)
	}
}

// TestWhatAStolenRunnerCannotDo: the permissions that are printed keep its
// credentials from everything but work that is signed.
func TestWhatAStolenRunnerCannotDo(t *testing.T) {
	w := newWorld(t)
	server, _ := thief(t, w, "server")
	js, err := jetstream.New(server)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BACKOUT_ROLLBACKS", Subjects: []string{"backout.rollbacks.*"}}); err != nil {
		t.Fatalf("a server makes its streams: %v", err)
	}
	if _, err := js.Publish(t.Context(), "backout.rollbacks.x", []byte("kept")); err != nil {
		t.Fatalf("a server writes: %v", err)
	}
	c, refused := thief(t, w, "fra-1")
	for _, subject := range []string{
		">", "_INBOX.>", "_INBOX.x", "$JS.>", "$SYS.>", "backout.>", "backout.rollbacks.*", "backout.alerts", "backout.presence", "backout.sites.>", offers("nyc"),
		directed("nyc", "nyc-1.*"), directed("fra", "fra-2.*"), hellos("fra", "fra-1"), hellos("*", "*"),
	} {
		if _, err := c.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, "subscribe to "+subject, refused)
	}
	for _, subject := range []string{
		"backout.rollbacks.x", "backout.changes.x", "backout.alerts", "backout.presence", "$KV.BACKOUT_CONTROL.pause", "$O.BACKOUT_ARTIFACTS.C.x", "$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.MSG.GET.BACKOUT_ROLLBACKS", "$JS.API.DIRECT.GET.BACKOUT_ROLLBACKS", "$JS.API.CONSUMER.CREATE.BACKOUT_ROLLBACKS",
		"$JS.API.STREAM.PURGE.BACKOUT_ROLLBACKS", "$JS.ACK.BACKOUT_ROLLBACKS.x", "_INBOX.x", offers("fra"), offers("nyc"),
		directed("fra", "fra-2.x"), directed("fra", "fra-1.x"), hellos("fra", "fra-2"), hellos("nyc", "nyc-1"),
	} {
		if err := c.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, "publish to "+subject, refused)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	own, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.AccountInfo(ctx); err == nil {
		t.Error("it uses JetStream")
	}
	if info, err := js.Stream(t.Context(), "BACKOUT_ROLLBACKS"); err != nil || info.CachedInfo().State.Msgs != 1 {
		t.Errorf("the stream has changed: %v", err)
	}
}

// TestAnswersGoOnceToWhoAsked: a runner answers a question, and then has no right
// to speak to who asked it.
func TestAnswersGoOnceToWhoAsked(t *testing.T) {
	w := newWorld(t)
	c, refused := thief(t, w, "fra-1")
	asked, err := c.SubscribeSync(offers("fra"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	server, _ := thief(t, w, "server")
	inbox := server.NewInbox()
	answers, err := server.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.PublishRequest(offers("fra"), inbox, nil); err != nil {
		t.Fatal(err)
	}
	m, err := asked.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Respond([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	wantViolation(t, "a second answer", refused)
	if _, err := answers.NextMsg(10 * time.Second); err != nil {
		t.Errorf("the first answer: %v", err)
	}
}

// TestAStolenRunnerHearsNoLookOfOthers, so that it cannot answer before them.
func TestAStolenRunnerHearsNoLookOfOthers(t *testing.T) {
	w := newWorld(t)
	c, _ := thief(t, w, "fra-1")
	heard := make(chan string, 10)
	p, err := RunnerPermissions("fra", "fra-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range p.Subscribe {
		if _, err := c.Subscribe(subject, func(m *nats.Msg) { heard <- m.Subject }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	w.agent("fra-2")
	j, _ := job(here, 1, step("true"))
	look := runner.Look{Target: here, ChangeID: "CHG1", Frozen: j.Frozen, Gate: j.Gate}
	site := w.hub().Site("fra")
	for range 20 {
		if seen := site.Check(t.Context(), look, j.Frozen.Plan.Verify.Checks[0]); !seen.Green {
			t.Fatalf("check: %+v", seen)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case subject := <-heard:
		t.Errorf("it heard %s", subject)
	default:
	}
}

func TestPermissionsAsNSCArguments(t *testing.T) {
	p, err := RunnerPermissions("fra", "fra-1")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(p.NSC(), " ")
	const want = "--allow-pub backout.sites.fra.hello.fra-1 --allow-sub backout.sites.fra.offer,backout.sites.fra.to.fra-1.* " +
		"--allow-pub-response=1 --response-ttl=1m"
	if got != want {
		t.Errorf("%s", got)
	}
	for _, bad := range []string{"", "*", ">", "fra.x", "fra 1", "fra\n"} {
		if _, err := RunnerPermissions(bad, "fra-1"); err == nil {
			t.Errorf("site %q is allowed", bad)
		}
		if _, err := RunnerPermissions("fra", bad); err == nil {
			t.Errorf("runner %q is allowed", bad)
		}
	}
}

// TestAServersPermissionsAreEnough for its store and for hearing of the others.
func TestAServersPermissionsAreEnough(t *testing.T) {
	w := newWorld(t)
	b, err := bus.Open(t.Context(), bus.Options{URL: "nats://server:pass@" + w.nats, Name: "s1", Logger: w.log})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "s1", Replicas: 1, Logger: w.log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Artifacts.PutOutput(t.Context(), "CHG1-r1.L1.s1.t1.a1", []byte("kept")); err != nil {
		t.Error(err)
	}
	if _, err := s.Control.Create(t.Context(), "x", []byte("kept")); err != nil {
		t.Error(err)
	}
	heard := make(chan struct{}, 1)
	for range 2 {
		p, err := b.Announce(bus.PresenceOptions{Name: "s1", Every: 10 * time.Millisecond, Namesake: func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.Begin()
		defer p.Close()
	}
	<-heard
}
