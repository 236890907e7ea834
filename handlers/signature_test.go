package handlers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier/webhook"
)

const (
	grafanaSecret = "grafana-secret-0123456789"
	grafana2      = "grafana-two-secret-0123456"
	scriptSecret  = "script-secret-0123456789"
)

func withSigners(t testing.TB) func(*Options) {
	t.Helper()
	senders, err := NewSenders(nil, []Signer{
		{Name: "grafana", Scheme: SchemeGrafana, Secret: backout.SecretValue(grafanaSecret)},
		{Name: "grafana-2", Scheme: SchemeGrafana, Secret: backout.SecretValue(grafana2), TimestampHeader: "x-time"},
		{Name: "script", Scheme: SchemeBackout, Secret: backout.SecretValue(scriptSecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Senders = senders }
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// asGrafana signs as Grafana does.
func asGrafana(r *http.Request, secret, body string, at time.Time) *http.Request {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d:%s", at.Unix(), body)
	r.Header.Set("X-Grafana-Alerting-Signature", hex.EncodeToString(mac.Sum(nil)))
	r.Header.Set("X-Grafana-Alerting-Signature-Timestamp", seconds(at))
	return r
}

// asScript signs as this server's own webhooks are.
func asScript(r *http.Request, secret, body string, at time.Time) *http.Request {
	r.Header.Set("X-Backout-Timestamp", seconds(at))
	r.Header.Set("X-Backout-Signature", webhook.Sign(backout.SecretValue(secret), seconds(at), []byte(body)))
	return r
}

func TestASignatureNamesTheSender(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f, withTokens(t), withSigners(t))
	now := time.Now()
	other := asGrafana(request("POST", webhookPath, oneWebhook), grafana2, oneWebhook, now)
	other.Header.Set("X-Time", other.Header.Get("X-Grafana-Alerting-Signature-Timestamp"))
	other.Header.Del("X-Grafana-Alerting-Signature-Timestamp")
	for _, r := range []*http.Request{
		asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now),
		asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now.Add(-4*time.Minute)),
		asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now.Add(4*time.Minute)),
		other,
		asScript(request("POST", v2Path, oneV2), scriptSecret, oneV2, now),
		bearer(request("POST", v2Path, oneV2), senderSecret),
	} {
		if w := do(h, r); w.Code != 200 {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	var sources []string
	ids := map[string]bool{}
	for _, d := range f.accepted {
		sources = append(sources, d.Source)
		ids[d.Signature] = true
	}
	if fmt.Sprint(sources) != "[grafana grafana grafana grafana-2 script am-1]" || len(ids) != 6 || !ids[""] {
		t.Errorf("sources %v, %d different signatures", sources, len(ids))
	}
}

// TestRefusedSignatures: each refusal is told with its own reason, logged as a warning
// and counted, and nothing of the request is taken.
func TestRefusedSignatures(t *testing.T) {
	now := time.Now()
	good := func() *http.Request {
		return asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now)
	}
	const signature, stamp = "X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Signature-Timestamp"
	set := func(key, value string) *http.Request {
		r := good()
		r.Header.Set(key, value)
		return r
	}
	twice, noTime, twoTimes, both, token, cross := good(), good(), good(), good(), good(), good()
	twice.Header.Add(signature, "00")
	noTime.Header.Del(stamp)
	twoTimes.Header.Add(stamp, seconds(now))
	asScript(both, scriptSecret, oneWebhook, now)
	bearer(token, senderSecret).Header.Set(signature, "00")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	for name, tc := range map[string]struct {
		r    *http.Request
		code int
		want string
	}{
		"forged":                {asGrafana(request("POST", webhookPath, oneWebhook), "another-secret-0123456789", oneWebhook, now), 401, "wrong_signature"},
		"body changed":          {asGrafana(request("POST", webhookPath, oneWebhook+" "), grafanaSecret, oneWebhook, now), 401, "wrong_signature"},
		"time changed":          {set(stamp, seconds(now.Add(time.Second))), 401, "wrong_signature"},
		"empty":                 {set(signature, ""), 401, "wrong_signature"},
		"upper case":            {set(signature, strings.ToUpper(good().Header.Get(signature))), 401, "wrong_signature"},
		"the other's secret":    {asGrafana(request("POST", webhookPath, oneWebhook), grafana2, oneWebhook, now), 401, "wrong_signature"},
		"the other scheme":      {asScript(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now), 401, "wrong_signature"},
		"two":                   {twice, 401, "wrong_signature"},
		"two schemes":           {both, 401, "wrong_signature"},
		"beside a token":        {token, 401, "wrong_signature"},
		"the body's alone":      {set(signature, bodyOnly(oneWebhook)), 401, "wrong_signature"},
		"no time":               {noTime, 401, "missing_timestamp"},
		"no time, body's alone": {func() *http.Request { noTime.Header.Set(signature, bodyOnly(oneWebhook)); return noTime }(), 401, "missing_timestamp"},
		"two times":             {twoTimes, 401, "missing_timestamp"},
		"empty time":            {set(stamp, ""), 401, "missing_timestamp"},
		"time in words":         {set(stamp, "now"), 401, "missing_timestamp"},
		"signed time":           {set(stamp, "+"+seconds(now)), 401, "missing_timestamp"},
		"milliseconds":          {set(stamp, seconds(now)+"000"), 401, "missing_timestamp"},
		"expired":               {asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now.Add(-SignatureWindow-2*time.Second)), 401, "expired_signature"},
		"from the future":       {asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, now.Add(SignatureWindow+time.Minute)), 401, "expired_signature"},
		"another site's page":   {cross, 403, "forbidden"},
		"in the address":        {request("POST", webhookPath+"?"+signature+"="+good().Header.Get(signature)+"&"+stamp+"="+seconds(now), oneWebhook), 401, "unauthenticated"},
	} {
		var log strings.Builder
		f := &fake{}
		h := handlerFor(t, f, withTokens(t), withSigners(t), withLog(&log))
		before := number(t, h, "backout_intake_rejected_total", tc.want)
		w := do(h, tc.r)
		wantError(t, w, tc.code, tc.want, "")
		if len(f.accepted) > 0 {
			t.Errorf("%s: taken", name)
		}
		if number(t, h, "backout_intake_rejected_total", tc.want) != before+1 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "reason="+tc.want) {
			t.Errorf("%s: not counted, or not logged: %s", name, log.String())
		}
		if h.intake.bytes.Load() != 0 || h.unproven.bytes.Load() != 0 || h.intake.count.Load() != 0 {
			t.Errorf("%s: room was not given back", name)
		}
		if strings.Contains(log.String()+w.Body.String(), grafanaSecret) {
			t.Errorf("%s: the secret can be read", name)
		}
	}
}

