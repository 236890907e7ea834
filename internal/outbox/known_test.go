package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

var revoked = backout.Permanent(errors.New("slack says token_revoked"))

// theQuestion is one as the engine asks about it, and as it is sent.
func theQuestion(ask string) backout.Notice {
	return backout.Notice{ID: "CHG1-r1." + ask, Moment: backout.MomentApproval, Audience: "ops", ChangeID: "CHG1", RollbackID: "CHG1-r1", AskID: ask, NextLevel: "L1", At: time.Now()}
}

// chatOnly gives the outbox one channel, for ops.
func chatOnly(t *testing.T, b *outbox.Outbox, n backout.Notifier) {
	t.Helper()
	err := b.Update(t.Context(), outbox.Config{
		Channels: map[string]outbox.Channel{"chat": {Notifier: n}}, Audiences: map[string][]string{"ops": {"chat"}}, Templates: notifier.Default(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, b *outbox.Outbox, q backout.Notice) {
	t.Helper()
	if err := b.Send(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// looks wants the answer of every look for so long, as the engine looks.
func looks(t *testing.T, b *outbox.Outbox, q backout.Notice, lasting time.Duration, wantOK bool, wantWhy string) {
	t.Helper()
	for end := time.Now().Add(lasting); !time.Now().After(end); time.Sleep(2 * time.Second) {
		if ok, _, why := b.Reach(t.Context(), []backout.Notice{q}); ok != wantOK || !strings.Contains(why, wantWhy) {
			t.Fatalf("%s before the end: %t %q, want %t %q", time.Until(end), ok, why, wantOK, wantWhy)
		}
	}
}

// TestAGivenUpQuestionHoldsTheClockOverARestart: nothing waits, and the new process has
// tried nothing.
func TestAGivenUpQuestionHoldsTheClockOverARestart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(revoked, false)
		chatOnly(t, b.Outbox, chat)
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Minute, false, "token_revoked")
		b.Close()
		again := open(b.store)
		defer again.Close()
		chatOnly(t, again.Outbox, chat)
		looks(t, again.Outbox, q, time.Hour, false, "token_revoked")
		if list, err := again.List(t.Context()); err != nil || len(list.GivenUp) != 1 || len(list.Waiting) != 0 {
			t.Errorf("undelivered: %+v %v, want the question once", list, err)
		}
		// Once at each start, and every ten minutes at most.
		if chat.attempts > 10 {
			t.Errorf("%d tries within an hour", chat.attempts)
		}
	})
}

// TestAnotherNoticeDoesNotAnswerForTheQuestion: people read what came after it, and not
// the question.
func TestAnotherNoticeDoesNotAnswerForTheQuestion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(revoked, false)
		chatOnly(t, b.Outbox, chat)
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, 0, false, "token_revoked")
		chat.set(nil, false)
		b.send(t, "ops", "n2")
		time.Sleep(2 * time.Second)
		looks(t, b.Outbox, q, 20*time.Second, false, "chat: the question has not arrived: slack says token_revoked")
		wantIDs(t, "chat", chat, "n2")
		time.Sleep(8 * time.Second)
		_, _, _ = b.Reach(t.Context(), []backout.Notice{q})
		time.Sleep(2 * time.Second)
		wantIDs(t, "chat", chat, "n2", q.ID)
		looks(t, b.Outbox, q, time.Minute, true, "")
	})
}

// TestARepairedChannelIsHandedTheOpenQuestion: a reload alone repairs nothing; when the
// question arrives after it, people can be told.
func TestARepairedChannelIsHandedTheOpenQuestion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(revoked, false)
		chatOnly(t, b.Outbox, chat)
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Minute, false, "token_revoked")
		before := chat.attempts
		chatOnly(t, b.Outbox, chat) // still the old token
		looks(t, b.Outbox, q, time.Minute, false, "token_revoked")
		if chat.attempts != before+1 {
			t.Errorf("a reload made %d tries", chat.attempts-before)
		}
		chat.set(nil, false)
		chatOnly(t, b.Outbox, chat)
		looks(t, b.Outbox, q, 0, false, "token_revoked")
		time.Sleep(2 * time.Second)
		looks(t, b.Outbox, q, time.Minute, true, "")
		wantIDs(t, "chat", chat, q.ID)
		if list, err := b.List(t.Context()); err != nil || len(list.GivenUp) != 0 || len(list.Waiting) != 0 {
			t.Errorf("undelivered: %+v %v", list, err)
		}
	})
}

