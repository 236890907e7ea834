package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// alert is what this test's Alertmanager would say.
type alert struct {
	labels         map[string]string
	started, ended time.Time
	// summary is what it says for people, if not what is usual here.
	summary string
}

// shopDown is the alert of the shop on a target, firing since now.
func shopDown(target string) alert {
	return alert{labels: map[string]string{"alertname": "ShopDown", "severity": "critical", "instance": target + ":80"}, started: time.Now()}
}

func (a alert) resolved() alert {
	a.ended = time.Now()
	return a
}

// webhook is the alert as Alertmanager's webhook, version 4.
func (a alert) webhook(t testing.TB) []byte {
	t.Helper()
	status := "firing"
	if !a.ended.IsZero() {
		status = "resolved"
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{}", "status": status, "receiver": "backout", "truncatedAlerts": 0,
		"groupLabels": map[string]string{}, "commonLabels": a.labels, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager.example:9093",
		"alerts": []any{map[string]any{
			"status": status, "labels": a.labels, "annotations": map[string]string{"summary": cmp.Or(a.summary, "the shop does not answer")},
			"startsAt": a.started.UTC(), "endsAt": a.ended.UTC(), "generatorURL": "", "fingerprint": "",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// deliver sends the alert to the server at url, and returns the answer's code and
// body.
func (a alert) deliver(t testing.TB, url string) (code int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/alertmanager", bytes.NewReader(a.webhook(t)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+intakeToken)
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(said), err
}

// post sends the alert and returns the answer's code and body.
func (srv *server) post(a alert) (int, string) {
	srv.site.t.Helper()
	code, body, err := a.deliver(srv.site.t, srv.url)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	return code, body
}

// mustPost sends the alert and wants it taken.
func (srv *server) mustPost(a alert) {
	srv.site.t.Helper()
	if code, body := srv.post(a); code != http.StatusOK {
		srv.site.t.Fatalf("the alert was answered %d: %s", code, body)
	}
}
