package outbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// TestARenamedAudienceLosesNoNoticeOfARollback: its plan is frozen with the old name. All
// who can act are told, by their own routes, and those who cannot are not.
func TestARenamedAudienceLosesNoNoticeOfARollback(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat, mail, board := &people{}, &people{}, &people{}
		channels := map[string]backout.Notifier{"chat": chat, "mail": mail, "board": board}
		b.update(t, channels, map[string][]string{"ops": {"chat"}})
		b.send(t, "ops", "n1")
		time.Sleep(time.Second)
		b.update(t, channels, map[string][]string{"web-ops": {"chat"}, "dba": {"mail"}, "stakeholders": {"board"}})
		b.send(t, "ops", "n2")
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Minute, true, "")
		wantIDs(t, "chat", chat, "n1", "n2", q.ID)
		wantIDs(t, "mail", mail, "n2", q.ID)
		wantIDs(t, "board", board)
		const said = "This was for the audience OPS, which the config does not have any more"
		if m := chat.messages(); strings.Contains(m[0].Text, said) || !strings.Contains(m[1].Text, said) {
			t.Errorf("the words are %q and %q", m[0].Text, m[1].Text)
		}
		if !strings.Contains(b.log.String(), "does not have any more") || !strings.Contains(b.log.String(), "audience=ops") {
			t.Errorf("nothing says it in the log: %s", b.log)
		}
	})
}

// TestNobodyIsToldInsteadOfWhoCouldNotAct, nor of what is about no rollback and needs
// nobody.
func TestNobodyIsToldInsteadOfWhoCouldNotAct(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		for _, n := range []backout.Notice{
			{ID: "n1", Moment: backout.MomentHeld, Audience: "record", ChangeID: "CHG1", RollbackID: "CHG1-r1", At: time.Now()},
			{ID: "n2", Moment: backout.MomentWindowClosed, Audience: "bosses", ChangeID: "CHG1", At: time.Now()},
			{ID: "n3", Moment: backout.MomentHeld, ChangeID: "CHG1", RollbackID: "CHG1-r1", At: time.Now()},
		} {
			if err := b.Send(t.Context(), n); !backout.IsPermanent(err) {
				t.Errorf("%s: error %v", n.ID, err)
			}
		}
		synctest.Wait()
		wantIDs(t, "chat", chat)
	})
}

// TestAMessageForAnAudienceThatIsGoneIsNoLongerThanOthers.
func TestAMessageForAnAudienceThatIsGoneIsNoLongerThanOthers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		n := theQuestion("a1")
		n.Audience, n.PlanText = strings.Repeat("x", 2000), strings.Repeat("restart\n", 5000)
		ask(t, b.Outbox, n)
		if m := chat.messages(); len(m) != 1 || len([]rune(m[0].Text)) > notifier.MaxText || !strings.Contains(m[0].Text, "XXX") {
			t.Errorf("%d messages", len(m))
		}
	})
}
