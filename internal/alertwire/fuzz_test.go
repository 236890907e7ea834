package alertwire

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backout-io/backout"
)

// oddities are bodies in which a hasty reader goes wrong.
var oddities = []string{
	``, ` `, `null`, `[]`, `{}`, `{`, `{"a"`, `{"a":}`, `{"a":1,}`, `[1,]`, `{"version":"4"}`, `{"version":4,"alerts":[]}`,
	`{"version":"4","alerts":null}`, `{"version":"4","alerts":[]} x`, `{"version":"4","alerts":[null]}`,
	`{"version":"4","alerts":[],"truncatedAlerts":1.0}`, `{"version":"4","alerts":[],"truncatedAlerts":-1}`,
	`{"version":"4","alerts":[],"truncatedAlerts":1e3}`, `{"version":"4","alerts":[],"truncatedAlerts":null}`,
	`{"version":"4","alerts":[],"truncatedAlerts":99999999999999999999}`, `{"version":"4","alerts":[],"x":nan}`,
	`{"version":"4","alerts":[],"x":01}`, `{"version":"4","alerts":[],"x":-}`, `{"version":"4","alerts":[],"x":1.}`,
	`{"version":"4","alerts":[],"x":1e}`, `{"version":"4","alerts":[],"x":+1}`, `{"version":"4","alerts":[],"x":tru}`,
	`{"version":"4","alerts":[],"x":"\q"}`, `{"version":"4","alerts":[],"x":"\u12"}`, "{\"version\":\"4\",\"alerts\":[],\"x\":\"\n\"}",
	`{"\u0076ersion":"\u0034","\u0061lerts":[]}`, `{"Version":"4","alerts":[]}`, `{"version":"3","version":"4","alerts":[]}`,
	oneAlert(`"labels":{"a":"b"},"labels":{"c":"d"}`), oneAlert(`"labels":{"a":"1","a":"2"}`), oneAlert(`"labels":{"a":"1","a":""}`),
	oneAlert(`"labels":{"b":"1","a":"2","b":"3"}`), oneAlert(`"labels":{"a":null}`), oneAlert(`"labels":{"":"x"}`), oneAlert(`"labels":[]`),
	oneAlert(`"labels":{"a":1}`), oneAlert(`"labels":null`), oneAlert(`"labels":{"a":"\ud83d\ude00 \ud800 \udc00 \ud800\u0041 \ud800\ud800\udc00"}`),
	oneAlert("\"labels\":{\"a\":\"\xff\xfe\xe2\x82\",\"\xc3\":\"x\"}"), oneAlert("\"labels\":{\"a\":\"\xc3\\u00a9\\\"\"}"),
	oneAlert(`"labels":{"a":"\u0026\b\f\n\r\t\/\\\""},"generatorURL":"http://x/?a\u0026b","fingerprint":{"x":[1,2,{"y":null}]}`),
	oneAlert(`"labels":{"a":"b"},"startsAt":"2026-02-30T00:00:00Z"`), oneAlert(`"labels":{"a":"b"},"startsAt":"2026-02-28T23:59:60Z"`),
	oneAlert(`"labels":{"a":"b"},"endsAt":"2026-02-28T23:59:59.123456789+02:00"`), oneAlert(`"labels":{"a":"b"},"endsAt":"2026-2-28T2:59:59Z"`),
	oneAlert(`"labels":{"a":"b"},"endsAt":""`), oneAlert(`"labels":{"a":"b"},"endsAt":"2024-02-29T00:00:00.5Z"`),
	oneAlert(`"labels":{"a":"b"},"endsAt":"2026-02-28T23:59:59.1234567891Z"`), oneAlert(`"labels":{"a":"b"},"endsAt":"0000-01-01T00:00:00Z"`),
	oneAlert(`"labels":{"a":"b"},"status":"f\u0069ring"`), oneAlert(`"labels":{"a":"b"},"annotations":{"a":"","b":null}`),
}

func oneAlert(fields string) string {
	return `{"version":"4","alerts":[{"status":"resolved","startsAt":"2026-11-22T23:47:07.755277239Z",` + fields + `}]}`
}

func compareWithOracle(t *testing.T, body []byte) {
	t.Helper()
	got, err := DecodeWebhook(body)
	if err != nil && (!errors.Is(err, backout.ErrInvalid) || err.Error() == "") {
		t.Fatalf("error %v does not say that the input is invalid", err)
	}
	want, wantErr := oracleWebhook(body)
	if beyondLimits(body, want) {
		return
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, encoding/json: %v\n%q", err, wantErr, body)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err == nil && diff != "" {
		t.Fatalf("not as encoding/json reads it (-want +got):\n%s\n%q", diff, body)
	}
}

func TestDecodeWebhookReadsAsEncodingJSON(t *testing.T) {
	for _, body := range recordings(t) {
		compareWithOracle(t, body)
	}
	for _, body := range oddities {
		compareWithOracle(t, []byte(body))
	}
}

// FuzzDecodeWebhook holds the reader to encoding/json as its oracle.
func FuzzDecodeWebhook(f *testing.F) {
	for _, body := range recordings(f) {
		f.Add(body)
	}
	for _, body := range oddities {
		f.Add([]byte(body))
	}
	f.Fuzz(compareWithOracle)
}

// FuzzDecodePostable looks for panics, and holds what is taken to what the rest
// of the program relies on.
func FuzzDecodePostable(f *testing.F) {
	f.Add([]byte(`[{"labels":{"alertname":"a"},"startsAt":"2026-11-22T23:47:07Z","endsAt":"","generatorURL":"http://x"}]`))
	f.Add([]byte(`[{"labels":{"a":""}},{"labels":{"":"b"}},{"labels":{"a":"b"},"annotations":{"":"c"}}]`))
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodePostable(body, now)
		if err != nil {
			if !errors.Is(err, backout.ErrInvalid) {
				t.Fatalf("error %v does not say that the input is invalid", err)
			}
			return
		}
		for _, a := range got.Alerts {
			if len(a.Labels) == 0 || a.Fingerprint != Fingerprint(a.Labels) && got.Cut == 0 || a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt) ||
				a.Firing != a.EndsAt.After(now) {
				t.Fatalf("unsound alert %+v", a)
			}
		}
	})
}
