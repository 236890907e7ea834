package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// people is a notifier that remembers what it was handed, and when.
type people struct {
	mu       sync.Mutex
	fail     error
	hang     bool
	got      []backout.Message
	times    []time.Time
	attempts int
}

func (p *people) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts++
	if p.hang {
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return backout.Receipt{}, ctx.Err()
	}
	if p.fail != nil {
		return backout.Receipt{}, p.fail
	}
	p.got = append(p.got, m)
	p.times = append(p.times, time.Now())
	return backout.Receipt{Ref: fmt.Sprintf("ref-%d", len(p.got)), Channel: "C"}, nil
}

func (p *people) set(fail error, hang bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.hang = fail, hang
}

func (p *people) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, m := range p.got {
		ids = append(ids, m.Notice.ID)
	}
	return ids
}

func (p *people) messages() []backout.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// bench is an outbox on the real store.
type bench struct {
	*outbox.Outbox
	store *store.Store
	log   *bytes.Buffer
}

// inVirtualTime runs a story with the embedded server in virtual time.
func inVirtualTime(t *testing.T, story func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bus := bustest.Start(t)
		s, err := store.Open(t.Context(), store.Options{JS: bus.JetStream(), Server: "test"})
		if err != nil {
			t.Fatal(err)
		}
		b := open(s)
		t.Cleanup(func() { _ = s.Close() })
		t.Cleanup(b.Close)
		story(t, b)
	})
}

func open(s *store.Store) *bench {
	log := &bytes.Buffer{}
	return &bench{outbox.New(outbox.Options{Store: s.Outbox, Log: slog.New(slog.NewTextHandler(log, nil))}), s, log}
}

func (b *bench) update(t *testing.T, channels map[string]backout.Notifier, audiences map[string][]string) {
	t.Helper()
	c := outbox.Config{Channels: map[string]outbox.Channel{}, Audiences: audiences, Templates: notifier.Default()}
	for name, n := range channels {
		c.Channels[name] = outbox.Channel{Notifier: n, Style: notifier.Style{Kind: "test", Escape: strings.ToUpper}}
	}
	if err := b.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) send(t *testing.T, audience string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		n := backout.Notice{ID: id, Moment: backout.MomentHeld, Audience: audience, ChangeID: "CHG1", RollbackID: "r1", Title: "patch", At: time.Now()}
		if err := b.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

func wantIDs(t *testing.T, who string, p *people, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, p.ids()); d != "" {
		t.Errorf("%s (-want +got):\n%s", who, d)
	}
}

func TestNoticeReachesEveryChannelOfItsAudience(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail, other := &people{}, &people{}, &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail, "other": other}, map[string][]string{"ops": {"chat", "mail"}, "rest": {"other"}})
		b.send(t, "ops", "n1", "n2", "n2")
		time.Sleep(time.Second)
		wantIDs(t, "chat", chat, "n1", "n2")
		wantIDs(t, "mail", mail, "n1", "n2")
		wantIDs(t, "other", other)
		m := chat.messages()[0]
		if !strings.Contains(m.Text, "PATCH") || m.Notice.Title != "patch" {
			t.Errorf("values are not escaped in the text, or are in the data: %q, %q", m.Text, m.Notice.Title)
		}
	})
}

func TestLaterMessagesGetTheThreadOfTheFirst(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1", "n2", "n3")
		time.Sleep(time.Second)
		var threads []string
		for _, m := range chat.messages() {
			if m.Thread == nil {
				threads = append(threads, "")
				continue
			}
			threads = append(threads, m.Thread.Ref)
		}
		if d := cmp.Diff([]string{"", "ref-1", "ref-1"}, threads); d != "" {
			t.Errorf("threads (-want +got):\n%s", d)
		}
	})
}

func TestUnknownAudienceIsAnError(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		b.update(t, map[string]backout.Notifier{"chat": &people{}}, map[string][]string{"ops": {"chat"}})
		for _, audience := range []string{"nobody", ""} {
			err := b.Send(t.Context(), backout.Notice{ID: "n1", Audience: audience})
			if !errors.Is(err, backout.ErrNotFound) || !backout.IsPermanent(err) || !strings.Contains(err.Error(), "ops") {
				t.Errorf("audience %q: error %v", audience, err)
			}
		}
	})
}

