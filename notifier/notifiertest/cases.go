package notifiertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// patience bounds a call that must return promptly.
const patience = 5 * time.Second

func everyMoment(t *testing.T, s Subject) {
	n, peer := s.New(t)
	for _, moment := range backout.Moments() {
		notice := sample(moment)
		_, got := deliver(t, s, n, peer, notice, nil)
		if want := render(t, s, notice, nil); !strings.Contains(got.Subject, notice.ChangeID) && moment != backout.MomentTest {
			t.Errorf("%s: subject %q does not name the change (sent %q)", moment, got.Subject, want.Subject)
		}
		if strings.TrimSpace(got.Text) == "" {
			t.Errorf("%s: the text is empty", moment)
		}
	}
}

func redelivery(t *testing.T, s Subject) {
	n, peer := s.New(t)
	first, one := deliver(t, s, n, peer, sample(backout.MomentLevelStarted), nil)
	_, two := deliver(t, s, n, peer, sample(backout.MomentLevelStarted), nil)
	other := sample(backout.MomentLevelStarted)
	other.ID += "-other"
	_, three := deliver(t, s, n, peer, other, nil)
	if one.ID == "" || one.ID != two.ID {
		t.Errorf("two deliveries of one notice have the ids %q and %q, want the same", one.ID, two.ID)
	}
	if one.ID == three.ID {
		t.Errorf("two notices share the id %q", one.ID)
	}
	if first.Ref == "" {
		t.Error("the receipt names no message")
	}
}

func thread(t *testing.T, s Subject) {
	if s.NoThreads {
		t.Skip("the protocol has no threads")
	}
	n, peer := s.New(t)
	receipt, one := deliver(t, s, n, peer, sample(backout.MomentRed), nil)
	next := sample(backout.MomentEscalated)
	_, two := deliver(t, s, n, peer, next, &receipt)
	if one.Thread != "" {
		t.Errorf("the first message is under %q", one.Thread)
	}
	if two.Thread != receipt.Ref {
		t.Errorf("the second message is under %q, want %q", two.Thread, receipt.Ref)
	}
}

// order tells two rollbacks in turn, with a peer that turns every other message
// away at first. When Notify returns, the peer has this message and no other: so a
// caller that waits for it, as the outbox does, keeps the order.
func order(t *testing.T, s Subject) {
	n, peer := s.New(t)
	seen := map[string]bool{}
	threads := map[string]*backout.Receipt{}
	for i, moment := range []backout.Moment{
		backout.MomentRed, backout.MomentApproval, backout.MomentLevelStarted, backout.MomentEscalated, backout.MomentHeld, backout.MomentRecovered,
	} {
		for _, rollback := range []string{"CHG0030001-r1", "CHG0030002-r1"} {
			notice := sample(moment)
			notice.RollbackID, notice.ID = rollback, fmt.Sprintf("%s.%d.0", rollback, i)
			if i%2 == 1 {
				peer.Set(Fail)
				if _, err := n.Notify(t.Context(), render(t, s, notice, threads[rollback])); err == nil {
					t.Fatalf("%s: the peer failed and Notify returned no error", notice.ID)
				}
				peer.Set(Take)
				if got := peer.Deliveries(); len(got) != 0 {
					t.Fatalf("%s: the peer turned it away and has %+v", notice.ID, got)
				}
			}
			receipt, got := deliver(t, s, n, peer, notice, threads[rollback])
			if got.ID == "" || seen[got.ID] {
				t.Errorf("%s: the peer has the message %q, which it had before: %q", notice.ID, got.ID, got.Subject)
			}
			seen[got.ID] = true
			if first := threads[rollback]; first == nil {
				threads[rollback] = &receipt
			} else if !s.NoThreads && got.Thread != first.Ref {
				t.Errorf("%s: it is under %q, want %q", notice.ID, got.Thread, first.Ref)
			}
		}
	}
}

// keeps follows two rollbacks: each has one thing of its own, which is open until
// nobody has to do anything any more, also when a message comes twice.
func keeps(t *testing.T, s Subject) {
	if !s.Keeps {
		t.Skip("the channel keeps nothing for a rollback")
	}
	n, peer := s.New(t)
	tell := func(rollback string, moment backout.Moment, open bool) string {
		t.Helper()
		notice := sample(moment)
		notice.RollbackID, notice.ID = rollback, rollback+"."+string(moment)
		_, got := deliver(t, s, n, peer, notice, nil)
		if got.Open != open || got.Key == "" {
			t.Errorf("%s of %s: %q is open: %v, want %v", moment, rollback, got.Key, got.Open, open)
		}
		return got.Key
	}
	first := tell("CHG0030001-r1", backout.MomentRed, true)
	other := tell("CHG0030002-r1", backout.MomentRed, true)
	if first == other {
		t.Errorf("two rollbacks share %q", first)
	}
	for _, c := range []struct {
		moment backout.Moment
		open   bool
	}{
		{backout.MomentRed, true},
		{backout.MomentApproval, true},
		{backout.MomentLevelStarted, true},
		{backout.MomentEscalated, true},
		{backout.MomentHeld, true},
		{backout.MomentExhausted, true},
		{backout.MomentRecovered, false},
		{backout.MomentRecovered, false},
		{backout.MomentAborted, false},
		{backout.MomentCancelled, false},
	} {
		if key := tell("CHG0030001-r1", c.moment, c.open); key != first {
			t.Errorf("%s went to %q, want %q", c.moment, key, first)
		}
	}
}

