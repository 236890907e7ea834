package alertwire

import (
	"testing"
	"time"
)

// grafanaBody has every field that Grafana's documentation shows of a webhook.
const grafanaBody = `{"receiver":"backout","status":"firing","orgId":1,"alerts":[
{"status":"firing","labels":{"alertname":"ShopDown","grafana_folder":"shop","instance":"web-1:80"},"annotations":{"summary":"the shop is down"},
"startsAt":"2026-10-12T09:51:03.157076+02:00","endsAt":"0001-01-01T00:00:00Z","values":{"B":44.23943737541908,"C":1},"valueString":"[ var='B' ]",
"generatorURL":"https://grafana.example.org/alerting/1afz29v7z/edit","fingerprint":"c6eadffa33fcdf37","silenceURL":"https://grafana.example.org/alerting/silence/new",
"dashboardURL":"","panelURL":"","imageURL":"","orgId":1},
{"status":"resolved","labels":{"alertname":"ShopSlow","instance":"web-1:80"},"annotations":{},"startsAt":"2026-10-12T09:56:03+02:00","endsAt":"2026-10-12T09:59:03+02:00","values":null}],
"groupLabels":{},"commonLabels":{"instance":"web-1:80"},"commonAnnotations":{},"externalURL":"https://grafana.example.org/","version":"1","groupKey":"{}:{}",
"truncatedAlerts":2,"title":"[FIRING:1] (web-1)","state":"alerting","message":"**Firing**","appVersion":"12.3.0"}`

func TestGrafanasWebhookIsRead(t *testing.T) {
	hook, err := DecodeWebhook([]byte(grafanaBody))
	if err != nil {
		t.Fatal(err)
	}
	if len(hook.Alerts) != 2 || hook.Truncated != 2 {
		t.Fatalf("%+v", hook)
	}
	down, slow := hook.Alerts[0], hook.Alerts[1]
	if !down.Firing || down.Name() != "ShopDown" || down.Labels["instance"] != "web-1:80" || !down.StartsAt.Equal(time.Date(2026, 10, 12, 7, 51, 3, 157076000, time.UTC)) {
		t.Errorf("%+v", down)
	}
	if down.Fingerprint == "c6eadffa33fcdf37" {
		t.Error("the sender's fingerprint is believed")
	}
	if slow.Firing || slow.EndsAt.IsZero() {
		t.Errorf("%+v", slow)
	}
}