// TestAChannelRepairedOnItsOtherSideIsTriedAgain, with no reload.
func TestAChannelRepairedOnItsOtherSideIsTriedAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(backout.Permanent(errors.New("not_in_channel")), false)
		chatOnly(t, b.Outbox, chat)
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Minute, false, "not_in_channel")
		chat.set(nil, false)
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
			_, _, _ = b.Reach(t.Context(), []backout.Notice{q})
		}
		looks(t, b.Outbox, q, time.Minute, true, "")
		wantIDs(t, "chat", chat, q.ID)
	})
}

// TestAReroutedQuestionIsPutOnItsNewChannel: whatever else works there, the clock waits
// until the question has arrived by it.
func TestAReroutedQuestionIsPutOnItsNewChannel(t *testing.T) {
	for name, fail := range map[string]error{"given up by the old one": revoked, "delivered by the old one": nil} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, b *bench) {
				chat, mail := &people{}, &people{}
				chat.set(fail, false)
				chatOnly(t, b.Outbox, chat)
				q := theQuestion("a1")
				ask(t, b.Outbox, q)
				looks(t, b.Outbox, q, time.Minute, fail == nil, "")
				rerouted := map[string]backout.Notifier{"chat": chat, "mail": mail}
				b.update(t, rerouted, map[string][]string{"ops": {"mail"}})
				b.send(t, "ops", "n2")
				time.Sleep(2 * time.Second)
				wantIDs(t, "mail", mail, "n2")
				mail.set(errors.New("mail answers 421"), false)
				looks(t, b.Outbox, q, 0, false, "mail: the question has not arrived yet")
				time.Sleep(2 * time.Second)
				looks(t, b.Outbox, q, time.Minute, false, "mail: the question has not arrived: mail answers 421")
				mail.set(nil, false)
				time.Sleep(time.Minute)
				looks(t, b.Outbox, q, time.Minute, true, "")
				wantIDs(t, "mail", mail, "n2", q.ID)
			})
		})
	}
}

// TestAQuestionThatIsTooLargeArrivesWithoutItsDetails: put on a new channel, or handed
// over again.
func TestAQuestionThatIsTooLargeArrivesWithoutItsDetails(t *testing.T) {
	for name, to := range map[string]string{"put on a new channel": "mail", "handed over again": "chat"} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, b *bench) {
				chat, mail := &people{}, &people{}
				chat.set(revoked, false)
				chatOnly(t, b.Outbox, chat)
				q := theQuestion("a1")
				ask(t, b.Outbox, q)
				q.PlanText = strings.Repeat("restart the service\n", 600_000)
				looks(t, b.Outbox, q, time.Minute, false, "token_revoked")
				chat.set(nil, false)
				b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail}, map[string][]string{"ops": {to}})
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
					_, _, _ = b.Reach(t.Context(), []backout.Notice{q})
				}
				looks(t, b.Outbox, q, time.Minute, true, "")
			})
		})
	}
}

// slow is a channel that takes its time.
type slow struct {
	*people
	takes time.Duration
}

func (s slow) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	time.Sleep(s.takes)
	return s.people.Notify(ctx, m)
}

