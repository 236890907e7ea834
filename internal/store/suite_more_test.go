package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// wantError checks that err tells all the parts.
func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one that tells %q", what, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not tell %q", what, err, part)
		}
	}
}

func testDocuments(t *testing.T, js jetstream.JetStream) {
	c := open(t, js).Control
	ctx := t.Context()
	if _, err := c.Get(ctx, "rule.modes"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	first, err := c.Create(ctx, "rule.modes", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(ctx, "rule.modes", []byte("other")); !errors.Is(err, backout.ErrExists) {
		t.Errorf("second Create: %v, want ErrExists", err)
	}
	second, err := c.Put(ctx, "rule.modes", []byte("two"), first)
	if err != nil || second <= first {
		t.Fatalf("Put = %d, %v, want a revision after %d", second, err, first)
	}
	if _, err := c.Put(ctx, "rule.modes", []byte("late"), first); !errors.Is(err, backout.ErrConflict) {
		t.Errorf("Put with an old revision: %v, want ErrConflict", err)
	}
	back, err := c.Put(ctx, "rule.modes", []byte("one"), second)
	if err != nil {
		t.Fatalf("Put of an earlier value: %v", err)
	}
	if doc, err := c.Get(ctx, "rule.modes"); err != nil || string(doc.Value) != "one" || doc.Revision != back {
		t.Errorf("Get = %q at %d, %v, want one at %d", doc.Value, doc.Revision, err, back)
	}
	if _, err := c.Get(ctx, "rule=2Emodes"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("Get of another key: %v, want ErrNotFound", err)
	}
}

func testPause(t *testing.T, js jetstream.JetStream) {
	one, two := openAs(t, js, "one").Control, openAs(t, js, "two").Control
	if state, err := one.Pause(t.Context()); err != nil || state.On {
		t.Errorf("Pause before anybody moved it = %+v, %v", state, err)
	}
	seen := make(chan store.PauseState, 8)
	two.OnPause(func(s store.PauseState) { seen <- s })
	on := store.PauseState{On: true, By: "alice", Reason: "storage maintenance", At: testTime}
	for _, want := range []store.PauseState{on, {On: false, By: "bob", At: testTime}} {
		if err := one.SetPause(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, seen); got != want {
			t.Errorf("the other server saw %+v, want %+v", got, want)
		}
		if got, err := two.Pause(t.Context()); err != nil || got != want {
			t.Errorf("Pause = %+v, %v, want %+v", got, err, want)
		}
	}
	late := make(chan store.PauseState, 1)
	two.OnPause(func(s store.PauseState) { late <- s })
	if got := receive(t, late); got.By != "bob" {
		t.Errorf("a late listener saw %+v, want the state that stands", got)
	}
}

// What is kept for rules reaches every server, and only of the newest that it read
// may one be made another.
func testRules(t *testing.T, js jetstream.JetStream) {
	one, two := openAs(t, js, "one").Control, openAs(t, js, "two").Control
	ctx, cancel := context.WithCancel(t.Context())
	if doc, err := one.Rule(ctx, "web:Red.1"); err != nil || doc.Revision != 0 {
		t.Errorf("Rule of nothing = %+v, %v", doc, err)
	}
	first, err := one.PutRule(ctx, "web:Red.1", []byte("ask"), 0)
	if err != nil {
		t.Fatal(err)
	}
	type heard struct{ name, value string }
	news, caught, ended := make(chan heard, 8), make(chan bool, 1), make(chan error, 1)
	go func() {
		ended <- two.FollowRules(ctx, func(name string, doc store.Document) error {
			news <- heard{name, string(doc.Value)}
			return nil
		}, func() { caught <- true })
	}()
	if got := receive(t, news); got != (heard{"web:Red.1", "ask"}) {
		t.Errorf("heard %v", got)
	}
	receive(t, caught)
	if _, err := two.PutRule(ctx, "web:Red.1", []byte("auto"), first); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, news); got != (heard{"web:Red.1", "auto"}) {
		t.Errorf("heard %v", got)
	}
	if _, err := one.PutRule(ctx, "web:Red.1", []byte("late"), first); !errors.Is(err, backout.ErrConflict) {
		t.Errorf("PutRule with an old revision: %v, want ErrConflict", err)
	}
	if doc, err := one.Rule(ctx, "web:Red.1"); err != nil || string(doc.Value) != "auto" {
		t.Errorf("Rule = %q, %v, want auto", doc.Value, err)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("FollowRules ended with %v", err)
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came in 30 s")
		panic("unreachable")
	}
}

func testNotices(t *testing.T, js jetstream.JetStream) {
	o := open(t, js).Outbox
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, n := range []backout.Notice{
		{ID: "CHG1-r1.1.0", RollbackID: "CHG1-r1"}, {ID: "CHG1-r1.2.0", RollbackID: "CHG1-r1"}, {ID: "CHG1-r1.1.0"}, {ID: "CHG2.1"},
	} {
		if err := o.Put(ctx, "slack.ops", n); err != nil {
			t.Fatal(err)
		}
	}
	waiting, err := o.Waiting(ctx)
	if err != nil || len(waiting) != 3 || waiting[0].Channel != "slack.ops" || waiting[0].Notice.ID != "CHG1-r1.1.0" || waiting[0].Since.IsZero() {
		t.Errorf("Waiting = %+v, %v, want the three notices", waiting, err)
	}
	if r, err := o.Thread(ctx, "slack.ops", "CHG1-r1"); r != nil || err != nil {
		t.Errorf("Thread before any delivery = %v, %v, want none", r, err)
	}
	var got []string
	err = o.Consume(ctx, "slack.ops", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
		got = append(got, n.ID)
		if len(got) == 3 {
			cancel()
		}
		return backout.Receipt{Ref: "ts-" + n.ID, Channel: "C1"}, nil
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(got, []string{"CHG1-r1.1.0", "CHG1-r1.2.0", "CHG2.1"}) {
		t.Errorf("delivered %v, %v", got, err)
	}
	ctx = t.Context()
	if r, err := o.Thread(ctx, "slack.ops", "CHG1-r1"); err != nil || r == nil || r.Ref != "ts-CHG1-r1.1.0" {
		t.Errorf("Thread = %v, %v, want the first receipt", r, err)
	}
	if waiting, err := o.Waiting(ctx); err != nil || len(waiting) != 0 {
		t.Errorf("Waiting after delivery = %+v, %v, want none", waiting, err)
	}
}

func testArtifacts(t *testing.T, js jetstream.JetStream) {
	a := open(t, js).Artifacts
	ctx := t.Context()
	for _, data := range [][]byte{nil, []byte("hello"), bytes.Repeat([]byte("0123456789abcdef"), 400_000)} {
		digest, err := a.Put(ctx, data)
		if err != nil {
			t.Fatalf("Put of %d bytes: %v", len(data), err)
		}
		if again, err := a.Put(ctx, data); err != nil || again != digest {
			t.Errorf("Put again = %s, %v, want %s", again, err, digest)
		}
		if got, err := a.Get(ctx, digest); err != nil || !bytes.Equal(got, data) {
			t.Errorf("Get = %d bytes, %v, want %d", len(got), err, len(data))
		}
	}
	if digest, _ := a.Put(ctx, []byte("hello")); digest != "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("digest of hello = %s", digest)
	}
	if _, err := a.Get(ctx, "sha256:00"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	for _, output := range []string{"first\n", "second\n"} {
		if err := a.PutOutput(ctx, "CHG1-r1.L1.s1.t1.a1", []byte(output)); err != nil {
			t.Fatal(err)
		}
		if got, err := a.GetOutput(ctx, "CHG1-r1.L1.s1.t1.a1"); err != nil || string(got) != output {
			t.Errorf("GetOutput = %q, %v, want %q", got, err, output)
		}
	}
	if _, err := a.GetOutput(ctx, "other"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("GetOutput of nothing: %v, want ErrNotFound", err)
	}
}

func testReopen(t *testing.T, js jetstream.JetStream) {
	first, err := store.Open(t.Context(), store.Options{JS: js, Server: "one"})
	if err != nil {
		t.Fatal(err)
	}
	seq := mustAppend(t, first.Changes, "CHG1", 0, "a")
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Fatalf("Close twice: %v", err)
	}
	if _, err := first.Alerts.Append(t.Context(), post(1)); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("Append to a closed store: %v, want ErrUnavailable", err)
	}
	second := open(t, js)
	if got := mustLoad(t, second.Changes, "CHG1"); len(got) != 1 || got[0].Seq != seq {
		t.Errorf("history after reopening = %+v", got)
	}
	mustAppend(t, second.Changes, "CHG1", seq, "b")
}

