package slack

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// roundTrip answers every request of the library.
type roundTrip func(*http.Request) (*http.Response, error)

func (fn roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }

// listens returns how long a listener with this patience stays when every opening ends
// so.
func listens(t *testing.T, patience time.Duration, opening roundTrip) (stayed time.Duration, tries int, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, failed := New(interactive())
		if failed != nil {
			t.Fatal(failed)
		}
		web := httpClient()
		web.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { tries++; return opening(r) })
		n.desk = newClientBy(n.config, web)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = n.Listen(ctx, Listener{Patience: patience, State: func(error) {}})
		stayed = time.Since(began)
	})
	return stayed, tries, err
}

// TestListenEndsBeforeItsPausesAreLong: the library's grow to five minutes.
func TestListenEndsBeforeItsPausesAreLong(t *testing.T) {
	status := func(code int, header http.Header) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Header: header, Body: http.NoBody, Request: r}, nil
		}
	}
	away := status(http.StatusServiceUnavailable, nil)
	if stayed, tries, err := listens(t, 25*time.Second, away); err == nil || backout.IsPermanent(err) || stayed > time.Minute || tries < 5 {
		t.Errorf("stayed %v for %d tries: %v", stayed, tries, err)
	}
	if stayed, tries, err := listens(t, 0, away); err == nil || stayed > 0 || tries != 1 {
		t.Errorf("without patience: stayed %v for %d tries: %v", stayed, tries, err)
	}
	_, tries, err := listens(t, 25*time.Second, status(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}}))
	var asks interface{ RetryAfter() time.Duration }
	if tries != 1 || !errors.As(err, &asks) || asks.RetryAfter() != time.Minute {
		t.Errorf("asked to wait: %d tries: %v", tries, err)
	}
}

// TestAnOpeningThatIsNeverAnswered is given up, and tried again.
func TestAnOpeningThatIsNeverAnswered(t *testing.T) {
	silent := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if stayed, tries, err := listens(t, time.Second, silent); err == nil || backout.IsPermanent(err) || stayed > 2*time.Minute || tries < 2 {
		t.Errorf("stayed %v for %d tries: %v", stayed, tries, err)
	}
}
