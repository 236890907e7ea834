package alertwire

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

// recordings are webhook bodies that real Alertmanagers sent.
func recordings(tb testing.TB) map[string][]byte {
	tb.Helper()
	names, err := filepath.Glob("testdata/alertmanager/*.json")
	if err != nil || len(names) == 0 {
		tb.Fatalf("recordings: %v, %d found", err, len(names))
	}
	out := make(map[string][]byte)
	for _, name := range names {
		if strings.Contains(name, "-api-v2-") || strings.Contains(name, "-request-headers") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".json")] = data
	}
	return out
}

func TestRecordedWebhooksDecodeToTheirFingerprints(t *testing.T) {
	all := recordings(t)
	if len(all) < 20 {
		t.Fatalf("only %d recordings", len(all))
	}
	for name, body := range all {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeWebhook(body)
			if err != nil {
				t.Fatal(err)
			}
			var sent struct {
				TruncatedAlerts int
				Alerts          []struct{ Fingerprint, Status string }
			}
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Fatal(err)
			}
			if got.Truncated != sent.TruncatedAlerts || len(got.Alerts) != len(sent.Alerts) || len(sent.Alerts) == 0 {
				t.Fatalf("%d alerts, %d truncated; sent %d, %d", len(got.Alerts), got.Truncated, len(sent.Alerts), sent.TruncatedAlerts)
			}
			for i, a := range got.Alerts {
				if a.Fingerprint != sent.Alerts[i].Fingerprint {
					t.Errorf("alert %d: fingerprint %s, Alertmanager says %s", i, a.Fingerprint, sent.Alerts[i].Fingerprint)
				}
				if a.Firing != (sent.Alerts[i].Status == "firing") {
					t.Errorf("alert %d: firing %v, sent %s", i, a.Firing, sent.Alerts[i].Status)
				}
				if a.Firing != a.EndsAt.IsZero() {
					t.Errorf("alert %d: firing %v ends at %v", i, a.Firing, a.EndsAt)
				}
			}
		})
	}
}

func TestStatusIsTheAlertsNotTheGroups(t *testing.T) {
	got, err := DecodeWebhook(recordings(t)["v0.34.2-group3-one-resolved"])
	if err != nil {
		t.Fatal(err)
	}
	firing := 0
	for _, a := range got.Alerts {
		if a.Firing {
			firing++
		}
	}
	if len(got.Alerts) != 3 || firing != 2 {
		t.Fatalf("%d of %d firing, want 2 of 3", firing, len(got.Alerts))
	}
}

func TestFingerprintIsTheOneOfPrometheus(t *testing.T) {
	for _, labels := range []map[string]string{
		nil,
		{"alertname": "a"},
		{"b": "2", "a": "1", "c": ""},
		{"alertname": "Über \"q\" 日本", "x\xffy": "z\xff"},
		{"a": "b\xffc"},
		{"a\xffb": "c"},
	} {
		set := model.LabelSet{}
		for k, v := range labels {
			set[model.LabelName(k)] = model.LabelValue(v)
		}
		if got, want := Fingerprint(labels), set.Fingerprint().String(); got != want {
			t.Errorf("%v: %s, want %s", labels, got, want)
		}
	}
}
