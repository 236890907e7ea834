package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate makes a certificate for this machine and puts it into the site's
// config.
func certificate(t testing.TB, s *site) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "backout"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, s.path("tls.crt"), string(public), 0o644)
	write(t, s.path("tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
	s.more += "tls: {cert_file: tls.crt, key_file: tls.key}\n"
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return pool
}

// TestTLS: with a certificate the server listens beyond this machine, speaks TLS
// only, and nothing older than 1.2; the command line checks the certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := plain(t)
	pool := certificate(t, s)
	s.listen = "0.0.0.0:0"
	p := s.launch()
	var url string
	eventually(t, 30*time.Second, "the server says where it listens", func() error {
		url = addressIn(p.said.String())
		return notYet(url != "")
	})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	url = "https://127.0.0.1:" + port

	ask := func(c *tls.Config) error {
		hc := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
		resp, err := hc.Get(url + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		return notYet(resp.StatusCode == http.StatusOK)
	}
	eventually(t, 20*time.Second, "the server is ready over TLS", func() error { return ask(&tls.Config{RootCAs: pool}) })
	if err := ask(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	resp, err := http.Get("http://127.0.0.1:" + port + "/readyz")
	if err == nil {
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Errorf("plain HTTP was answered: %s", body)
		}
	}
	env := []string{"BACKOUT_SERVER=" + url, "BACKOUT_TOKEN=" + annToken}
	if code, _, said := run(t, env, "change", "list"); code != 1 || !strings.Contains(said, "certificate") {
		t.Errorf("an unknown certificate: exit code %d, %s", code, said)
	}
	if code, _, said := run(t, append(env, "SSL_CERT_FILE="+s.path("tls.crt")), "change", "list"); code != 0 {
		t.Errorf("a known certificate: exit code %d, %s", code, said)
	}
}
