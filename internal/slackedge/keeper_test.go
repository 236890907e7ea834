package slackedge_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/slack"
)

// answers counts the calls of a method by how they were answered.
func (w *world) answers(method, answer string) (n int) {
	for _, c := range w.slack.Calls(method) {
		if c.Answer == answer {
			n++
		}
	}
	return n
}

func TestCardIsFoundAgainAfterARestart(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	w.await("its receipt", func() bool {
		r, err := w.store.Outbox.Thread(t.Context(), name, "r1")
		return err == nil && r != nil
	})
	w.stop()
	if _, err := w.rollbacks.input("r1", rollback.Hold{By: "ana", Reason: "wait"}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.await("the hold on the card", func() bool {
		return strings.Contains(w.card("r1", "").Text, "is held")
	})
	if again := w.card("r1", ""); again.TS != m.TS || len(w.slack.Cards(channel)) != 1 {
		t.Errorf("card %s, %d of them, want %s alone", again.TS, len(w.slack.Cards(channel)), m.TS)
	}
	w.await("what the card shows is remembered", func() bool {
		c, err := w.store.Outbox.Card(t.Context(), name, "r1")
		return err == nil && c.Seq == w.state("r1").Revision
	})
	edits := w.answers("chat.update", "ok")
	w.stop()
	w.start()
	w.open("r2", votesOf(1)) // once its card is there, that of r1 was looked at
	w.card("r2", slack.ActionApprove)
	if n := w.answers("chat.update", "ok"); n != edits {
		t.Errorf("%d edits of a card that shows what is", n-edits)
	}
}

func TestPostedCardIsNotEditedForNothing(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(time.Hour)})
	w.card("r1", slack.ActionHold)
	w.await("what the card shows is remembered", func() bool {
		c, err := w.store.Outbox.Card(t.Context(), name, "r1")
		return err == nil && c.Digest != ""
	})
	if n := len(w.slack.Calls("chat.update")); n > 1 {
		t.Errorf("%d edits of a fresh card", n)
	}
}

