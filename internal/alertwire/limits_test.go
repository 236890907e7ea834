package alertwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

func itoa(n int) string { return strconv.Itoa(n) }

func kindOf(t *testing.T, body string) Kind {
	t.Helper()
	_, err := DecodeWebhook([]byte(body))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	return e.Kind
}

func TestALongValueIsCutAndItsAlertStays(t *testing.T) {
	long := strings.Repeat("x", MaxValue-1) + "é and more"
	body := oneAlert(`"labels":{"a":"` + long + `","b":"` + strings.Repeat("y", MaxValue) + `"},"annotations":{"c":"` + long + `"}`)
	got, err := DecodeWebhook([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	a := got.Alerts[0]
	if a.Labels["a"] != strings.Repeat("x", MaxValue-1) || len(a.Labels["b"]) != MaxValue || got.Cut != 2 || !utf8.ValidString(a.Annotations["c"]) {
		t.Errorf("lengths %d %d, %d cut", len(a.Labels["a"]), len(a.Labels["b"]), got.Cut)
	}
	if want := Fingerprint(map[string]string{"a": long, "b": strings.Repeat("y", MaxValue)}); a.Fingerprint != want {
		t.Errorf("fingerprint %s is not that of the whole value, %s", a.Fingerprint, want)
	}
}

// TestPairsBeyondTheLimitAreLeftOut: the alert stays, with the same pairs in
// whatever order they came, and its fingerprint is that of all its labels.
func TestPairsBeyondTheLimitAreLeftOut(t *testing.T) {
	all := map[string]string{}
	var pairs []string
	for i := range MaxPairs + 10 {
		name := fmt.Sprintf("l%04d", i)
		all[name] = "x"
		pairs = append(pairs, strconv.Quote(name)+`:"x"`)
	}
	want := maps.Clone(all)
	maps.DeleteFunc(want, func(name, _ string) bool { return name >= fmt.Sprintf("l%04d", MaxPairs) })
	for _, order := range []string{"as sent", "backwards"} {
		if order == "backwards" {
			slices.Reverse(pairs)
		}
		object := "{" + strings.Join(pairs, ",") + `,"empty":"",` + pairs[0] + "}"
		got, err := DecodeWebhook([]byte(oneAlert(`"labels":` + object + `,"annotations":` + object)))
		if err != nil {
			t.Fatalf("%s: %v", order, err)
		}
		a := got.Alerts[0]
		if !maps.Equal(a.Labels, want) || a.Fingerprint != Fingerprint(all) {
			t.Errorf("%s: %d labels kept, fingerprint %s, want %s", order, len(a.Labels), a.Fingerprint, Fingerprint(all))
		}
		// An empty annotation counts, and comes first by its name.
		if len(a.Annotations) != MaxPairs || got.Cut != 10+11 {
			t.Errorf("%s: %d annotations kept, %d cut", order, len(a.Annotations), got.Cut)
		}
	}
}

func TestMoreThanARequestMayHoldIsRefused(t *testing.T) {
	var alerts strings.Builder
	for range MaxAlerts + 1 {
		alerts.WriteString(`,{"labels":{"a":"b"},"status":"firing","startsAt":"2026-11-22T23:47:07Z"}`)
	}
	body := `{"version":"4","alerts":[` + alerts.String()[1:] + `]}`
	if k := kindOf(t, body); k != TooMany {
		t.Errorf("alerts: kind %v", k)
	}
	if k := kindOf(t, `{"version":"4","alerts":[],"x":`+strings.Repeat("[", 1<<20)); k != Syntax {
		t.Errorf("nesting: kind %v", k)
	}
}

func TestUnknownFieldsAreNotKept(t *testing.T) {
	body := []byte(`{"version":"4","alerts":[],"x":[` + strings.Repeat("1,", 2<<20) + `1]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := DecodeWebhook(body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 64<<10 {
		t.Errorf("%d bytes allocated for fields nobody reads", grew)
	}
}

func TestErrorsNameTheFieldAndTheByte(t *testing.T) {
	for body, want := range map[string]string{
		`hello`:                         "'h' where an object should be (at byte 0)",
		`[]`:                            "must be an object (at byte 0)",
		`{"alerts":[]}`:                 `version: missing, want "4": is the sender an Alertmanager webhook? (at byte 13)`,
		`{"version":"3","alerts":[]}`:   `version: "3", want "4" (at byte 11)`,
		`{"version":4}`:                 `version: must be a string (at byte 11)`,
		`{"version":"4"}`:               "alerts: missing (at byte 15)",
		`{"version":"4","alerts":{}}`:   "alerts: must be an array (at byte 24)",
		`{"version":"4","alerts":[{}]}`: "alerts[0].labels: at least one label is needed (at byte 25)",
		oneAlert(`"labels":{"a":"b"},"status":"red"`):  `alerts[0].status: "red", want "firing" or "resolved" (at byte 118)`,
		oneAlert(`"labels":{"a":"b"},"startsAt":null`): "alerts[0].startsAt: missing, want a time as in 2006-01-02T15:04:05Z (at byte 25)",
		oneAlert(`"labels":{"a":"b"},"endsAt":"soon"`): "alerts[0].endsAt: not a time: want one as in 2006-01-02T15:04:05Z (at byte 118)",
		oneAlert(`"labels":{"a\u0062":7}`):             `alerts[0].labels."ab": must be a string (at byte 110)`,
		oneAlert(`"labels":{"":"x"}`):                  `alerts[0].labels: a label without a name (at byte 99)`,
	} {
		_, err := DecodeWebhook([]byte(body))
		if err == nil || !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if err.Error() != want {
			t.Errorf("%s:\n got %s\nwant %s", body, err, want)
		}
	}
}

func TestAnAlertKeepsNoBodyAlive(t *testing.T) {
	body := webhookOf(100)
	got, err := DecodeWebhook(body)
	if err != nil {
		t.Fatal(err)
	}
	kept := slices.Collect(maps.Values(got.Alerts[7].Labels))
	clear(body)
	if slices.ContainsFunc(kept, func(v string) bool { return strings.ContainsRune(v, 0) }) {
		t.Error("a label changed with the body")
	}
}

// webhookOf is a body as Alertmanager writes it: eight labels and four
// annotations an alert, about 700 bytes.
func webhookOf(alerts int) []byte {
	type wireAlert struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		StartsAt     string            `json:"startsAt"`
		EndsAt       string            `json:"endsAt"`
		GeneratorURL string            `json:"generatorURL"`
		Fingerprint  string            `json:"fingerprint"`
	}
	list := make([]wireAlert, alerts)
	for i := range list {
		labels := map[string]string{
			"alertname": "HighErrorRate", "severity": "critical", "team": "web", "cluster": "prod-eu-1",
			"instance": fmt.Sprintf("web-%04d.example.net:9100", i), "job": "node", "service": "checkout", "environment": "production",
		}
		list[i] = wireAlert{
			"firing", labels,
			map[string]string{
				"summary": "5xx rate above 5 % on checkout", "description": "The error rate of checkout has been above 5 % for two minutes.",
				"runbook_url": "https://runbooks.example.net/checkout", "dashboard": "https://grafana.example.net/d/abc?var=1&x=<y>",
			},
			"2026-11-22T23:47:07.755277239Z", "0001-01-01T00:00:00Z",
			"http://prometheus.example.net:9090/graph?g0.expr=rate%28errors%5B1m%5D%29+%3E+0.05&g0.tab=1", Fingerprint(labels),
		}
	}
	body, err := json.Marshal(map[string]any{
		"receiver": "backout", "status": "firing", "alerts": list, "groupLabels": map[string]string{"alertname": "HighErrorRate"},
		"commonLabels": map[string]string{"alertname": "HighErrorRate"}, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager.example.net:9093", "version": "4", "groupKey": "{}:{alertname=\"HighErrorRate\"}", "truncatedAlerts": 0,
	})
	if err != nil {
		panic(err)
	}
	return body
}

func BenchmarkDecodeWebhook(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		body := webhookOf(n)
		b.Run(fmt.Sprintf("alerts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := DecodeWebhook(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/alert")
		})
		b.Run(fmt.Sprintf("encoding-json/alerts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var into struct {
					Version         string
					TruncatedAlerts int
					Alerts          []struct {
						Status              string
						Labels, Annotations map[string]string
						StartsAt, EndsAt    string
						GeneratorURL        string
					}
				}
				if err := json.Unmarshal(body, &into); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/alert")
		})
	}
}