func TestRefusedOutputIsUnavailable(t *testing.T) {
	f, s := startFaulty(t)
	f.set(times(1, errDiskFull), nil)
	if err := s.Artifacts.PutOutput(t.Context(), "a1", []byte("done\n")); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("PutOutput to a full disk: %v, want ErrUnavailable", err)
	}
	f.set(nil, times(1, context.DeadlineExceeded))
	if err := s.Artifacts.PutOutput(t.Context(), "a1", []byte("done\n")); err != nil || f.count() != 3 {
		t.Errorf("PutOutput with one lost answer: %v after %d writes, want success after 3", err, f.count())
	}
	if got, err := s.Artifacts.GetOutput(t.Context(), "a1"); err != nil || string(got) != "done\n" {
		t.Errorf("GetOutput = %q, %v", got, err)
	}
}

func TestArtifactsCanBeReadAsAnObjectStore(t *testing.T) {
	js := bustest.Start(t).JetStream()
	a := open(t, js).Artifacts
	large := make([]byte, 9<<20)
	_, _ = rand.Read(large) // does not compress: several pieces
	for _, data := range [][]byte{[]byte("first"), large, []byte("second")} {
		if err := a.PutOutput(t.Context(), "a1", data); err != nil {
			t.Fatal(err)
		}
		objects, err := js.ObjectStore(t.Context(), "BACKOUT_ARTIFACTS")
		if err != nil {
			t.Fatal(err)
		}
		packed, err := objects.GetBytes(t.Context(), "output:a1")
		if err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(zip); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v, want %d", len(got), err, len(data))
		}
	}
	stream, err := js.Stream(t.Context(), "OBJ_BACKOUT_ARTIFACTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("%d messages kept, want the piece and the record of the last", n)
	}
}
