package simtest

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
)

// signedPost hands a signed request to a server, as its handlers do once the
// signature has been compared.
func signedPost(t *testing.T, s *Server, signature, status string, started, ended time.Time) error {
	t.Helper()
	body := fmt.Appendf(nil, `{"version":"1","alerts":[{"status":%q,"labels":{"alertname":"WebErrors","instance":"web-1:9100"},"startsAt":%q,"endsAt":%q}]}`,
		status, started.UTC().Format(time.RFC3339Nano), ended.UTC().Format(time.RFC3339Nano))
	hook, err := alertwire.DecodeWebhook(body)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Engine().Accept(t.Context(), handlers.Delivery{Kind: "webhook", Source: "grafana", Signature: signature, Body: body, Alerts: hook.Alerts})
	synctest.Wait()
	return err
}

// TestSigned_request_is_taken_once: whichever server it is sent to again, and after a
// restart of all. After two minutes an ending is forgotten, and the firing that came
// before it would count as red again.
func TestSigned_request_is_taken_once(t *testing.T) {
	Story(t, Setup{}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		began := time.Now()
		replayed := func(when string, s *Server) {
			t.Helper()
			if err := signedPost(t, s, "signature-1", "firing", began, time.Time{}); !errors.Is(err, backout.ErrExists) {
				t.Errorf("%s: %v", when, err)
			}
		}
		if err := signedPost(t, w.Server(), "signature-1", "firing", began, time.Time{}); err != nil {
			t.Fatal(err)
		}
		replayed("to the same server", w.Server())
		replayed("to another server", second)
		w.Advance(10 * time.Second)
		if err := signedPost(t, second, "signature-2", "resolved", began, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.Advance(3 * time.Minute)
		w.OpenChange("CHG1", "web-1")
		replayed("after the ending was forgotten", second)
		replayed("after the ending was forgotten", w.Server())
		w.Restart()
		replayed("after a restart", w.Server())
		w.Advance(time.Minute)
		if ex, err := w.Server().Engine().Change(t.Context(), "CHG1"); err != nil || len(ex.Rollbacks) != 0 {
			t.Errorf("a replay opened %v, %v", ex.Rollbacks, err)
		}
		if err := signedPost(t, w.Server(), "signature-3", "firing", time.Now(), time.Time{}); err != nil {
			t.Errorf("a new request: %v", err)
		}
	})
}
