package handlers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// badge is what credentials say in tests: one user, and certificates by common name.
type badge struct {
	err   error
	asked int
}

func (*badge) Any() bool { return true }

func (b *badge) Password(_ context.Context, name, password string) (bool, error) {
	b.asked++
	return name == "am-basic" && password == "right", b.err
}

func (*badge) Certificate(chain []*x509.Certificate) (string, bool) {
	name := chain[0].Subject.CommonName
	return name, name == "am-mtls"
}

func withBadge(t testing.TB, b *badge) func(*Options) {
	t.Helper()
	senders, err := NewSenders(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Senders = senders }
}

func basic(r *http.Request, name, password string) *http.Request {
	r.SetBasicAuth(name, password)
	return r
}

func showing(r *http.Request, commonName string) *http.Request {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: commonName}}}}
	return r
}

func TestPasswordsAndCertificatesNameTheSender(t *testing.T) {
	f := &fake{}
	b := &badge{}
	h := handlerFor(t, f, withTokens(t), withBadge(t, b))
	post := func() *http.Request { return request("POST", webhookPath, oneWebhook) }
	for _, r := range []*http.Request{
		basic(post(), "am-basic", "right"),
		showing(post(), "am-mtls"),
		basic(showing(post(), "am-mtls"), "am-basic", "right"),
		bearer(showing(post(), "am-mtls"), senderSecret),
		basic(post(), "whoever", senderSecret),
	} {
		if w := do(h, r); w.Code != 200 {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	var sources []string
	for _, d := range f.accepted {
		sources = append(sources, d.Source)
	}
	if fmt.Sprint(sources) != "[am-basic am-mtls am-basic am-1 am-1]" {
		t.Errorf("sources %v", sources)
	}
	if b.asked != 2 {
		t.Errorf("%d passwords were computed, want none of a token", b.asked)
	}
	for name, r := range map[string]*http.Request{
		"wrong password":                    basic(post(), "am-basic", "wrong"),
		"unknown user":                      basic(post(), "nobody", "right"),
		"wrong password with a certificate": basic(showing(post(), "am-mtls"), "am-basic", "wrong"),
		"wrong token with a certificate":    bearer(showing(post(), "am-mtls"), "stranger-secret-0123456789"),
		"another scheme with a certificate": func() *http.Request {
			r := showing(post(), "am-mtls")
			r.Header.Set("Authorization", "Digest x")
			return r
		}(),
		"another certificate": showing(post(), "web-1"),
		"nothing":             post(),
		"an API token":        bearer(post(), aliceSecret),
		"in the address":      request("POST", webhookPath+"?user=am-basic&password=right", oneWebhook),
	} {
		if w := do(h, r); w.Code != 401 {
			t.Errorf("%s: answered %d", name, w.Code)
		}
	}
	foreign := showing(post(), "am-mtls")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := do(h, foreign); w.Code != 403 {
		t.Errorf("a browser shows its certificate for another site's page: answered %d", w.Code)
	}
	if len(f.accepted) != 5 {
		t.Error("a refused request was taken")
	}
}

// TestPasswordsAndCertificatesReachAlertsOnly: with and without tokens, the API is
// closed to senders.
func TestPasswordsAndCertificatesReachAlertsOnly(t *testing.T) {
	for _, rt := range handlerFor(t, &fake{}).Routes() {
		path := strings.NewReplacer("{id}", "CHG1", "{attempt}", "a1", "{$}", "").Replace(rt.Path)
		for _, tokens := range []bool{false, true} {
			for who, r := range map[string]*http.Request{
				"password":    basic(request(rt.Method, path, "{}"), "am-basic", "right"),
				"certificate": showing(request(rt.Method, path, "{}"), "am-mtls"),
				"nothing":     request(rt.Method, path, "{}"),
			} {
				f := &fake{}
				options := []func(*Options){withBadge(t, &badge{})}
				if tokens {
					options = append(options, withTokens(t))
				}
				allowed := rt.Needs == "nothing" || who != "nothing" && (rt.Needs == "an intake token" || rt.Needs == "any token")
				if w := do(handlerFor(t, f, options...), r); allowed == (w.Code == 401) || !allowed && len(f.heard())+len(f.accepted) > 0 {
					t.Errorf("%s %s by %s, tokens %v: answered %d, did %v", rt.Method, path, who, tokens, w.Code, f.heard())
				}
			}
		}
	}
}

func TestTooManyPasswordsWaitIs503(t *testing.T) {
	h := handlerFor(t, &fake{}, withBadge(t, &badge{err: backout.ErrUnavailable}))
	w := do(h, basic(request("POST", webhookPath, oneWebhook), "am-basic", "right"))
	wantError(t, w, 503, "overloaded", "passwords")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
