package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestRequestsOfBaselinesAreAsTheAPIWantsThem(t *testing.T) {
	var got []string
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		_, _ = io.WriteString(w, `{"items":[]}`)
	})
	ctx := t.Context()
	for _, call := range []func() error{
		func() error { _, err := c.CaptureBaseline(ctx, "C"); return err },
		func() error { _, err := c.Baseline(ctx, "C", "fe80::1"); return err },
		func() error { _, err := c.Delta(ctx, "C", "a/b"); return err },
		func() error { _, err := c.Drift(ctx, "C", nil); return err },
		func() error { _, err := c.Drift(ctx, "C", []string{"a"}); return err },
		func() error { _, err := c.DriftReport(ctx, "sha256:0"); return err },
		func() error { _, err := c.Holds(ctx, false); return err },
		func() error { _, err := c.Holds(ctx, true); return err },
		func() error { _, err := c.ReleaseHold(ctx, "C", "a", "fixed"); return err },
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`POST /api/v1/changes/C/baseline {}`,
		`GET /api/v1/changes/C/baseline/fe80::1 `,
		`GET /api/v1/changes/C/delta/a%2Fb `,
		`POST /api/v1/changes/C/drift {}`,
		`POST /api/v1/changes/C/drift {"targets":["a"]}`,
		`GET /api/v1/drift/sha256:0 `,
		`GET /api/v1/holds `,
		`GET /api/v1/holds?all=true `,
		`POST /api/v1/holds/release {"change_id":"C","target":"a","reason":"fixed"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// asked answers every request, and keeps how long it would have been waited for.
type asked struct{ patience time.Duration }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	deadline, _ := r.Context().Deadline()
	a.patience = time.Until(deadline).Round(time.Minute)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// TestOpeningIsWaitedFor: the server gives up on what reaches targets, not the client.
func TestOpeningIsWaitedFor(t *testing.T) {
	a := &asked{}
	c, err := New(Options{Server: "http://127.0.0.1:1", HTTP: &http.Client{Transport: a}, Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, ask := range map[string]func() error{
		"open":    func() error { _, err := c.OpenChange(ctx, "C"); return err },
		"gate":    func() error { _, err := c.CheckGate(ctx, "C"); return err },
		"capture": func() error { _, err := c.CaptureBaseline(ctx, "C"); return err },
		"drift":   func() error { _, err := c.Drift(ctx, "C", nil); return err },
		"release": func() error { _, err := c.ReleaseHold(ctx, "C", "a", "x"); return err },
	} {
		if err := ask(); err != nil || a.patience <= handlers.SlowCall {
			t.Errorf("%s is waited for %v, %v", name, a.patience, err)
		}
	}
	if _, err := c.Change(ctx, "C"); err != nil || a.patience != 2*time.Minute {
		t.Errorf("a plain look is waited for %v, %v", a.patience, err)
	}
}

func TestACaptureIsFollowedUntilItEnds(t *testing.T) {
	asked := 0
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		switch asked {
		case 1:
			_, _ = fmt.Fprintf(w, `{"capture":{"number":1,"server":"b1","began_at":%q}}`, time.Now().Format(time.RFC3339))
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, `{"state":"open"}`)
		}
	})
	change, err := c.AwaitCapture(t.Context(), "C", time.Millisecond)
	if err != nil || change.State != backout.ChangeOpen || asked != 3 {
		t.Errorf("%v %v after %d looks", change.State, err, asked)
	}
}

// TestADeadServersCaptureIsNotWaitedFor: its lease is over, somebody else may begin.
func TestADeadServersCaptureIsNotWaitedFor(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"capture":{"began_at":%q}}`, time.Now().Add(-backout.BaselineLease-time.Minute).Format(time.RFC3339))
	})
	if _, err := c.AwaitCapture(t.Context(), "C", time.Hour); err != nil {
		t.Error(err)
	}
}

func TestWaitingForACaptureEndsWithItsCaller(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"capture":{"began_at":%q}}`, time.Now().Format(time.RFC3339))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.AwaitCapture(ctx, "C", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