func TestChannelThatIsDownDelaysOnlyItself(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail := &people{}, &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail}, map[string][]string{"ops": {"chat", "mail"}})
		chat.set(errors.New("connection refused"), false)
		begun := time.Now()
		b.send(t, "ops", "n1", "n2", "n3")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("sending took %v", took)
		}
		time.Sleep(10 * time.Minute)
		wantIDs(t, "mail", mail, "n1", "n2", "n3")
		wantIDs(t, "chat", chat)
		h := mustHealth(t, b)
		if c := h["chat"]; c.Waiting != 3 || !c.Failing() || !strings.Contains(c.LastError, "refused") || !c.LastSuccess.IsZero() || c.Why != c.LastError {
			t.Errorf("health of chat: %+v", c)
		}
		if m := h["mail"]; m.Waiting != 0 || m.Failing() || m.Why != "" || m.LastSuccess.Sub(begun) > time.Second {
			t.Errorf("health of mail: %+v", m)
		}
		chat.set(nil, false)
		time.Sleep(5 * time.Minute)
		wantIDs(t, "chat, when it is back", chat, "n1", "n2", "n3")
		if c := mustHealth(t, b)["chat"]; c.Waiting != 0 || c.Failing() {
			t.Errorf("health of chat, when it is back: %+v", c)
		}
	})
}

func mustHealth(t *testing.T, b *bench) map[string]outbox.Standing {
	t.Helper()
	h, err := b.Standing(t.Context(), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNotifierThatHangsIsCutOff(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(nil, true)
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1")
		time.Sleep(3 * time.Minute)
		chat.set(nil, false)
		time.Sleep(5 * time.Minute)
		wantIDs(t, "chat", chat, "n1")
	})
}

func TestGivenUpNoticesAreListed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(backout.Permanent(errors.New("not_in_channel: invite the app")), false)
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1")
		time.Sleep(time.Minute)
		list, err := b.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Waiting) != 0 || len(list.GivenUp) != 1 || list.GivenUp[0].Notice.ID != "n1" || !strings.Contains(list.GivenUp[0].LastError, "invite the app") {
			t.Errorf("undelivered: %+v", list)
		}
		if c := mustHealth(t, b)["chat"]; c.GivenUp != 1 || !strings.Contains(c.GaveUpFor, "invite the app") || time.Since(c.GaveUpAt) > time.Minute {
			t.Errorf("standing of chat: %+v", c)
		}
		chat.set(nil, false)
		b.send(t, "ops", "n2")
		time.Sleep(time.Minute)
		wantIDs(t, "chat, afterwards", chat, "n2")
		time.Sleep(time.Hour)
		if c := mustHealth(t, b)["chat"]; c.GivenUp != 0 || c.Why != "" {
			t.Errorf("standing of chat, long afterwards: %+v", c)
		}
	})
}

func TestNoticesOfARemovedChannelAreGivenUpWithTheReason(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail := &people{}, &people{}
		chat.set(errors.New("down"), false)
		b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1", "n2")
		time.Sleep(time.Minute)
		b.update(t, map[string]backout.Notifier{"mail": mail}, map[string][]string{"ops": {"mail"}})
		time.Sleep(2 * time.Minute)
		checkRemoved(t, b, "n1", "n2")
		if _, ok := mustHealth(t, b)["chat"]; ok {
			t.Error("a removed channel has a health")
		}
	})
}

func checkRemoved(t *testing.T, b *bench, want ...string) {
	t.Helper()
	list, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range list.GivenUp {
		if p.Channel != "chat" || !strings.Contains(p.LastError, "removed from the config") {
			t.Errorf("given up: %+v", p)
		}
		ids = append(ids, p.Notice.ID)
	}
	slices.Sort(ids)
	if d := cmp.Diff(want, ids); d != "" || len(list.Waiting) > 0 {
		t.Errorf("given up (-want +got):\n%s, waiting %+v", d, list.Waiting)
	}
}

func TestChannelRemovedWhileNoServerRan(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(errors.New("down"), false)
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1")
		time.Sleep(time.Minute)
		b.Close()
		next := open(b.store)
		defer next.Close()
		next.update(t, map[string]backout.Notifier{"mail": &people{}}, map[string][]string{"ops": {"mail"}})
		time.Sleep(2 * time.Minute)
		checkRemoved(t, next, "n1")
	})
}

