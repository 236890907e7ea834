package alertwire

import (
	"testing"
	"time"
)

// TestDecodeAnyTakesEveryShape: what Alertmanager sends and shows, and what backout's
// own API shows; the times count in all of them.
func TestDecodeAnyTakesEveryShape(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	starts := now.Add(-10 * time.Minute)
	for name, body := range map[string]string{
		"webhook":   `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-23T01:50:00Z"}]}`,
		"list":      ` [{"labels":{"alertname":"A"},"startsAt":"2026-11-23T01:50:00Z"}]`,
		"one":       `{"labels":{"alertname":"A"},"startsAt":"2026-11-23T01:50:00Z"}`,
		"backout's": `{"firing":true,"starts_at":"2026-11-23T01:50:00Z","labels":{"alertname":"A"}}`,
		"shown": `[{"status":{"state":"suppressed","silencedBy":["a"],"inhibitedBy":[]},"receivers":[{"name":"b"}],"updatedAt":"2026-11-23T01:59:00Z",
			"labels":{"alertname":"A"},"startsAt":"2026-11-23T01:50:00Z","endsAt":"2026-11-23T02:03:00Z"}]`,
		"its list": `[{"firing":true,"starts_at":"2026-11-23T01:50:00Z","labels":{"alertname":"A"}}]`,
	} {
		alerts, err := DecodeAny([]byte(body), now)
		if err != nil || len(alerts) != 1 {
			t.Fatalf("%s: %v, %v", name, alerts, err)
		}
		if a := alerts[0]; !a.Firing || !a.StartsAt.Equal(starts) || a.Fingerprint != Fingerprint(a.Labels) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	over := `{"firing":false,"starts_at":"2026-11-23T01:50:00Z","ends_at":"2026-11-23T01:55:00Z","labels":{"alertname":"A"}}`
	if alerts, err := DecodeAny([]byte(over), now); err != nil || alerts[0].Firing || !alerts[0].EndsAt.Equal(now.Add(-5*time.Minute)) {
		t.Errorf("%+v, %v", alerts, err)
	}
	for _, bad := range []string{"", "{", "[1]", `{"labels":{}}`} {
		if alerts, err := DecodeAny([]byte(bad), now); err == nil {
			t.Errorf("%s: %+v", bad, alerts)
		}
	}
}
