package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// ca signs certificates for servers and senders of a test.
type ca struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t testing.TB) *ca {
	t.Helper()
	c := &ca{t: t, dir: t.TempDir()}
	c.cert, c.key = c.sign("ca", x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature})
	return c
}

// sign writes NAME.crt and NAME.key.
func (c *ca) sign(name string, template x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	must := func(err error) {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	parent, signer := &template, key
	if c.cert != nil {
		parent, signer = c.cert, c.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write(c.t, c.path(name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(c.t, c.path(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return cert, key
}

func (c *ca) path(name string) string { return filepath.Join(c.dir, name) }

// client is one that shows the certificate of this name, or none.
func (c *ca) client(name string) *http.Client {
	c.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	cfg := &tls.Config{RootCAs: pool}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(c.path(name+".crt"), c.path(name+".key"))
		if err != nil {
			c.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

const amPassword = "basic-password-0123456789"

// webConfig gives the site a web config file with these users, and returns it.
func (c *ca) webConfig(s *site, users string) {
	c.t.Helper()
	write(c.t, s.path("web.yml"), fmt.Sprintf(`tls_server_config:
  cert_file: %[1]s/server.crt
  key_file: %[1]s/server.key
  client_auth_type: VerifyClientCertIfGiven
  client_ca_file: %[1]s/ca.crt
  client_allowed_sans: [am-1.example.org, prom-1.example.org]
basic_auth_users:
%[2]s`, c.dir, users), 0o600)
}

func basicUser(t testing.TB, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 10)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("  %s: %s\n", name, hash)
}

// secured runs a server beyond this machine with a web config file, and returns its
// address.
func secured(t testing.TB, s *site, c *ca) (*process, string) {
	t.Helper()
	c.sign("server", x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	c.sign("am-1", x509.Certificate{DNSNames: []string{"am-1.example.org"}})
	c.sign("prom-1", x509.Certificate{DNSNames: []string{"prom-1.example.org"}})
	c.sign("web-1", x509.Certificate{DNSNames: []string{"web-1.example.org"}})
	c.webConfig(s, basicUser(t, "am-basic", amPassword)+basicUser(t, "other", "another-password-012345"))
	s.listen, s.more = "0.0.0.0:0", s.more+"web_config: web.yml\n"
	p := s.launch()
	var url string
	eventually(t, 30*time.Second, "the server is ready over TLS", func() error {
		url = addressIn(p.said.String())
		if url == "" {
			return errNotYet
		}
		_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
		if err != nil {
			return err
		}
		url = "https://127.0.0.1:" + port
		resp, err := c.client("").Get(url + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		return notYet(resp.StatusCode == http.StatusOK)
	})
	return p, url
}

// took tells how many firing alerts came from a sender.
func took(t testing.TB, c *ca, url, sender string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+intakeToken)
	resp, err := c.client("").Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return notYet(strings.Contains(string(body), fmt.Sprintf("backout_intake_alerts_total{source=%q,status=\"firing\"}", sender)))
}

// TestRealSendersOverTLS: a real Alertmanager sends over mTLS and with a password, a
// real Prometheus over mTLS; the log knows each by its name. A certificate of another
// name is not let in, a wrong password is refused, and none of them reaches the API.
func TestRealSendersOverTLS(t *testing.T) {
	t.Parallel()
	amProgram, promProgram := part(t, "prometheus-alertmanager", "prometheus-alertmanager"), part(t, "prometheus", "prometheus")
	s, c := plain(t), newCA(t)
	_, url := secured(t, s, c)
	dir, am, prom := t.TempDir(), freePort(t), freePort(t)
	write(t, filepath.Join(dir, "am.yml"), fmt.Sprintf(`route: {receiver: backout, group_wait: 100ms, group_interval: 1s}
receivers:
  - name: backout
    webhook_configs:
      - url: %[1]s/api/v1/alertmanager
        http_config:
          tls_config: {ca_file: %[2]s/ca.crt, cert_file: %[2]s/am-1.crt, key_file: %[2]s/am-1.key}
      - url: %[1]s/api/v1/alertmanager
        http_config:
          basic_auth: {username: am-basic, password: %[3]s}
          tls_config: {ca_file: %[2]s/ca.crt}
      - url: %[1]s/api/v1/alertmanager
        http_config:
          basic_auth: {username: am-wrong, password: %[3]s}
          tls_config: {ca_file: %[2]s/ca.crt}
      - url: %[1]s/api/v1/alertmanager
        http_config:
          tls_config: {ca_file: %[2]s/ca.crt, cert_file: %[2]s/web-1.crt, key_file: %[2]s/web-1.key}
`, url, c.dir, amPassword), 0o600)
	start(t, exec.Command(amProgram, "--config.file="+filepath.Join(dir, "am.yml"), "--storage.path="+filepath.Join(dir, "am"),
		"--web.listen-address="+am, "--cluster.listen-address="))
	write(t, filepath.Join(dir, "rules.yml"), "groups: [{name: g, interval: 200ms, rules: [{alert: Always, expr: vector(1), labels: {instance: web-1}}]}]\n", 0o644)
	write(t, filepath.Join(dir, "prom.yml"), fmt.Sprintf(`global: {evaluation_interval: 200ms}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - {api_version: v2, static_configs: [{targets: [%[1]q]}]}
    - api_version: v2
      scheme: https
      tls_config: {ca_file: %[2]s/ca.crt, cert_file: %[2]s/prom-1.crt, key_file: %[2]s/prom-1.key}
      static_configs: [{targets: [%[3]q]}]
`, am, c.dir, strings.TrimPrefix(url, "https://")), 0o600)
	eventually(t, 30*time.Second, "Alertmanager is ready", func() error { return get("http://"+am+"/-/ready", http.StatusOK) })
	start(t, exec.Command(promProgram, "--config.file="+filepath.Join(dir, "prom.yml"), "--storage.tsdb.path="+filepath.Join(dir, "prom"),
		"--web.listen-address="+prom, "--rules.alert.resend-delay=1s"))
	for _, sender := range []string{"am-1.example.org", "am-basic", "prom-1.example.org"} {
		eventually(t, 60*time.Second, "alerts of "+sender+" come", func() error { return took(t, c, url, sender) })
	}
	for _, sender := range []string{"am-wrong", "web-1.example.org"} {
		if took(t, c, url, sender) == nil {
			t.Errorf("%s was let in", sender)
		}
	}
	if _, err := c.client("web-1").Get(url + "/readyz"); err == nil {
		t.Error("a certificate of a name that is not allowed was let in")
	}
}

// status asks over TLS, and returns the answer's status.
func (c *ca) status(certificate, method, url, body string, prepare func(*http.Request)) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if prepare != nil {
		prepare(req)
	}
	resp, err := c.client(certificate).Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestWebConfigBites: every key of the file that guards something is tried from
// outside, and a user that is taken out is out within seconds, without a restart.
func TestWebConfigBites(t *testing.T) {
	t.Parallel()
	s, c := plain(t), newCA(t)
	p, url := secured(t, s, c)
	intake, api := url+"/api/v2/alerts", url+"/api/v1/changes"
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	ann := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+annToken) }
	for name, tc := range map[string]struct {
		certificate string
		prepare     func(*http.Request)
		intake, api int
	}{
		"nothing":                      {"", nil, 401, 401},
		"password":                     {"", basic("am-basic", amPassword), 200, 401},
		"wrong password":               {"", basic("am-basic", "wrong"), 401, 401},
		"unknown user":                 {"", basic("nobody", amPassword), 401, 401},
		"certificate":                  {"am-1", nil, 200, 401},
		"certificate and a wrong word": {"am-1", basic("am-basic", "wrong"), 401, 401},
		"certificate and an API token": {"am-1", ann, 401, 200},
	} {
		if got := c.status(tc.certificate, http.MethodPost, intake, "[]", tc.prepare); got != tc.intake {
			t.Errorf("%s: alerts answered %d, want %d", name, got, tc.intake)
		}
		if got := c.status(tc.certificate, http.MethodGet, api, "", tc.prepare); got != tc.api {
			t.Errorf("%s: the API answered %d, want %d", name, got, tc.api)
		}
	}
	c.webConfig(s, basicUser(t, "other", "another-password-012345"))
	eventually(t, 20*time.Second, "the user is out", func() error {
		return notYet(c.status("", http.MethodPost, intake, "[]", basic("am-basic", amPassword)) == 401)
	})
	write(t, s.path("web.yml"), "basic_auth_users: {am-basic: hunter2}\n", 0o600)
	eventually(t, 20*time.Second, "a wrong file is told", func() error {
		_ = c.status("", http.MethodPost, intake, "[]", basic("other", "another-password-012345"))
		return notYet(strings.Contains(p.said.String(), "web.yml:1:"))
	})
	if got := c.status("", http.MethodPost, intake, "[]", basic("other", "another-password-012345")); got != 200 {
		t.Errorf("after a wrong file the old one does not count: %d", got)
	}
	if strings.Contains(p.said.String(), "hunter2") || strings.Contains(p.said.String(), amPassword) {
		t.Error("the log shows a password")
	}
	code, said, _ := run(t, nil, "check", "--config", s.path("backout.yaml"))
	if code == 0 || !strings.Contains(said, "web.yml:1:") || strings.Contains(said, "hunter2") {
		t.Errorf("backout check: exit code %d\n%s", code, said)
	}
}

// grafana sends the alert as Grafana does, signed at a time, and returns the answer.
func grafana(t testing.TB, url, secret string, body []byte, at time.Time) (int, string) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d:%s", at.Unix(), body)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/alertmanager", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Grafana-Alerting-Signature", hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Grafana-Alerting-Signature-Timestamp", fmt.Sprint(at.Unix()))
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(said)
}

// TestASignedRequestIsTakenOnce: forged, expired and replayed requests are refused, the
// last after a kill of the server too.
func TestASignedRequestIsTakenOnce(t *testing.T) {
	t.Parallel()
	const secret = "grafana-secret-0123456789"
	s := plain(t)
	write(t, s.path("secrets/grafana"), secret, 0o600)
	s.intake = "  senders: [{name: grafana, hmac: {scheme: grafana, secret: {file: secrets/grafana}}}]\n"
	srv := s.serve()
	body := bytes.Replace(shopDown("web-1").webhook(t), []byte(`"version":"4"`), []byte(`"version":"1","orgId":1`), 1)
	now := time.Now()
	for name, tc := range map[string]struct {
		secret string
		at     time.Time
		want   string
	}{
		"forged": {"another-secret-0123456789", now, "wrong_signature"}, "expired": {secret, now.Add(-6 * time.Minute), "expired_signature"},
	} {
		if code, said := grafana(t, srv.url, tc.secret, body, tc.at); code != 401 || !strings.Contains(said, tc.want) {
			t.Errorf("%s: answered %d %s", name, code, said)
		}
	}
	if code, said := grafana(t, srv.url, secret, body, now); code != 200 {
		t.Fatalf("answered %d %s", code, said)
	}
	replayed := func(when string) {
		t.Helper()
		if code, said := grafana(t, srv.url, secret, body, now); code != 409 || !strings.Contains(said, "replayed") {
			t.Errorf("%s: answered %d %s", when, code, said)
		}
	}
	replayed("replayed")
	srv.kill()
	srv = s.serve()
	replayed("replayed after a kill")
	if code, said := grafana(t, srv.url, secret, body, now.Add(time.Second)); code != 200 {
		t.Errorf("a new request: answered %d %s", code, said)
	}
}

// TestSendersKeysBite: scheme, header, timestamp_header and secret of a sender are
// those that its requests must have, and a reload changes them.
func TestSendersKeysBite(t *testing.T) {
	t.Parallel()
	const old, renewed = "script-secret-0123456789", "renewed-secret-0123456789"
	s := plain(t)
	write(t, s.path("secrets/script"), old, 0o600)
	s.intake = "  senders: [{name: script, hmac: {scheme: backout, secret: {file: secrets/script}, header: X-Sig, timestamp_header: X-Time}}]\n"
	srv := s.serve()
	send := func(secret, prefix, between, header, timeHeader string) int {
		t.Helper()
		now := fmt.Sprint(time.Now().Unix())
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(now + between + "[]"))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.url+"/api/v2/alerts", strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(header, prefix+hex.EncodeToString(mac.Sum(nil)))
		req.Header.Set(timeHeader, now)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	try := func(when, good string) {
		t.Helper()
		for name, tc := range map[string]struct{ got, want int }{
			"as configured":  {send(good, "sha256=", ".", "X-Sig", "X-Time"), 200},
			"another secret": {send("another-secret-0123456789", "sha256=", ".", "X-Sig", "X-Time"), 401},
			"another scheme": {send(good, "", ":", "X-Sig", "X-Time"), 401},
			"another header": {send(good, "sha256=", ".", "X-Backout-Signature", "X-Time"), 401},
			"another time":   {send(good, "sha256=", ".", "X-Sig", "X-Backout-Timestamp"), 401},
		} {
			if tc.got != tc.want {
				t.Errorf("%s, %s: answered %d, want %d", when, name, tc.got, tc.want)
			}
		}
	}
	try("at first", old)
	write(t, s.path("secrets/script"), renewed, 0o600)
	if err := srv.client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	try("after a reload", renewed)
	if got := send(old, "sha256=", ".", "X-Sig", "X-Time"); got != 401 {
		t.Errorf("the old secret after a reload: answered %d", got)
	}
}