func TestWaitingNoticesSurviveARestart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(errors.New("down"), false)
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1", "n2")
		time.Sleep(time.Minute)
		b.Close()
		chat.set(nil, false)
		next := open(b.store)
		defer next.Close()
		next.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		time.Sleep(2 * time.Minute)
		wantIDs(t, "chat", chat, "n1", "n2")
	})
}

func TestReloadUsesTheNewNotifierForWhatWaits(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		before, after := &people{}, &people{}
		before.set(errors.New("wrong token"), false)
		b.update(t, map[string]backout.Notifier{"chat": before}, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1")
		time.Sleep(time.Minute)
		b.update(t, map[string]backout.Notifier{"chat": after}, map[string][]string{"ops": {"chat"}})
		time.Sleep(2 * time.Minute)
		wantIDs(t, "the new notifier", after, "n1")
	})
}

func TestWrongConfigChangesNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		ch := map[string]outbox.Channel{"chat": {Notifier: chat}}
		for name, c := range map[string]outbox.Config{
			"no templates":     {Channels: ch},
			"no notifier":      {Channels: map[string]outbox.Channel{"chat": {}}, Templates: notifier.Default()},
			"unknown channel":  {Channels: ch, Audiences: map[string][]string{"ops": {"mail"}}, Templates: notifier.Default()},
			"audience of none": {Channels: ch, Audiences: map[string][]string{"ops": {}}, Templates: notifier.Default()},
		} {
			if err := b.Update(t.Context(), c); !errors.Is(err, backout.ErrInvalid) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		b.send(t, "ops", "n1")
		time.Sleep(time.Second)
		wantIDs(t, "chat", chat, "n1")
	})
}

// loose panics, with a secret.
type loose struct{}

func (loose) Notify(context.Context, backout.Message) (backout.Receipt, error) {
	panic("index out of range: xoxb-secret")
}

func TestNotifierThatPanicsTakesNothingWithIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		mail := &people{}
		b.update(t, map[string]backout.Notifier{"chat": loose{}, "mail": mail}, map[string][]string{"ops": {"chat", "mail"}})
		b.send(t, "ops", "n1")
		time.Sleep(time.Minute)
		wantIDs(t, "mail", mail, "n1")
		list, err := b.List(t.Context())
		if err != nil || len(list.GivenUp) != 1 || strings.Contains(list.GivenUp[0].LastError+b.log.String(), "xoxb-secret") {
			t.Errorf("%v: given up %+v, log %s", err, list.GivenUp, b.log)
		}
	})
}

func TestClosedOutboxTakesNoUpdate(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		b.Close()
		if err := b.Update(t.Context(), outbox.Config{Templates: notifier.Default()}); !errors.Is(err, backout.ErrFinal) {
			t.Errorf("error %v", err)
		}
	})
}

func TestFailingTemplateIsLoggedAndTheBuiltInTextSent(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		templates, problems := notifier.NewTemplates(map[string]string{"t.tmpl": `{{ define "held.text" }}{{ if eq .Title "boom" }}{{ index .Targets 99 }}{{ end }}ok{{ end }}`})
		if problems != nil {
			t.Fatal(problems)
		}
		chat := &people{}
		err := b.Update(t.Context(), outbox.Config{
			Channels: map[string]outbox.Channel{"chat": {Notifier: chat}}, Audiences: map[string][]string{"ops": {"chat"}}, Templates: templates,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Send(t.Context(), backout.Notice{ID: "n1", Moment: backout.MomentHeld, Audience: "ops", ChangeID: "CHG1", Title: "boom", IfNobodyActs: "it stays red"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		b.Close() // the log is written by the worker
		if m := chat.messages(); len(m) != 1 || !strings.Contains(m[0].Text, "it stays red") {
			t.Errorf("delivered %+v", m)
		}
		if !strings.Contains(b.log.String(), "a template failed") {
			t.Errorf("log: %s", b.log)
		}
	})
}

// pass lets a second of the bubble's time pass.
func pass() { time.Sleep(time.Second) }