func TestProgressIsTold_ButNotEachStep(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	plan := backout.Plan{Name: "web", Audience: []string{"ops"}, Levels: []backout.Level{level("L1", backout.Approval{Mode: backout.ApprovalNone})}}
	var targets []string
	for i := range 40 {
		targets = append(targets, fmt.Sprintf("web-%02d", i))
	}
	_, err := w.rollbacks.input("r1", rollback.Open{Opened: backout.Opened{
		RollbackID: "r1", ChangeID: "CHG0031", Targets: targets, Frozen: backout.FrozenPlan{Plan: plan, Hash: "sha256:00"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.card("r1", "")
	must := func(in rollback.Input) {
		t.Helper()
		if _, err := w.rollbacks.input("r1", in); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range w.state("r1").Targets {
		must(rollback.Claim{AttemptID: target.Attempt.ID, Runner: "one"})
		must(rollback.Finished{AttemptID: target.Attempt.ID})
	}
	before := len(w.slack.Calls("chat.update"))
	began := time.Now()
	for _, target := range targets[1:] {
		must(rollback.Checked{Target: target, Green: true})
		must(rollback.Checked{Target: target, Green: true})
	}
	w.await("39 of 40 on the card", func() bool { return strings.Contains(w.card("r1", "").Text, "39 of 40 targets back") })
	if n, most := len(w.slack.Calls("chat.update"))-before, 3+int(time.Since(began)/(3*time.Second)); n > most {
		t.Errorf("%d edits for 39 targets, want at most %d", n, most)
	}
}

func TestWhatWasDecidedIsShownFirstOnceSlackLetsUs(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	for i := range 3 {
		w.open(fmt.Sprintf("r%d", i), votesOf(1))
	}
	for i := range 3 {
		w.card(fmt.Sprintf("r%d", i), slack.ActionApprove)
	}
	const storm = 2 * time.Second
	w.slack.Limit("", storm)
	began := time.Now()
	before := len(w.slack.Calls("chat.update"))
	for i := range 3 {
		if _, err := w.rollbacks.input(fmt.Sprintf("r%d", i), rollback.Hold{By: "ana", Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		w.await("held on the card", func() bool { return strings.Contains(w.card(fmt.Sprintf("r%d", i), "").Text, "is held") })
	}
	if d := time.Since(began); d > storm+5*time.Second {
		t.Errorf("shown %v after the storm began", d)
	}
	calls := w.slack.Calls("chat.update")[before:]
	if limited := slices.DeleteFunc(slices.Clone(calls), func(c slackfake.Call) bool { return c.Answer != "ratelimited" }); len(limited) > 1 {
		t.Errorf("%d calls although Slack has said to wait", len(limited))
	}
}

// TestAStuckWorkspaceHoldsUpNoOther: an app whose Slack takes edits and never answers
// keeps no card of another app waiting.
func TestAStuckWorkspaceHoldsUpNoOther(t *testing.T) {
	const rollbacks, every = 5, 3 * time.Second
	w := newWorld(t, slackfake.Options{Unlimited: true})
	stuck := w.stuckBeside("another")
	for i := range rollbacks {
		w.open(fmt.Sprintf("r%d", i), votesOf(1))
	}
	for i := range rollbacks {
		w.card(fmt.Sprintf("r%d", i), slack.ActionApprove)
	}
	w.await("cards in both", func() bool { return len(stuck.Cards(channel)) == rollbacks })
	began := time.Now()
	for i := range rollbacks {
		if _, err := w.rollbacks.input(fmt.Sprintf("r%d", i), rollback.Hold{By: "ana", Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rollbacks {
		w.await("held on the card", func() bool { return strings.Contains(w.card(fmt.Sprintf("r%d", i), "").Text, "is held") })
	}
	if d := time.Since(began); d > every {
		t.Errorf("shown after %v although only the other workspace is stuck", d)
	}
}

// TestAnotherAppWaitsForNoPauseOfTheFirst: what Slack has asked one app to wait is no
// matter of the one that a reload puts in its place.
func TestAnotherAppWaitsForNoPauseOfTheFirst(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	w.card("r1", slack.ActionApprove)
	w.slack.Limit("chat.update", time.Hour)
	if _, err := w.rollbacks.input("r1", rollback.Hold{By: "ana", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	w.await("a refused edit", func() bool { return strings.Contains(w.log.String(), "a card was not updated") })
	w.slack.Limit("chat.update", 0)
	w.update(w.edge) // the same app waits on
	w.config.APIURL = strings.Replace(w.config.APIURL, "127.0.0.1", "localhost", 1)
	w.update(w.edge)
	w.await("held on the card", func() bool { return strings.Contains(w.card("r1", "").Text, "is held") })
	if n := len(w.slack.Calls("chat.update")) - w.answers("chat.update", "ok"); n != 1 {
		t.Errorf("%d edits that Slack refused, want the first alone", n)
	}
}

func TestCardIsPostedSoonAfterAStorm(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.slack.Limit("chat.postMessage", 2*time.Second)
	began := time.Now()
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	if d := m.PostedAt.Sub(began); d > 7*time.Second {
		t.Errorf("posted after %v", d)
	}
	if n := w.answers("chat.postMessage", "ratelimited"); n != 1 {
		t.Errorf("%d calls that Slack refused, want the first alone", n)
	}
}

func TestLostConnectionsComeBack(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(3))
	m := w.card("r1", slack.ActionApprove)
	opened := func() int { return w.answers("apps.connections.open", "ok") }
	for i, cut := range []func(){w.slack.DropSockets, w.slack.RefreshSockets} {
		n := opened()
		cut()
		w.await("another connection", func() bool {
			ok, _ := w.edge.Reach(name)
			return opened() > n && ok && w.slack.Sockets() == 1
		})
		user := []string{"Uana", "Uben"}[i]
		w.click(user, m, slack.ActionApprove)
		if got := w.rollbacks.votes("r1"); got != i+1 {
			t.Errorf("%d votes after %d cuts", got, i+1)
		}
	}
}

// TestAMessageThatIsNotUnderstoodLeavesTheConnection: clocks of veto windows would stand
// still until Slack closes it, hours later.
func TestAMessageThatIsNotUnderstoodLeavesTheConnection(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(4))
	m := w.card("r1", slack.ActionApprove)
	for i, message := range []string{`{"type": "something_new"}`, `"no object"`, `{no JSON`} {
		w.slack.SendSockets(message)
		w.click([]string{"Uana", "Uben", "Ueve"}[i], m, slack.ActionApprove) // comes after it, by the same connection
		if ok, why := w.edge.Reach(name); !ok || w.rollbacks.votes("r1") != i+1 {
			t.Errorf("after %s: reach %v %q, %d votes", message, ok, why, w.rollbacks.votes("r1"))
		}
	}
	if strings.Contains(w.log.String(), "not connected") {
		t.Errorf("the log says that there is no connection:\n%s", w.log.String())
	}
}

func TestConnectionThatCannotBeOpenedSaysWhatToDo(t *testing.T) {
	w := newWorld(t, slackfake.Options{AppScopes: []string{}}, func(c *slack.Config) { c.AppToken = backout.Secret{}; c.SigningSecret = backout.SecretValue(secret) })
	w.config.AppToken, w.config.SigningSecret = backout.SecretValue("xapp-app"), backout.Secret{}
	w.update(w.edge)
	w.await("the missing scope in the log", func() bool { return strings.Contains(w.log.String(), "connections:write") })
	if ok, why := w.edge.Reach(name); ok || !strings.Contains(why, "connections:write") {
		t.Errorf("reach: %v %q", ok, why)
	}
	if strings.Contains(w.log.String(), "xapp-app") {
		t.Error("the token is in the log")
	}
}

// TestAReloadConnectsAtOnce: whoever has mended what was refused waits for no pause.
func TestAReloadConnectsAtOnce(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.slack.Fail("apps.connections.open", "invalid_auth")
	w.slack.DropSockets()
	w.await("the refused token is said", func() bool { _, why := w.edge.Reach(name); return strings.Contains(why, "app_token") })
	w.slack.Fail("apps.connections.open", "")
	opened := w.answers("apps.connections.open", "ok")
	for range 2 {
		w.update(w.edge)
		w.await("a connection", func() bool { ok, _ := w.edge.Reach(name); return ok })
	}
	if n := w.answers("apps.connections.open", "ok") - opened; n != 1 || w.slack.Sockets() != 1 {
		t.Errorf("%d connections were opened and %d are open, want the one", n, w.slack.Sockets())
	}
}

func TestOneServerOfTwoEditsTheCard(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.stop()
	w.shared = true
	w.start()
	two := w.another("two")
	t.Cleanup(two.Close)
	n, err := slack.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	two.Update(map[string]*slack.Notifier{name: n})
	w.await("two connections", func() bool { return w.slack.Sockets() == 2 })
	const voters = 10
	w.open("r1", votesOf(voters+1))
	m := w.card("r1", slack.ActionApprove)
	for i := range voters {
		person := fmt.Sprintf("p%d", i)
		w.link(person, "sre")
		w.click("U"+person, m, slack.ActionApprove) // by either connection
		w.await("the vote on the card", func() bool {
			return strings.Contains(w.card("r1", "").Text, fmt.Sprintf("waits for %d of %d", voters-i, voters+1))
		})
	}
	if n := w.rollbacks.votes("r1"); n != voters {
		t.Errorf("%d votes", n)
	}
	if n := w.answers("chat.update", "ok"); n > voters+2 {
		t.Errorf("%d edits for %d votes", n, voters)
	}
}

func TestCardThatWasRemovedIsLeftAlone(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	w.open("r1", votesOf(1))
	w.card("r1", slack.ActionApprove)
	w.slack.Fail("chat.update", "message_not_found")
	if _, err := w.rollbacks.input("r1", rollback.Hold{By: "ana", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	w.await("said once", func() bool { return strings.Contains(w.log.String(), "not kept up to date any more") })
	if n := len(w.slack.Calls("chat.update")); n > 2 {
		t.Errorf("%d tries", n)
	}
}

func TestNoCallWhileSlackAsksToWait(t *testing.T) {
	w := newWorld(t, slackfake.Options{})
	n, err := slack.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.slack.Limit("users.info", time.Minute)
	for range 3 {
		_, err := n.Profile(t.Context(), "Uana")
		var asks interface{ RetryAfter() time.Duration }
		if !errors.As(err, &asks) || asks.RetryAfter() < 50*time.Second {
			t.Errorf("error %v", err)
		}
	}
	if got := len(w.slack.Calls("users.info")); got != 1 {
		t.Errorf("%d calls, want the one that was told to wait", got)
	}
	if err := n.Whisper(t.Context(), "Uana", "another method", "", ""); err != nil {
		t.Errorf("another method waits too: %v", err)
	}
}