func passing(t *testing.T, s Subject) {
	n, peer := s.New(t)
	peer.Set(Fail)
	m := render(t, s, sample(backout.MomentHeld), nil)
	_, err := n.Notify(t.Context(), m)
	if err == nil {
		t.Fatal("the peer failed and Notify returned no error")
	}
	if backout.IsPermanent(err) {
		t.Errorf("a passing error was marked permanent: %v", err)
	}
	peer.Set(Take)
	peer.Deliveries()
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Errorf("the next try failed: %v", err)
	}
	if got := peer.Deliveries(); len(got) != 1 {
		t.Errorf("after the next try the peer has %d messages, want 1", len(got))
	}
}

func refusal(t *testing.T, s Subject) {
	n, peer := s.New(t)
	peer.Set(Refuse)
	_, err := n.Notify(t.Context(), render(t, s, sample(backout.MomentHeld), nil))
	if !backout.IsPermanent(err) {
		t.Errorf("a refusal is not permanent: %v", err)
	}
}

func later(t *testing.T, s Subject) {
	if s.NoRetryAfter {
		t.Skip("the protocol cannot say when to try again")
	}
	n, peer := s.New(t)
	peer.Set(Later)
	_, err := n.Notify(t.Context(), render(t, s, sample(backout.MomentHeld), nil))
	var says interface{ RetryAfter() time.Duration }
	if !errors.As(err, &says) {
		t.Fatalf("the error does not say when to try again: %v", err)
	}
	if got := says.RetryAfter(); got < 110*time.Second || got > 2*time.Minute {
		t.Errorf("RetryAfter() = %v, want two minutes", got)
	}
	if backout.IsPermanent(err) {
		t.Error("an error that says when to try again was marked permanent")
	}
}

func cancelled(t *testing.T, s Subject) {
	n, peer := s.New(t)
	m := render(t, s, sample(backout.MomentHeld), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checkEnded(t, n, ctx, m, "a context that ended before")
	peer.Set(Hang)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	checkEnded(t, n, ctx, m, "a context that ends meanwhile")
	if got := peer.Deliveries(); len(got) != 0 {
		t.Errorf("the peer took %d messages, want none", len(got))
	}
}

func checkEnded(t *testing.T, n backout.Notifier, ctx context.Context, m backout.Message, what string) {
	t.Helper()
	begun := time.Now()
	_, err := n.Notify(ctx, m)
	if took := time.Since(begun); took > patience {
		t.Errorf("%s: the call took %v", what, took)
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: error %v, want the context's", what, err)
	}
	if backout.IsPermanent(err) {
		t.Errorf("%s: the error was marked permanent: a restart of the server would lose the notice", what)
	}
}

// secrets makes every kind of error there is, with a peer that repeats the
// secret, and shows the error and the notifier in every way there is.
func secrets(t *testing.T, s Subject) {
	n, peer := s.New(t)
	noSecret(t, "the notifier", n)
	m := render(t, s, sample(backout.MomentHeld), nil)
	for _, answer := range []Answer{Fail, Refuse, Later, Hang} {
		peer.Set(answer)
		ctx, cancel := t.Context(), func() {}
		if answer == Hang {
			ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
		}
		_, err := n.Notify(ctx, m)
		cancel()
		for ; err != nil; err = errors.Unwrap(err) {
			noSecret(t, fmt.Sprintf("the error of answer %d", answer), err)
		}
	}
	peer.Set(Take)
	receipt, err := n.Notify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	noSecret(t, "the receipt", receipt)
}

func noSecret(t *testing.T, what string, v any) {
	t.Helper()
	said := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		said[verb] = fmt.Sprintf(verb, v)
	}
	var text, lines strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Error("x", "value", v)
	slog.New(slog.NewJSONHandler(&lines, nil)).Error("x", "value", v)
	said["a log of text"], said["a log of JSON"] = text.String(), lines.String()
	if data, err := json.Marshal(v); err == nil {
		said["JSON"] = string(data)
	}
	for how, text := range said {
		for _, form := range secretForms() {
			if strings.Contains(text, form) {
				t.Errorf("%s as %s shows the secret", what, how)
			}
		}
	}
}
