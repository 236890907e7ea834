package engine

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestSignaturesAreKeptAsLongAsTheyCount: the last moment in which any server takes a
// signature is two windows after its arrival, and clocks may differ by one more.
func TestSignaturesAreKeptAsLongAsTheyCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSignatures()
		if err := s.take("", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.take("a", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*handlers.SignatureWindow - time.Second)
		if err := s.take("a", time.Now()); !errors.Is(err, backout.ErrExists) {
			t.Errorf("within its time: %v", err)
		}
		s.giveBack("a")
		if err := s.take("a", time.Now()); err != nil {
			t.Errorf("given back: %v", err)
		}
		time.Sleep(3*handlers.SignatureWindow + 2*signedStep)
		if err := s.take("b", time.Now()); err != nil || len(s.seen) != 1 || len(s.due) != 1 {
			t.Errorf("%v; %d signatures and %d minutes are kept", err, len(s.seen), len(s.due))
		}
	})
}

func TestSignaturesAreBounded(t *testing.T) {
	s := newSignatures()
	for i := range maxSigned {
		if err := s.take(strconv.Itoa(i), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.take("one more", time.Now()); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("one more: %v", err)
	}
}

// TestASignedRequestThatWasNotStoredMayComeAgain: its sender was told to.
func TestASignedRequestThatWasNotStoredMayComeAgain(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		d := handlers.Delivery{Kind: "webhook", Source: "grafana", Signature: "s", Body: make([]byte, 32<<20)}
		if err := e.Accept(t.Context(), d); err == nil {
			t.Fatal("32 MiB were stored")
		}
		d.Body = []byte(`{"version":"4","alerts":[]}`)
		if err := e.Accept(t.Context(), d); err != nil {
			t.Errorf("the second try: %v", err)
		}
		if err := e.Accept(t.Context(), d); !errors.Is(err, backout.ErrExists) {
			t.Errorf("the third: %v", err)
		}
	})
}
