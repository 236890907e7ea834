package slackedge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/slack"
)

func TestApproversStartALevelTogether(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(2), votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	w.click("Uana", m, slack.ActionApprove)
	w.await("the first vote on the card", func() bool { return strings.Contains(w.card("r1", "").Text, "waits for 1 of 2 votes") })
	w.click("Upaul", m, slack.ActionApprove)
	w.whispered("Upaul", "wrote its plan")
	w.click("Uana", m, slack.ActionApprove)
	w.whispered("Uana", "voted already")
	w.click("Uben", m, slack.ActionApprove)
	w.await("the ask's buttons gone", func() bool {
		b := strings.Join(buttonsOf(w.card("r1", "")), " ")
		return !strings.Contains(b, slack.ActionApprove) && !strings.Contains(b, slack.ActionDeny)
	})
	if r := w.state("r1"); r.Status != backout.RollbackRunning || w.rollbacks.votes("r1") != 2 {
		t.Errorf("it is %s with %d votes", r.Status, w.rollbacks.votes("r1"))
	}
	if n := len(w.slack.Cards(channel)); n != 1 {
		t.Errorf("%d messages that are no replies, want the one card", n)
	}
	if len(w.slack.Messages(channel)) < 2 {
		t.Error("nothing is told in the card's thread")
	}
}

func buttonsOf(m slackfake.Message) []string { return m.Buttons() }

func TestNobodyActsWithoutALinkedAccount(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.slack.Put(slackfake.User{ID: "Umallory", Name: "ana"}) // the name is somebody's, the account nobody's
	w.slack.Put(slackfake.User{ID: "Uguest", Name: "guest", Team: "T0666"})
	w.slack.Put(slackfake.User{ID: "Ugone", Name: "gone", Deleted: true})
	w.link("gone2", "sre")
	w.slack.Put(slackfake.User{ID: "Ugone2", Name: "gone2", Deleted: true})
	w.accounts.err["Ugone"] = backout.ErrRefused
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	for _, c := range []struct{ user, says, why string }{
		{"Umallory", "linked to nobody", "unmapped"},
		{"Uguest", "another workspace", "stranger"},
		{"Ugone", "may not act any more", "inactive"},
		{"Ugone2", "deactivated", "inactive"},
	} {
		w.click(c.user, m, slack.ActionApprove)
		w.whispered(c.user, c.says)
		if whys := w.refusals.whys(); whys[len(whys)-1] != c.why {
			t.Errorf("%s: recorded as %v, want %s", c.user, whys, c.why)
		}
		if !strings.Contains(w.log.String(), "why="+c.why) {
			t.Errorf("%s: nothing in the log", c.user)
		}
	}
	link := w.slack.Ephemerals("Umallory")[0]
	if b := link.Blocks[len(link.Blocks)-1]; b.Type != "actions" || b.Elements[0].URL != "https://backout.example/link/T0001/Umallory" {
		t.Errorf("no way to link the account: %+v", link)
	}
	if n := w.rollbacks.votes("r1"); n != 0 {
		t.Errorf("%d votes counted", n)
	}
}

func TestHoldCountsEvenWhenSlackKnowsNobody(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionHold)
	w.slack.Fail("users.info", "internal_error")
	w.click("Uben", m, slack.ActionApprove)
	w.whispered("Uben", "Slack does not say")
	w.click("Uana", m, slack.ActionHold)
	w.await("held", func() bool { return w.state("r1").Status == backout.RollbackHeld })
	w.await("no buttons to decide with", func() bool {
		return strings.Join(buttonsOf(w.card("r1", "")), " ") == "backout_open"
	})
}

func TestDenyNeedsAReason(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1), votesOf(1))
	m := w.card("r1", slack.ActionDeny)
	w.click("Uana", m, slack.ActionDeny)
	form := w.slack.Open("Uana")
	if len(form) != 1 || w.rollbacks.votes("r1") != 0 {
		t.Fatalf("%d forms, %d votes; a press alone must not deny", len(form), w.rollbacks.votes("r1"))
	}
	if _, err := w.slack.Submit(t.Context(), form[0], map[string]string{"reason": "  "}); err != nil {
		t.Fatal(err)
	}
	if again := w.slack.Open("Uana"); len(again) != 1 || !strings.Contains(again[0].Blocks[0].Text.Text, "reason is needed") {
		t.Errorf("no word about the reason: %+v", again)
	}
	if _, err := w.slack.Submit(t.Context(), form[0], map[string]string{"reason": "the alert is wrong"}); err != nil {
		t.Fatal(err)
	}
	r := w.state("r1")
	if r.Status != backout.RollbackHeld || len(w.slack.Open("Uana")) != 0 {
		t.Errorf("it is %s", r.Status)
	}
	w.await("the denial on the card", func() bool { return strings.Contains(w.card("r1", "").Text, "is held") })
}

