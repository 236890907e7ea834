package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/backout-io/backout"
)

func getBackup(t *testing.T, h http.Handler) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	res, err := http.Get(server.URL + "/api/v1/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestBackupIsStreamed(t *testing.T) {
	h := handlerFor(t, &fake{backup: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, "all of it")
		return err
	}})
	res, body := getBackup(t, h)
	if res.StatusCode != 200 || body != "all of it" || res.Header.Get("Content-Type") != "application/gzip" || res.Trailer.Get(BackupErrorTrailer) != "" {
		t.Errorf("%s %v %q %v", res.Status, res.Header, body, res.Trailer)
	}
}

// TestBackupThatFailsSaysSo as a status while it can, and behind the body when it
// cannot.
func TestBackupThatFailsSaysSo(t *testing.T) {
	damaged := fmt.Errorf("BACKOUT_CHANGES at 7: %w", backout.ErrUnavailable)
	res, body := getBackup(t, handlerFor(t, &fake{backup: func(context.Context, io.Writer) error { return damaged }}))
	if res.StatusCode != 503 || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("before the first byte: %s %v %q", res.Status, res.Header, body)
	}
	res, body = getBackup(t, handlerFor(t, &fake{backup: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, damaged)
	}}))
	if res.StatusCode != 200 || body != "half" || res.Trailer.Get(BackupErrorTrailer) == "" {
		t.Errorf("behind it: %s %q %v", res.Status, body, res.Trailer)
	}
}

func TestOneBackupAtATime(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	h := handlerFor(t, &fake{backup: func(context.Context, io.Writer) error {
		close(begun)
		<-end
		return nil
	}})
	first := make(chan int)
	go func() { first <- do(h, request("GET", "/api/v1/backup", "")).Code }()
	<-begun
	wantError(t, do(h, request("GET", "/api/v1/backup", "")), 503, "overloaded", "come again")
	close(end)
	if code := <-first; code != 200 {
		t.Errorf("the first one: %d", code)
	}
}

// TestStoppingServerEndsABackup: it need not wait for it.
func TestStoppingServerEndsABackup(t *testing.T) {
	begun := make(chan struct{})
	h := handlerFor(t, &fake{backup: func(ctx context.Context, _ io.Writer) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}})
	answered := make(chan int)
	go func() { answered <- do(h, request("GET", "/api/v1/backup", "")).Code }()
	<-begun
	h.EndStreams()
	if code := <-answered; code != 500 && code != 503 {
		t.Errorf("answered %d", code)
	}
}

func TestBackupNeedsAnAPIToken(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t))
	wantError(t, do(h, bearer(request("GET", "/api/v1/backup", ""), senderSecret)), 401, "unauthenticated", "token")
	if w := do(h, bearer(request("GET", "/api/v1/backup", ""), aliceSecret)); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}
