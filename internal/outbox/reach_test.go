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
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

// question asks the audiences whether the level may begin.
func question(id, level string, audiences ...string) (asked []backout.Notice) {
	for _, audience := range audiences {
		asked = append(asked, backout.Notice{ID: id, Moment: backout.MomentApproval, Audience: audience, ChangeID: "CHG1", RollbackID: "CHG1-r1", NextLevel: level, At: time.Now()})
	}
	return asked
}

func sendAll(t *testing.T, b *outbox.Outbox, asked []backout.Notice) {
	t.Helper()
	for _, n := range asked {
		if err := b.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

func wantReach(t *testing.T, b *outbox.Outbox, asked []backout.Notice, wantOK bool, wantWhy string) {
	t.Helper()
	ok, _, why := b.Reach(t.Context(), asked)
	if ok != wantOK || !strings.Contains(why, wantWhy) || wantWhy == "" && why != "" {
		t.Errorf("%t %q, want %t %q", ok, why, wantOK, wantWhy)
	}
}

// TestReachTellsWhetherTheQuestionHasArrived: by one channel is enough. It is not known
// while it is on its way, for a while.
func TestReachTellsWhetherTheQuestionHasArrived(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail := &people{}, &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail}, map[string][]string{"ops": {"chat"}, "boss": {"mail"}})
		wantReach(t, b.Outbox, question("q0", "L1", "record"), false, "no channel leads to")
		wantReach(t, b.Outbox, nil, false, "no channel leads to")
		chat.set(nil, true) // hangs
		q := question("q1", "L1", "ops")
		wantReach(t, b.Outbox, q, false, "") // nobody has sent it yet
		sendAll(t, b.Outbox, q)
		time.Sleep(time.Second)
		synctest.Wait()
		wantReach(t, b.Outbox, q, false, "")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantReach(t, b.Outbox, q, false, "chat: the question has not arrived yet")
		chat.set(errors.New("slack answers 500"), false)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		wantReach(t, b.Outbox, q, false, "chat: the question has not arrived: slack answers 500")
		both := question("q2", "L1", "ops", "boss")
		sendAll(t, b.Outbox, both)
		time.Sleep(time.Second)
		synctest.Wait()
		wantReach(t, b.Outbox, both, true, "")
		chat.set(nil, false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantReach(t, b.Outbox, q, true, "")
		chat.set(errors.New("slack answers 500"), false)
		b.send(t, "ops", "n1")
		time.Sleep(time.Minute)
		synctest.Wait()
		wantReach(t, b.Outbox, q, true, "") // they have read it
	})
}

// TestReachTellsSinceWhenPeopleKnow: since the first channel had the question, whichever
// server asks.
func TestReachTellsSinceWhenPeopleKnow(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail := &people{}, &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat, "mail": mail}, map[string][]string{"ops": {"chat"}, "boss": {"mail"}})
		chat.set(errors.New("slack answers 500"), false)
		q := question("q1", "L1", "ops", "boss")
		sendAll(t, b.Outbox, q)
		first := time.Now()
		time.Sleep(time.Second)
		chat.set(nil, false)
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, asked := range [][]backout.Notice{q, {q[1]}} {
			if ok, since, _ := b.Reach(t.Context(), asked); !ok || since.Sub(first).Abs() > time.Second {
				t.Errorf("%t since %s, want since %s", ok, since, first)
			}
		}
		if ok, since, _ := b.Reach(t.Context(), q[:1]); !ok || since.Sub(first) < time.Second {
			t.Errorf("%t since %s, want since later than %s", ok, since, first)
		}
	})
}

// TestReachGoesByTheQuestionsOwnRoute: where a route sends a level elsewhere, that
// channel counts and no other.
func TestReachGoesByTheQuestionsOwnRoute(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, pager := &people{}, &people{}
		b.routed(t, map[string]*people{"chat": chat, "mail": {}, "pager": pager}, route.Route{Audiences: []string{"ops"}, From: 2, Channels: []string{"pager"}})
		chat.set(errors.New("chat answers 500"), false)
		l1, l2 := question("q1", "L1", "ops"), question("q2", "L2", "ops")
		sendAll(t, b.Outbox, l1)
		sendAll(t, b.Outbox, l2)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantReach(t, b.Outbox, l1, false, "chat answers 500")
		wantReach(t, b.Outbox, l2, true, "")
	})
}