func bodyOnly(body string) string {
	mac := hmac.New(sha256.New, []byte(grafanaSecret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestAReplayIsA409: the storage knows what was taken, on any server.
func TestAReplayIsA409(t *testing.T) {
	var log strings.Builder
	f := &fake{onAccept: func(_ context.Context, d Delivery) error {
		if d.Signature == "" {
			return errors.New("no signature to tell it by")
		}
		return fmt.Errorf("%w: taken before", backout.ErrExists)
	}}
	h := handlerFor(t, f, withSigners(t), withLog(&log))
	w := do(h, asGrafana(request("POST", webhookPath, oneWebhook), grafanaSecret, oneWebhook, time.Now()))
	wantError(t, w, 409, "replayed", "taken before")
	if number(t, h, "backout_intake_rejected_total", "replayed") != 1 || !strings.Contains(log.String(), "source=grafana reason=replayed") {
		t.Errorf("not counted, or not logged: %s", log.String())
	}
}

// TestSignersReachAlertsOnly: a signature opens no other route.
func TestSignersReachAlertsOnly(t *testing.T) {
	for _, rt := range handlerFor(t, &fake{}).Routes() {
		path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path)
		for _, body := range []string{"", "{}", oneV2} {
			for _, signed := range []*http.Request{
				asGrafana(request(rt.Method, path, body), grafanaSecret, body, time.Now()),
				asScript(request(rt.Method, path, body), scriptSecret, body, time.Now()),
				asScript(request(rt.Method, path, body), "forged-secret-0123456789", body, time.Now()),
			} {
				f := &fake{}
				w := do(handlerFor(t, f, withTokens(t), withSigners(t)), signed)
				if rt.Needs != "nothing" && rt.Needs != "an intake token" && w.Code != 401 || rt.Needs != "an intake token" && len(f.heard()) > 0 {
					t.Errorf("%s %s: answered %d, did %v", rt.Method, path, w.Code, f.heard())
				}
			}
		}
		if rt.Needs != "an intake token" {
			continue
		}
		f := &fake{}
		h := handlerFor(t, f, withTokens(t), withSigners(t))
		if w := do(h, asScript(request(rt.Method, path, oneV2), "forged-secret-0123456789", oneV2, time.Now())); w.Code != 401 || len(f.accepted) > 0 {
			t.Errorf("%s %s takes a forged signature: %d", rt.Method, path, w.Code)
		}
	}
}

// TestUnprovenBodiesHaveTheirOwnRoom: who knows no secret fills a part of the room
// for bodies only, so that those who have a token still get in.
func TestUnprovenBodiesHaveTheirOwnRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := handlerFor(t, f, withTokens(t), withSigners(t), func(o *Options) { o.Limits.MaxBody, o.Limits.MaxPending = 1<<10, 4<<10 })
		waiting := make(chan struct{})
		for range 8 {
			r := asScript(request("POST", webhookPath, "x"), "forged-secret-0123456789", "", time.Now())
			r.Body, r.ContentLength = &stalled{data: []byte(strings.Repeat("x", 1000)), wait: waiting}, 1010
			go do(h, r)
		}
		synctest.Wait()
		if h.unproven.bytes.Load() == 0 {
			t.Fatal("no body waits")
		}
		if w := do(h, bearer(request("POST", webhookPath, oneWebhook), senderSecret)); w.Code != 200 {
			t.Errorf("a sender with a token was answered %d", w.Code)
		}
		close(waiting)
		synctest.Wait()
		if h.unproven.bytes.Load() != 0 || h.intake.bytes.Load() != 0 {
			t.Errorf("%d and %d bytes were not given back", h.unproven.bytes.Load(), h.intake.bytes.Load())
		}
	})
}

