package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// mouth is a Sender that remembers; each id in fail fails that often first.
type mouth struct {
	mu   sync.Mutex
	sent []string
	fail map[string][]error
}

func (m *mouth) Send(_ context.Context, n backout.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if errs := m.fail[n.ID]; len(errs) > 0 {
		m.fail[n.ID] = errs[1:]
		return errs[0]
	}
	m.sent = append(m.sent, n.ID)
	return nil
}

func (m *mouth) told() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sent)
}

func closed(seq uint64, id string) store.Entry {
	return store.Entry{ID: id, Seq: seq, Record: backout.Record{At: noon, Events: []backout.Event{
		backout.Planned{Spec: backout.ChangeSpec{ID: id, Stakeholders: []string{"ops"}}},
		backout.WindowOpened{},
		backout.ChangeEnded{State: backout.ChangeClosed},
	}}}
}

func TestRelayRemembersHowFarItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Options{JS: bustest.Start(t).JetStream(), Server: "me"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		away := errors.New("away")
		m := &mouth{fail: map[string][]error{
			"C1.1.2": {away, away, away},
			"C2.2.1": {backout.Permanent(errors.New("nobody of that name"))},
			"C4.6.1": {fmt.Errorf("larger than max_payload: %w", backout.ErrInvalid)},
			"C4.6.2": {backout.ErrInvalid, backout.ErrInvalid},
		}}
		e := New(Options{Store: s, Server: "me", Sender: m, Log: slog.New(slog.DiscardHandler)}, &Config{})
		hand := func(entries ...store.Entry) {
			t.Helper()
			r := newRelay(e)
			if err := r.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if err := r.change(t.Context(), entry); err != nil {
					t.Fatal(err)
				}
			}
		}
		began := time.Now()
		hand(closed(1, "C1"), closed(2, "C2"))
		want := []string{"C1.1.1", "C1.1.2", "C2.2.2"}
		if diff := cmp.Diff(want, m.sent); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if time.Since(began) < 700*time.Millisecond {
			t.Error("it was not waited for")
		}
		hand(closed(1, "C1"), closed(2, "C2"), closed(5, "C3")) // after a restart
		want = append(want, "C3.5.1", "C3.5.2")
		if diff := cmp.Diff(want, m.sent); diff != "" {
			t.Errorf("sent after a restart (-want +got):\n%s", diff)
		}
		hand(closed(6, "C4"), closed(7, "C5")) // what is too large goes in short, or not at all
		want = append(want, "C4.6.1", "C5.7.1", "C5.7.2")
		if diff := cmp.Diff(want, m.sent); diff != "" {
			t.Errorf("sent behind one that is too large (-want +got):\n%s", diff)
		}
		e.Close()
	})
}

// TestWhoCanActIsToldFirst: a channel that serves several audiences has what is told of
// one event once, in the words of the first; other events keep their places.
func TestWhoCanActIsToldFirst(t *testing.T) {
	n := func(id, audience string) backout.Notice { return backout.Notice{ID: id, Audience: audience} }
	notices := []backout.Notice{n("1", "board"), n("1", "ops"), n("1", "press"), n("1", "dba"), n("2", "board"), n("3", "ops"), n("3", "board")}
	(&Config{Acts: func(audience string) bool { return audience == "ops" || audience == "dba" }}).actingFirst(notices)
	want := []backout.Notice{n("1", "ops"), n("1", "dba"), n("1", "board"), n("1", "press"), n("2", "board"), n("3", "ops"), n("3", "board")}
	if diff := cmp.Diff(want, notices); diff != "" {
		t.Error(diff)
	}
	(&Config{}).actingFirst(notices)
}

// TestAnAudienceThatIsGoneIsToldBehindThoseThatAreThere: all who can act get what it is
// told, and those that are there in words of their own.
func TestAnAudienceThatIsGoneIsToldBehindThoseThatAreThere(t *testing.T) {
	n := func(audience string) backout.Notice { return backout.Notice{ID: "1", Audience: audience} }
	notices := []backout.Notice{n("board"), n("old"), n("ops")}
	c := &Config{Acts: func(audience string) bool { return audience != "board" }, Audiences: map[string][]string{"ops": {"chat"}, "board": {"chat"}}}
	c.actingFirst(notices)
	if diff := cmp.Diff([]backout.Notice{n("ops"), n("old"), n("board")}, notices); diff != "" {
		t.Error(diff)
	}
}
