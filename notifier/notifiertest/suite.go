// Package notifiertest checks that a channel type keeps the promises of
// [backout.Notifier]: what is delivered twice is recognisable, what comes later is
// delivered later, errors that pass are told from errors that do not, content from
// outside stays content, secrets stay secret, and the end of a context is the end of
// a call.
//
// A channel type's test makes a [Peer], the other side played for real (an HTTP
// or SMTP server on loopback), and calls [Run].
package notifiertest

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// SecretText is the value of every secret of the notifier under test.
const SecretText = "s3cr3t-hunter2+/=&?<>\"'value"

// Answer is how the peer treats the next deliveries.
type Answer int

// The values of [Answer].
const (
	// Take accepts them.
	Take Answer = iota
	// Fail turns them away with an error that passes.
	Fail
	// Refuse turns them away for good.
	Refuse
	// Later asks for two minutes, where the protocol has a way to say so.
	Later
	// Hang says nothing until the caller has gone.
	Hang
)

// Delivery is one message that the peer took, as its reader would get it.
type Delivery struct {
	// ID is what makes a second delivery recognisable.
	ID string
	// Thread names the message it belongs under; empty for the first.
	Thread string
	// Subject and Text are what the reader sees, decoded.
	Subject, Text string
	// Key names the one thing that the channel keeps for a rollback (an incident,
	// an alert, a ticket), and Open says whether it is still open afterwards.
	Key  string
	Open bool
	// Shape lists everything about the message that is not content: header
	// names, recipients, mentions, links, fields. Content from outside must add
	// nothing to it.
	Shape []string
}

// Peer is the other side of a notifier.
type Peer interface {
	// Set says how deliveries are treated from now on. Every answer but [Take]
	// repeats back to the caller whatever secret it was sent.
	Set(Answer)
	// Deliveries returns what was taken, oldest first, and forgets it: one for each
	// message, also where carrying it takes several requests.
	Deliveries() []Delivery
}

// Subject is a channel type under test.
type Subject struct {
	// Kind is the channel type.
	Kind notifier.Kind
	// New starts a peer and a notifier that delivers to it. Its secrets are
	// SecretText. What it starts ends with the test.
	New func(t *testing.T) (backout.Notifier, Peer)
	// NoRetryAfter is set when the protocol cannot say when to try again.
	NoRetryAfter bool
	// NoThreads is set when the protocol has no threads; receivers have the
	// rollback's id.
	NoThreads bool
	// Keeps is set when the channel keeps one thing for a rollback: deliveries then
	// say its Key and whether it is Open.
	Keeps bool
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"every_moment_is_delivered", everyMoment},
		{"a_second_delivery_is_recognisable", redelivery},
		{"later_messages_go_under_the_first", thread},
		{"one_after_the_other", order},
		{"one_thing_for_a_rollback", keeps},
		{"a_passing_error_passes", passing},
		{"a_refusal_is_permanent", refusal},
		{"retry_after_is_honoured", later},
		{"an_ended_context_ends_the_call", cancelled},
		{"hostile_content_is_content", hostileContent},
		{"secrets_are_never_shown", secrets},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Verified after the peer has gone: cleanups run last in, first out.
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			c.run(t, s)
		})
	}
}

// templates are read once: that checks each of them against every sample.
var templates = sync.OnceValue(notifier.Default)

func render(t *testing.T, s Subject, n backout.Notice, thread *backout.Receipt) backout.Message {
	t.Helper()
	m, err := templates().Render(s.Kind.Style(), n, thread)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	return m
}

func deliver(t *testing.T, s Subject, n backout.Notifier, peer Peer, notice backout.Notice, thread *backout.Receipt) (backout.Receipt, Delivery) {
	t.Helper()
	receipt, err := n.Notify(t.Context(), render(t, s, notice, thread))
	if err != nil {
		t.Fatalf("notify: %v", err)
	}
	got := peer.Deliveries()
	if len(got) != 1 {
		t.Fatalf("the peer took %d messages, want 1: %+v", len(got), got)
	}
	return receipt, got[0]
}

func sample(moment backout.Moment) backout.Notice {
	n := notifier.Samples(moment)[0]
	n.At = time.Now().UTC().Truncate(time.Second)
	n.Deadline = n.At.Add(30 * time.Minute)
	return n
}
