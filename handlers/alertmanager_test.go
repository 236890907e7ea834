package handlers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestPostAlertsAnswersAsAlertmanager holds status and body to what Alertmanager
// 0.25 answered to the same bodies; single alerts' texts are those of 0.34.
func TestPostAlertsAnswersAsAlertmanager(t *testing.T) {
	for _, tc := range []struct {
		body   string
		status int
		answer string
		taken  int
	}{
		{`[]`, 200, ``, 0},
		{`null`, 200, ``, 0},
		{oneV2, 200, ``, 1},
		{`[{"labels":{"alertname":"a"},"extra":5,"generatorURL":null,"startsAt":null,"annotations":null}]`, 200, ``, 1},
		{`[{"labels":{"alertname":"a"},"endsAt":"2020-01-01T00:00:00Z"}]`, 200, ``, 1},
		{`{}`, 400, `{"code":400,`, 0},
		{`[{"labels":{"alertname":"a"}`, 400, `{"code":400,`, 0},
		{`[{"labels":{"a":1}}]`, 400, `{"code":400,`, 0},
		{`[{"labels":{"alertname":"a"},"startsAt":"x"}]`, 400, `{"code":400,`, 0},
		{``, 422, `{"code":602,`, 0},
		{`[{}]`, 422, `{"code":602,`, 0},
		{`[{"labels":null}]`, 422, `{"code":602,`, 0},
		{`[{"labels":{}}]`, 400, `"at least one label pair required"`, 0},
		{`[{"labels":{"a":""}}]`, 400, `"at least one label pair required"`, 0},
		{`[{"labels":{"":"c"}}]`, 400, `"invalid label set: invalid name \"\""`, 0},
		{`[{"labels":{"alertname":"a"},"annotations":{"":"y"}}]`, 400, `"invalid annotations: invalid name \"\""`, 0},
		{`[{"labels":{"alertname":"a"},"startsAt":"2020-01-02T00:00:00Z","endsAt":"2020-01-01T00:00:00Z"}]`, 400, `"start time must be before end time"`, 0},
		{`[{"labels":{"alertname":"a"}},{"labels":{}},{"labels":{"":"c"}}]`, 400, `"at least one label pair required\ninvalid label set: invalid name \"\""`, 1},
	} {
		f := &fake{}
		w := do(handlerFor(t, f), post(v2Path, tc.body))
		got := strings.TrimSpace(w.Body.String())
		same := got == tc.answer || strings.HasPrefix(tc.answer, "{") && strings.HasPrefix(got, tc.answer) && strings.Contains(got, `"message":"`)
		if w.Code != tc.status || !same {
			t.Errorf("%s: answered %d %s, want %d %s", tc.body, w.Code, got, tc.status, tc.answer)
		}
		taken := 0
		for _, d := range f.accepted {
			taken += len(d.Alerts)
			if d.Kind != "v2" {
				t.Errorf("kind %q", d.Kind)
			}
		}
		if taken != tc.taken {
			t.Errorf("%s: %d alerts taken, want %d", tc.body, taken, tc.taken)
		}
	}
}

func TestPostAlertsOtherNoes(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t), func(o *Options) { o.Limits.MaxBody = 64 })
	r := bearer(request("POST", v2Path, oneV2), senderSecret)
	r.Header.Set("Content-Type", "text/plain")
	for want, w := range map[int]string{
		415: do(h, r).Body.String(),
		401: do(h, request("POST", v2Path, oneV2)).Body.String(),
		413: do(h, bearer(request("POST", v2Path, "["+strings.Repeat(" ", 64)+"]"), senderSecret)).Body.String(),
	} {
		var body struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal([]byte(w), &body); err != nil || body.Code != want || body.Message == "" {
			t.Errorf("answer %s, want code %d", w, want)
		}
	}
}

func TestPostAlertsCountsFromNow(t *testing.T) {
	f := &fake{}
	before := time.Now()
	do(handlerFor(t, f), request("POST", v2Path, oneV2))
	a := f.accepted[0].Alerts[0]
	if a.StartsAt.Before(before.Add(-time.Second)) || a.EndsAt.Sub(a.StartsAt) != 5*time.Minute || !a.Firing {
		t.Errorf("alert %+v", a)
	}
}

func TestStatusIsReadableByAlertmanagersClients(t *testing.T) {
	w := do(handlerFor(t, &fake{}, withTokens(t)), bearer(request("GET", "/api/v2/status", ""), senderSecret))
	var s map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	for _, key := range []string{"cluster", "versionInfo", "config", "uptime"} {
		if s[key] == nil {
			t.Errorf("no %s: Alertmanager's API requires it", key)
		}
	}
}