func TestEscalateAsksForTheNextLevel(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", backout.Approval{Mode: backout.ApprovalNone}, votesOf(1), votesOf(1))
	if r := w.state("r1"); r.Status != backout.RollbackRunning {
		t.Fatalf("it is %s", r.Status)
	}
	m := w.card("r1", slack.ActionEscalate)
	w.click("Uana", m, slack.ActionEscalate)
	if _, err := w.slack.Submit(t.Context(), w.slack.Open("Uana")[0], map[string]string{"reason": "it makes it worse"}); err != nil {
		t.Fatal(err)
	}
	w.await("escalating", func() bool { return w.state("r1").EscalateBy == "ana" || w.state("r1").Ask != nil })
}

// TestEscalateLeavesOneLevel: a second press on a card as it was, and a form that was left
// open, are about the level that was left.
func TestEscalateLeavesOneLevel(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	none := backout.Approval{Mode: backout.ApprovalNone}
	w.open("r1", none, none, none)
	m := w.card("r1", slack.ActionEscalate)
	for _, user := range []string{"Uana", "Uben"} {
		w.click(user, m, slack.ActionEscalate)
	}
	forms := []slackfake.View{w.slack.Open("Uana")[0], w.slack.Open("Uben")[0]}
	if text := forms[0].Blocks[0].Text.Text; !strings.Contains(text, "leaves L1 now") {
		t.Errorf("the form says %q", text)
	}
	for _, form := range forms {
		if _, err := w.slack.Submit(t.Context(), form, map[string]string{"reason": "it makes it worse"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.slack.ClickValue(t.Context(), "Uana", channel, m.TS, slack.ActionEscalate, "backout_actions", m.Value(slack.ActionEscalate)); err != nil {
		t.Fatal(err)
	}
	if whys := w.refusals.whys(); !slices.Equal(whys, []string{"stale", "stale"}) {
		t.Errorf("recorded as %v", whys)
	}
	if r := w.state("r1"); r.CurrentLevel().Name != "L2" || r.EscalateBy != "" {
		t.Errorf("it is in %s, and %q escalates", r.CurrentLevel().Name, r.EscalateBy)
	}
}

// TestEscalateEndsNoHold: the card was offered before somebody held it.
func TestEscalateEndsNoHold(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	none := backout.Approval{Mode: backout.ApprovalNone}
	w.open("r1", none, none)
	w.click("Uana", w.card("r1", slack.ActionEscalate), slack.ActionEscalate)
	form := w.slack.Open("Uana")[0]
	if _, err := w.rollbacks.input("r1", rollback.Hold{By: "carl", Reason: "STOP"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.slack.Submit(t.Context(), form, map[string]string{"reason": "it makes it worse"}); err != nil {
		t.Fatal(err)
	}
	if whys := w.refusals.whys(); !slices.Equal(whys, []string{"stale"}) {
		t.Errorf("recorded as %v", whys)
	}
	if r := w.state("r1"); r.Status != backout.RollbackHeld || r.CurrentLevel().Name != "L1" {
		t.Errorf("it is %s in %s", r.Status, r.CurrentLevel().Name)
	}
}

func TestAClickCountsOnce(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(2))
	m := w.card("r1", slack.ActionApprove)
	payload := w.click("Uana", m, slack.ActionApprove)
	// Slack sends what was not acknowledged again, under the same envelope or, as a
	// forger would, under another.
	var again sync.WaitGroup
	for i := range 3 {
		again.Go(func() {
			if _, err := w.slack.Deliver(t.Context(), fmt.Sprint("another", i), payload); !errors.Is(err, slackfake.ErrNoAnswer) {
				t.Errorf("answered with %v", err)
			}
		})
	}
	again.Wait()
	if n := w.rollbacks.votes("r1"); n != 1 {
		t.Errorf("%d votes from one click", n)
	}
	if whys := w.refusals.whys(); len(whys) != 3 || whys[0] != "replayed" {
		t.Errorf("recorded as %v", whys)
	}
}

func TestTwoPeoplePressAtOnce(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	people := []string{"Uana", "Uben", "Ueve"}
	var wg sync.WaitGroup
	for _, user := range people {
		wg.Go(func() { _, _ = w.slack.Click(t.Context(), user, channel, m.TS, slack.ActionApprove) })
	}
	wg.Wait()
	if n := w.rollbacks.votes("r1"); n != 1 {
		t.Errorf("%d votes counted, want the one that decided", n)
	}
	w.await("two told who was first", func() bool {
		n := 0
		for _, user := range people {
			for _, e := range w.slack.Ephemerals(user) {
				if strings.Contains(e.Text, "already approved") {
					n++
				}
			}
		}
		return n == 2
	})
}

func TestClickOnAStaleCardChangesNothing(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1), votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	value := m.Value(slack.ActionApprove)
	w.click("Uana", m, slack.ActionHold)
	w.await("held", func() bool { return w.state("r1").Status == backout.RollbackHeld })
	// A phone that has not loaded the card anew still has its buttons.
	for _, action := range []string{slack.ActionApprove, slack.ActionHold, slack.ActionDeny} {
		if _, err := w.slack.ClickValue(t.Context(), "Uben", channel, m.TS, action, "b", value); err != nil {
			t.Fatal(err)
		}
	}
	w.await("told thrice", func() bool { return len(w.slack.Ephemerals("Uben")) == 3 })
	w.whispered("Uben", "already held")
	if len(w.slack.Open("Uben")) != 0 || w.rollbacks.votes("r1") != 0 {
		t.Error("a stale card still works")
	}
	if refused := w.rollbacks.refusedOf("r1"); len(refused) != 1 || refused[0].Vote.User != "ben" || refused[0].Cause != backout.RefusalTooLate {
		t.Errorf("the log of the rollback has %+v", refused)
	}
	if _, err := w.slack.ClickValue(t.Context(), "Uben", channel, m.TS, slack.ActionApprove, "b", "no-such-rollback\nx"); err != nil {
		t.Fatal(err)
	}
	w.whispered("Uben", "no such rollback")
}

// TestAVoidedQuestionLeavesTheCard: it shows the one that is asked in its place, without
// the votes; a phone that shows the old one decides nothing, and says why.
func TestAVoidedQuestionLeavesTheCard(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(2))
	m := w.card("r1", slack.ActionApprove)
	old := w.state("r1").Ask.ID
	value := m.Value(slack.ActionApprove)
	must := func(in rollback.Input) {
		t.Helper()
		if _, err := w.rollbacks.input("r1", in); err != nil {
			t.Fatal(err)
		}
	}
	must(rollback.Vote{AskID: old, Vote: backout.Vote{User: "ana", Groups: []string{"sre"}, Choice: backout.ChoiceApprove, Via: "cli", Members: "m1"}})
	w.await("one of two", func() bool { return strings.Contains(w.card("r1", "").Text, "waits for 1 of 2") })
	must(rollback.Approvers{AskID: old, Members: "m2"})
	now := w.state("r1").Ask.ID
	w.await("the new question on the card", func() bool {
		m = w.card("r1", slack.ActionApprove)
		return slack.ParseSubject(m.Value(slack.ActionApprove)).AskID == now && strings.Contains(m.Text, "waits for 2 of 2")
	})
	blocks, err := json.Marshal(m.Blocks)
	if shown := string(blocks); err != nil || now == old || len(w.slack.Cards(channel)) != 1 || strings.Contains(shown, "ana approved") || !strings.Contains(shown, "asked anew") {
		t.Errorf("%s, then %s: %s %v", old, now, shown, err)
	}
	if _, err := w.slack.ClickValue(t.Context(), "Uben", channel, m.TS, slack.ActionApprove, "b", value); err != nil {
		t.Fatal(err)
	}
	w.whispered("Uben", "counts no more since")
	if n := len(w.state("r1").Ask.Votes); n != 0 {
		t.Errorf("%d votes on the new question by a press on the old one", n)
	}
	w.click("Uben", m, slack.ActionApprove)
	if n := len(w.state("r1").Ask.Votes); n != 1 {
		t.Errorf("%d votes by a press on the card as it is", n)
	}
}

func TestWhatCannotBeRecordedIsNotAcknowledged(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	w.rollbacks.mu.Lock()
	w.rollbacks.refuse = backout.ErrUnavailable
	w.rollbacks.mu.Unlock()
	began := time.Now()
	if _, err := w.slack.Click(t.Context(), "Uana", channel, m.TS, slack.ActionApprove); err == nil {
		t.Error("Slack was told that a click counted which is not on record")
	}
	if d := time.Since(began); d < slackfake.AckWithin {
		t.Errorf("answered after %v", d)
	}
	w.whispered("Uana", "could not record")
}

func TestAFormThatFailedMayBeSentAgain(t *testing.T) {
	w, _ := signedWorld(t)
	w.open("r1", votesOf(1))
	w.click("Uana", w.card("r1", slack.ActionDeny), slack.ActionDeny)
	form := w.slack.Open("Uana")[0]
	refuse := func(err error) {
		w.rollbacks.mu.Lock()
		defer w.rollbacks.mu.Unlock()
		w.rollbacks.refuse = err
	}
	refuse(backout.ErrUnavailable)
	values := map[string]string{"reason": "no"}
	if _, err := w.slack.Submit(t.Context(), form, values); err == nil || len(w.slack.Open("Uana")) != 1 {
		t.Fatalf("%v, %d forms", err, len(w.slack.Open("Uana")))
	}
	refuse(nil)
	if _, err := w.slack.Submit(t.Context(), form, values); err != nil || w.rollbacks.votes("r1") != 1 {
		t.Errorf("%v, %d votes", err, w.rollbacks.votes("r1"))
	}
}

// TestAClickOutlivesItsConnection: what is being decided when a reload ends the
// connection, or the connection breaks, counts; only Slack is not told.
func TestAClickOutlivesItsConnection(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	pressed, ended := make(chan struct{}), make(chan struct{})
	w.rollbacks.mu.Lock()
	w.rollbacks.stall = func(ctx context.Context) error {
		close(pressed)
		<-ended
		return ctx.Err()
	}
	w.rollbacks.mu.Unlock()
	go func() { _, _ = w.slack.Click(t.Context(), "Uana", channel, m.TS, slack.ActionApprove) }()
	<-pressed
	w.edge.Update(nil)
	close(ended)
	w.await("the vote", func() bool { return w.rollbacks.votes("r1") == 1 })
}
