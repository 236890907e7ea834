package notifiertest

import (
	"context"
	"errors"
	"fmt"
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
// secret, and formats the error and the notifier by every verb.
func secrets(t *testing.T, s Subject) {
	n, peer := s.New(t)
	show := func(what string, v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, form := range secretForms() {
				if strings.Contains(text, form) {
					t.Errorf("%s printed by %s shows the secret", what, verb)
				}
			}
		}
	}
	show("the notifier", n)
	for _, answer := range []Answer{Fail, Refuse, Later} {
		peer.Set(answer)
		_, err := n.Notify(t.Context(), render(t, s, sample(backout.MomentHeld), nil))
		for ; err != nil; err = errors.Unwrap(err) {
			show(fmt.Sprintf("the error of answer %d", answer), err)
		}
	}
}
