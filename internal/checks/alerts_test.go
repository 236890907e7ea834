package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/alertwire"
)

// realAlertmanager runs one and returns its address. Critical alerts inhibit warnings
// of the same target.
func realAlertmanager(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		const why = "prometheus-alertmanager is not here: apt-get install prometheus-alertmanager"
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "am.yml")
	config := `route: {receiver: nobody, group_wait: 1s}
receivers: [{name: nobody}]
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [instance]
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// The port is free now; should another take it meanwhile, the start fails.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url := "http://" + addr
	poll(t, "Alertmanager is ready", func() bool {
		resp, err := http.Get(url + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return url
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func postJSON(t *testing.T, url string, body any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %s", url, resp.Status)
	}
}

// TestAlertmanagerSaysHowItTreatsAlerts: a real one, with a real silence and a real
// inhibition. What it treats so still fires.
func TestAlertmanagerSaysHowItTreatsAlerts(t *testing.T) {
	t.Parallel()
	url := realAlertmanager(t)
	labels := map[string]map[string]string{
		"silenced":  {"alertname": "Slow", "severity": "page", "instance": "web-1:80"},
		"inhibited": {"alertname": "Slow", "severity": "warning", "instance": "web-2:80"},
		"both":      {"alertname": "Slow", "severity": "warning", "instance": "web-3:80", "noisy": "yes"},
		"source":    {"alertname": "Down", "severity": "critical", "instance": "web-2:80"},
		"other":     {"alertname": "Down", "severity": "critical", "instance": "web-3:80"},
	}
	var alerts []map[string]any
	names := map[string]string{}
	for name, l := range labels {
		alerts = append(alerts, map[string]any{"labels": l, "startsAt": time.Now().UTC(), "endsAt": time.Now().Add(time.Hour).UTC()})
		names[alertwire.Fingerprint(l)] = name
	}
	postJSON(t, url+"/api/v2/alerts", alerts)
	for _, m := range []map[string]any{
		{"name": "severity", "value": "page", "isRegex": false, "isEqual": true},
		{"name": "noisy", "value": "yes", "isRegex": false, "isEqual": true},
	} {
		postJSON(t, url+"/api/v2/silences", map[string]any{
			"matchers": []any{m}, "startsAt": time.Now().UTC(), "endsAt": time.Now().Add(time.Hour).UTC(), "createdBy": "ann", "comment": "known",
		})
	}
	want := map[string]Treatment{
		"silenced": {Known: true, Silenced: true}, "inhibited": {Known: true, Inhibited: true}, "both": {Known: true, Silenced: true, Inhibited: true},
		"source": {Known: true}, "other": {Known: true},
	}
	asked := NewAlerts([]Alertmanager{{URL: "http://127.0.0.1:1"}, {URL: url}})
	var diff string
	poll(t, "every alert is treated as it should be", func() bool {
		treated, err := asked.Treated(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]Treatment{}
		for fingerprint, treatment := range treated {
			got[names[fingerprint]] = treatment
		}
		diff = cmp.Diff(want, got)
		return diff == ""
	})
	firing, err := asked.Firing(t.Context())
	if err != nil || len(firing) != len(labels) {
		t.Errorf("firing: %v, %v", firing, err)
	}
}

func TestNobodyAnswersHowAlertsAreTreated(t *testing.T) {
	asked := NewAlerts([]Alertmanager{{URL: "http://127.0.0.1:1"}})
	if treated, err := asked.Treated(context.Background()); err == nil || treated != nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v, %v", treated, fmt.Sprint(err))
	}
}