// TestReachIsWhatEveryServerKnows: another server delivers, and fails.
func TestReachIsWhatEveryServerKnows(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		chat.set(errors.New("chat answers 500"), false)
		chatOnly(t, b.Outbox, chat)
		other := outbox.New(outbox.Options{Store: notConsumed{b.store.Outbox}})
		defer other.Close()
		chatOnly(t, other, &people{})
		q := question("q1", "L1", "ops")
		sendAll(t, b.Outbox, q)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantReach(t, other, q, false, "chat answers 500")
		chat.set(nil, false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantReach(t, other, q, true, "")
	})
}

// notConsumed is the store of a server that another one is faster than.
type notConsumed struct{ outbox.Store }

func (notConsumed) Consume(ctx context.Context, _ string, _ store.DeliverFunc) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestReachWantsAnAnswerToBePossible: a message that arrives where nobody's answer would
// is told to nobody.
func TestReachWantsAnAnswerToBePossible(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		why := "the connection to Slack was lost"
		out := outbox.New(outbox.Options{Store: b.store.Outbox, Answers: func(channel string) (bool, string) {
			return channel != "chat" || why == "open", why
		}})
		defer out.Close()
		err := out.Update(t.Context(), outbox.Config{
			Channels:  map[string]outbox.Channel{"chat": {Notifier: &people{}}, "mail": {Notifier: &people{}}},
			Audiences: map[string][]string{"ops": {"chat"}, "boss": {"mail"}}, Templates: notifier.Default(),
		})
		if err != nil {
			t.Fatal(err)
		}
		one, both := question("q1", "L1", "ops"), question("q2", "L1", "ops", "boss")
		sendAll(t, out, one)
		sendAll(t, out, both)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantReach(t, out, one, false, "chat: "+why)
		why = ""
		wantReach(t, out, one, false, "")
		why = "open"
		wantReach(t, out, one, true, "")
		why = "the connection to Slack was lost"
		wantReach(t, out, both, true, "") // by mail
	})
}

// TestReachAsksTheChannelsThatTheQuestionGoesTo: those of its level and labels, and of
// people who can act: that a ticket system works, or the mail of those who only want to
// know, stops nothing.
func TestReachAsksTheChannelsThatTheQuestionGoesTo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		all := map[string]*people{"chat": {}, "mail": {}, "pager": {}}
		b.routed(t, all,
			route.Route{Labels: map[string]string{"team": "db"}, Channels: []string{"pager"}},
			route.Route{Audiences: []string{"ops"}, From: 2, Channels: []string{"pager"}},
		)
		all["pager"].set(errors.New("the pager answers 500"), false)
		db := map[string]string{"team": "db"}
		for i, tc := range []struct {
			name      string
			level     string
			labels    map[string]string
			audiences []string
			want      bool
			why       string
		}{
			{"its own channels", "L1", nil, []string{"ops"}, true, ""},
			{"a label's channel", "L1", db, []string{"ops"}, false, "pager: the question has not arrived: the pager answers 500"},
			{"a level's channel", "L2", nil, []string{"ops"}, false, "pager: "},
			{"stakeholders besides", "L2", nil, []string{"ops", "board"}, false, "pager: "},
			{"stakeholders alone", "L1", nil, []string{"board"}, false, "anybody of board who can act"},
		} {
			asked := question(fmt.Sprint("q", i), tc.level, tc.audiences...)
			for i := range asked {
				asked[i].Labels, asked[i].At = tc.labels, night
			}
			sendAll(t, b.Outbox, asked)
			time.Sleep(2 * time.Minute) // the pager's next try
			synctest.Wait()
			ok, _, why := b.Reach(t.Context(), asked)
			if ok != tc.want || !strings.Contains(why, tc.why) {
				t.Errorf("%s: %t %q", tc.name, ok, why)
			}
		}
	})
}