// stalled is a body whose end waits.
type stalled struct {
	data []byte
	wait chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		<-s.wait
		return 0, errors.New("gone")
	}
	n := copy(p, s.data)
	s.data = s.data[n:]
	return n, nil
}

func (*stalled) Close() error { return nil }

func TestSignersThatProtectNothing(t *testing.T) {
	good := Signer{Name: "a", Scheme: SchemeGrafana, Secret: backout.SecretValue(grafanaSecret)}
	for name, list := range map[string][]Signer{
		"no name":      {{Scheme: SchemeGrafana, Secret: good.Secret}},
		"no scheme":    {{Name: "a", Secret: good.Secret}},
		"no such":      {{Name: "a", Scheme: "md5", Secret: good.Secret}},
		"no secret":    {{Name: "a", Scheme: SchemeGrafana}},
		"short secret": {{Name: "a", Scheme: SchemeGrafana, Secret: backout.SecretValue("short")}},
		"one name":     {good, {Name: "a", Scheme: SchemeGrafana, Secret: backout.SecretValue(grafana2)}},
		"one secret":   {good, {Name: "b", Scheme: SchemeBackout, Secret: good.Secret}},
	} {
		senders, err := NewSenders(nil, []Signer{good})
		if err != nil {
			t.Fatal(err)
		}
		if err := senders.SetSigners(list); !errors.Is(err, backout.ErrInvalid) || strings.Contains(err.Error(), grafanaSecret) {
			t.Errorf("%s: %v", name, err)
		}
		if senders.Empty() {
			t.Errorf("%s: the old signers are gone", name)
		}
	}
}
