package outbox_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/notifier"
)

func TestTestNoticeGoesPastTheQueue(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		m, err := b.Test(t.Context(), outbox.TestNotice{Channel: "chat"})
		if err != nil {
			t.Fatal(err)
		}
		if got := chat.messages(); len(got) != 1 || got[0].Notice.Moment != backout.MomentTest || got[0].Subject != m.Subject || !strings.Contains(m.Subject, "test") {
			t.Errorf("delivered %+v, said %+v", got, m)
		}
		chat.set(backout.Permanent(errors.New("invalid_auth")), false)
		var undelivered *outbox.UndeliveredError
		if _, err := b.Test(t.Context(), outbox.TestNotice{Channel: "chat"}); !errors.As(err, &undelivered) || !strings.Contains(err.Error(), "invalid_auth") {
			t.Errorf("error %v", err)
		}
		if _, err := b.Test(t.Context(), outbox.TestNotice{Channel: "mail"}); !errors.Is(err, backout.ErrNotFound) || !strings.Contains(err.Error(), "chat") {
			t.Errorf("error %v", err)
		}
	})
}

func TestDryRunOfATestNoticeSendsNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		m, err := b.Test(t.Context(), outbox.TestNotice{Channel: "chat", Moment: backout.MomentEscalated, Level: "L2", Audience: "ops", DryRun: true, By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if len(chat.messages()) != 0 || chat.attempts != 0 {
			t.Error("a dry run was sent")
		}
		// The channel of the bench writes values in capitals.
		if !strings.Contains(m.Text, "L2 did not bring CHG0030001") || strings.Contains(m.Subject, "TEST") {
			t.Errorf("these are not the words that people would read: %s", m.Text)
		}
	})
}

// TestTestNoticeCannotBeActedOn: no channel may find a question, a ticket or a page
// by it.
func TestTestNoticeCannotBeActedOn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}, "stakeholders": {"chat"}})
		for _, moment := range backout.Moments() {
			for _, level := range []string{"", "L1", "L3", "L4", "L9"} {
				if _, err := b.Test(t.Context(), outbox.TestNotice{Channel: "chat", Moment: moment, Level: level, Audience: "stakeholders", By: "ann"}); err != nil {
					t.Fatal(err)
				}
				all := chat.messages()
				m := all[len(all)-1]
				n := m.Notice
				if n.Moment != moment || n.AskID != "" || n.URL != "" || n.ChangeID != "TEST" || n.RollbackID != "" && !strings.HasPrefix(n.RollbackID, "TEST-") {
					t.Errorf("%s %s: %+v", moment, level, n)
				}
				if aboutALevel := notifier.Samples(moment)[0].Level != ""; aboutALevel && n.Level != cmp.Or(level, "L1") {
					t.Errorf("%s: level %s became %s", moment, level, n.Level)
				}
				if !strings.Contains(n.Reason, "a test asked for by ann") || n.Title != "" && !strings.HasPrefix(n.Title, "a test, nothing is wrong: ") {
					t.Errorf("%s: the notice does not say that it is a test: %+v", moment, n)
				}
				if moment != backout.MomentTest && (!strings.HasPrefix(m.Subject, "TEST: ") || !strings.HasPrefix(m.Text, "TEST, nothing is wrong")) {
					t.Errorf("%s: the words do not say that it is a test: %s\n%s", moment, m.Subject, m.Text)
				}
			}
		}
	})
}

func TestTestNoticeOfNothingKnownIsRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		b.update(t, map[string]backout.Notifier{"chat": chat}, map[string][]string{"ops": {"chat"}})
		for _, tc := range []struct {
			n    outbox.TestNotice
			want error
			part string
		}{
			{outbox.TestNotice{Channel: "chat", Moment: "rde"}, backout.ErrInvalid, "the moments are gate_refused, "},
			{outbox.TestNotice{Channel: "chat", Moment: backout.MomentRed, Level: "L10"}, backout.ErrInvalid, "want L1 to L9"},
			{outbox.TestNotice{Channel: "chat", Moment: backout.MomentRed, Level: "L01"}, backout.ErrInvalid, "want L1 to L9"},
			{outbox.TestNotice{Channel: "chat", Audience: "boss"}, backout.ErrNotFound, "the config has ops"},
			{outbox.TestNotice{}, backout.ErrNotFound, "the config has chat"},
		} {
			if _, err := b.Test(t.Context(), tc.n); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("%+v: error %v", tc.n, err)
			}
		}
		if chat.attempts != 0 {
			t.Error("something was sent")
		}
	})
}