// TestAStormAheadOfTheQuestion: the channel works all along, and nobody has seen the
// question yet.
func TestAStormAheadOfTheQuestion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chatOnly(t, b.Outbox, slow{chat, 2 * time.Second})
		for i := range 60 {
			b.send(t, "ops", fmt.Sprint("n", i))
		}
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, 20*time.Second, false, "")
		time.Sleep(10 * time.Second)
		looks(t, b.Outbox, q, time.Minute, false, "chat: the question has not arrived yet")
		time.Sleep(time.Minute)
		looks(t, b.Outbox, q, time.Minute, true, "")
		if ids := chat.ids(); len(ids) != 61 || ids[60] != q.ID {
			t.Errorf("%d notices arrived, the last is %s", len(ids), ids[len(ids)-1])
		}
	})
}

// poisoned is a channel that refuses one notice for good, and takes all others.
type poisoned struct {
	*people
	id    string
	tries *int
}

func (p poisoned) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	if m.Notice.ID == p.id {
		*p.tries++
		return backout.Receipt{}, backout.Permanent(errors.New("413 too large"))
	}
	return p.people.Notify(ctx, m)
}

// TestAPoisonedNoticeStopsNoOtherQuestion, however often it is handed over again while
// others arrive.
func TestAPoisonedNoticeStopsNoOtherQuestion(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		tries := 0
		bad, good := theQuestion("a1"), theQuestion("a2")
		good.RollbackID = "CHG2-r1"
		chatOnly(t, b.Outbox, poisoned{&people{}, bad.ID, &tries})
		ask(t, b.Outbox, good)
		ask(t, b.Outbox, bad)
		for i := range 60 {
			b.send(t, "ops", fmt.Sprint("n", i))
			for range 15 {
				looks(t, b.Outbox, bad, 0, false, "413 too large")
				looks(t, b.Outbox, good, 0, true, "")
			}
		}
		if tries < 5 || tries > 12 {
			t.Errorf("%d tries within an hour", tries)
		}
	})
}

// behind is the store of servers of which another one's clock is an hour slow.
type behind struct{ outbox.Store }

func (s behind) Delivery(ctx context.Context, channel, noticeID string) (store.Delivery, bool, error) {
	d, there, err := s.Store.Delivery(ctx, channel, noticeID)
	d.At = d.At.Add(-time.Hour)
	return d, there, err
}

// TestAnotherServersClockHandsNothingOverAllTheTime: what it gave up seems older than the
// config.
func TestAnotherServersClockHandsNothingOverAllTheTime(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		out := outbox.New(outbox.Options{Store: behind{b.store.Outbox}})
		defer out.Close()
		chat := &people{}
		chat.set(revoked, false)
		chatOnly(t, out, chat)
		q := theQuestion("a1")
		ask(t, out, q)
		looks(t, out, q, 50*time.Second, false, "token_revoked")
		if chat.attempts != 2 {
			t.Errorf("%d tries within a minute", chat.attempts)
		}
	})
}

// TestAStoreThatDoesNotAnswerIsNoSilence: it is not known then.
func TestAStoreThatDoesNotAnswerIsNoSilence(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chatOnly(t, b.Outbox, &people{})
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if ok, _, why := b.Reach(ctx, []backout.Notice{q}); ok || why != "" {
			t.Errorf("%t %q", ok, why)
		}
	})
}

// TestStandingIsWhatWasTriedLast: by whichever server, a test past the queue too.
func TestStandingIsWhatWasTriedLast(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(revoked, false)
		chatOnly(t, b.Outbox, chat)
		if _, err := b.Test(t.Context(), outbox.TestNotice{Channel: "chat"}); err == nil {
			t.Fatal("the test arrived")
		}
		other := outbox.New(outbox.Options{Store: notConsumed{b.store.Outbox}})
		defer other.Close()
		chatOnly(t, other, chat)
		want := func(why string) {
			t.Helper()
			all, err := other.Standing(t.Context(), time.Now())
			if s := all["chat"]; err != nil || s.Why != why || s.Failing() != (why != "") {
				t.Errorf("%+v %v, want %q", s, err, why)
			}
		}
		want("slack says token_revoked")
		chat.set(nil, false)
		ask(t, b.Outbox, theQuestion("a1"))
		want("")
	})
}
