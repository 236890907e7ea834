package webconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/backout-io/backout/internal/password"
)

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.pem, _ = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	return a
}

// sign makes a certificate and its key, in PEM.
func (a *authority) sign(template x509.Certificate) (cert *x509.Certificate, certPEM, keyPEM string) {
	a.t.Helper()
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	cert, _, certPEM, keyPEM = a.make(&template)
	return cert, certPEM, keyPEM
}

func (a *authority) make(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	a.t.Helper()
	must := func(err error) {
		if err != nil {
			a.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		// Virtual time begins in 2000.
		template.NotBefore, template.NotAfter = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func hash(t testing.TB, given string, cost int) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(given), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files lays out a directory with certificates beside the web config file to come.
func files(t testing.TB) (dir string, ca *authority) {
	t.Helper()
	dir, ca = t.TempDir(), newAuthority(t, "senders")
	_, cert, key := ca.sign(x509.Certificate{Subject: pkix.Name{CommonName: "backout"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	write(t, filepath.Join(dir, "server.crt"), cert)
	write(t, filepath.Join(dir, "server.key"), key)
	write(t, filepath.Join(dir, "ca.crt"), ca.pem)
	write(t, filepath.Join(dir, "empty"), "")
	return dir, ca
}

const serve = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"

// TestProblems: each mistake is told at its line, with what to do, and what
// exporter-toolkit itself refuses is never taken.
func TestProblems(t *testing.T) {
	dir, _ := files(t)
	long := hash(t, "alertmanager", bcrypt.MinCost)
	costly := "$2a$16$" + long[len("$2a$04$"):]
	for name, tc := range map[string]struct {
		text string
		// want is the line and a part of what is said.
		line int
		want string
	}{
		"unknown key":      {"tls_server_conf: {}\n", 1, `did you mean "tls_server_config"?`},
		"no certificate":   {"tls_server_config:\n  min_version: TLS13\n", 2, "needs a certificate"},
		"no key":           {"tls_server_config:\n  cert_file: server.crt\n", 2, "needs a certificate"},
		"missing file":     {"tls_server_config:\n  cert_file: gone.crt\n  key_file: server.key\n", 2, "gone.crt cannot be opened"},
		"empty file":       {"tls_server_config:\n  cert_file: server.crt\n  key_file: empty\n", 3, "is empty"},
		"not a pair":       {"tls_server_config:\n  cert_file: ca.crt\n  key_file: server.key\n", 2, "belong together"},
		"both places":      {serve + "  cert: x\n", 4, "both cert and cert_file"},
		"old TLS":          {serve + "  min_version: TLS11\n", 4, "no longer safe"},
		"no such TLS":      {serve + "  max_version: TLS111\n", 4, "no TLS version"},
		"TLS upside down":  {serve + "  min_version: TLS13\n  max_version: TLS12\n", 4, "newer than max_version"},
		"cipher":           {serve + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", 4, "no cipher suite"},
		"curve":            {serve + "  curve_preferences:\n    - CurveP255\n", 5, "no curve"},
		"no such policy":   {serve + "  client_auth_type: Verify\n  client_ca_file: ca.crt\n", 4, "no client_auth_type"},
		"verifies nothing": {serve + "  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca.crt\n", 4, "verifies nothing"},
		"requests only":    {serve + "  client_auth_type: RequestClientCert\n  client_ca_file: ca.crt\n", 4, "verifies nothing"},
		"CA without use":   {serve + "  client_ca_file: ca.crt\n", 2, "does not ask for any"},
		"names unused":     {serve + "  client_allowed_sans: [am]\n", 2, "does not ask for any"},
		"no client CA":     {serve + "  client_auth_type: RequireAndVerifyClientCert\n", 4, "any public authority"},
		"CA is none":       {serve + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key\n", 5, "has no certificate"},
		"CA is gone":       {serve + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: gone\n", 5, "cannot be opened"},
		"nobody allowed":   {serve + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n  client_allowed_sans: []\n", 6, "no certificate would be let in"},
		"plain password":   {"basic_auth_users:\n  am: hunter2\n", 2, "not a bcrypt hash"},
		"empty password":   {"basic_auth_users:\n  am: " + hash(t, "", bcrypt.MinCost) + "\n", 2, "is empty"},
		"costly hash":      {"basic_auth_users:\n  am: " + costly + "\n", 2, "cost 16"},
		"nameless user":    {"basic_auth_users:\n  \"\": " + long + "\n", 2, "cannot name a sender"},
		"colon in a name":  {"basic_auth_users:\n  \"a:b\": " + long + "\n", 2, "cannot name a sender"},
		"users are a text": {"basic_auth_users: " + long + "\n", 1, "want a mapping"},
		"headers":          {"http_server_config:\n  headers: {X-Frame-Options: deny}\n", 2, "sets its own headers"},
		"rate limit":       {"rate_limit:\n  interval: 1s\n", 2, "429"},
		"not YAML":         {"a: [\n", 1, "not YAML"},
	} {
		path := filepath.Join(dir, "web.yml")
		write(t, path, tc.text)
		f, problems := Load(path)
		if f != nil || problems.Fatal() == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		said := problems.Fatal().Error()
		if !strings.Contains(said, tc.want) || !strings.Contains(said, fmt.Sprintf("web.yml:%d:", tc.line)) {
			t.Errorf("%s: want %q at line %d, said %s", name, tc.want, tc.line, said)
		}
		for _, secret := range []string{long[7:30], "hunter2", "BEGIN"} {
			if strings.Contains(said, secret) {
				t.Errorf("%s shows a secret: %s", name, said)
			}
		}
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	if f, problems := Load(filepath.Join(t.TempDir(), "web.yml")); f != nil || !strings.Contains(problems.Fatal().Error(), "cannot be opened") {
		t.Errorf("%v", problems)
	}
	if f, problems := Load(t.TempDir()); f != nil || !strings.Contains(problems.Fatal().Error(), "not a regular file") {
		t.Errorf("%v", problems)
	}
}

// TestPromtoolTakesWhatIsTaken: promtool check web-config is exporter-toolkit's own
// judgement. Debian's has version 0.8 of it, which knows no client_allowed_sans.
func TestPromtoolTakesWhatIsTaken(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatal("promtool is missing: install prometheus")
		}
		t.Skip("promtool is missing; BACKOUT_E2E=require makes that a failure")
	}
	dir, _ := files(t)
	long := hash(t, "alertmanager", password.LeastCost)
	for name, tc := range map[string]struct {
		text     string
		warnings int
	}{
		"empty":        {"", 0},
		"certificate":  {serve, 0},
		"everything":   {serve + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n  min_version: TLS12\n  max_version: TLS13\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [X25519, CurveP256]\n  prefer_server_cipher_suites: false\nhttp_server_config: {http2: false}\nbasic_auth_users: {am-1: " + long + "}\n", 1},
		"any of a CA":  {serve + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n", 2},
		"without TLS":  {"basic_auth_users: {am-1: " + long + "}\n", 0},
		"a cheap hash": {serve + "basic_auth_users: {am-1: " + hash(t, "x", bcrypt.MinCost) + "}\n", 1},
	} {
		path := filepath.Join(dir, "web.yml")
		write(t, path, tc.text)
		f, problems := Load(path)
		if f == nil || len(problems) != tc.warnings {
			t.Errorf("%s: %v", name, problems)
		}
		if out, err := exec.Command(promtool, "check", "web-config", path).CombinedOutput(); err != nil { //nolint:gosec // the path is the test's
			t.Errorf("%s: promtool says %s", name, out)
		}
	}
}

func TestNothingShowsASecret(t *testing.T) {
	dir, _ := files(t)
	long := hash(t, "alertmanager", bcrypt.MinCost)
	path := filepath.Join(dir, "web.yml")
	write(t, path, serve+"basic_auth_users: {am-1: "+long+"}\n")
	f, problems := Load(path)
	if f == nil {
		t.Fatal(problems)
	}
	if shown := fmt.Sprintf("%v %+v %#v", f.users, f.users, f.users); strings.Contains(shown, long[7:20]) {
		t.Error(shown)
	}
}

// TestCertificatesNameTheSender: by a SAN that is allowed, else by the first, else by
// the common name; and only one that the client CA signed for clients, and that has
// not ended.
func TestCertificatesNameTheSender(t *testing.T) {
	dir, ca := files(t)
	other := newAuthority(t, "elsewhere")
	am1, spiffe := x509.Certificate{DNSNames: []string{"am.example.org", "am-1"}}, &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/am"}
	past := time.Now().Add(-time.Minute)
	load := func(more string) *File {
		t.Helper()
		path := filepath.Join(dir, "web.yml")
		write(t, path, serve+"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"+more)
		f, problems := Load(path)
		if f == nil {
			t.Fatal(problems)
		}
		return f
	}
	all, some := load(""), load("  client_allowed_sans: [am-1, spiffe://example.org/am, 192.0.2.7, am@example.org]\n")
	for name, tc := range map[string]struct {
		by        *authority
		template  x509.Certificate
		all, some string
	}{
		"DNS name":      {ca, am1, "am.example.org", "am-1"},
		"URI":           {ca, x509.Certificate{URIs: []*url.URL{spiffe}}, "spiffe://example.org/am", "spiffe://example.org/am"},
		"address":       {ca, x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)}}, "192.0.2.7", "192.0.2.7"},
		"mail":          {ca, x509.Certificate{EmailAddresses: []string{"am@example.org"}}, "am@example.org", "am@example.org"},
		"common name":   {ca, x509.Certificate{Subject: pkix.Name{CommonName: "am-1"}}, "am-1", ""},
		"another name":  {ca, x509.Certificate{DNSNames: []string{"web-1"}}, "web-1", ""},
		"no name":       {ca, x509.Certificate{}, "", ""},
		"strange name":  {ca, x509.Certificate{Subject: pkix.Name{CommonName: "am\n1"}}, "", ""},
		"another CA":    {other, am1, "", ""},
		"ended":         {ca, x509.Certificate{DNSNames: []string{"am-1"}, NotBefore: past.Add(-time.Hour), NotAfter: past}, "", ""},
		"for servers":   {ca, x509.Certificate{DNSNames: []string{"am-1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "", ""},
		"not yet begun": {ca, x509.Certificate{DNSNames: []string{"am-1"}, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)}, "", ""},
	} {
		cert, _, _ := tc.by.sign(tc.template)
		for want, f := range map[*string]*File{&tc.all: all, &tc.some: some} {
			got, ok := f.Certificate([]*x509.Certificate{cert}, time.Now())
			if got != *want || ok != (*want != "") {
				t.Errorf("%s: %q %v, want %q", name, got, ok, *want)
			}
		}
	}
	write(t, filepath.Join(dir, "web.yml"), serve)
	plain, _ := Load(filepath.Join(dir, "web.yml"))
	cert, _, _ := ca.sign(am1)
	if name, ok := plain.Certificate([]*x509.Certificate{cert}, time.Now()); ok {
		t.Errorf("without a client CA a certificate names %q", name)
	}
}

func TestTLSKeysBite(t *testing.T) {
	dir, ca := files(t)
	path := filepath.Join(dir, "web.yml")
	write(t, path, serve+"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [am-1]\n  min_version: TLS13\n  curve_preferences: [CurveP256]\nhttp_server_config: {http2: false}\n")
	f, problems := Load(path)
	if f == nil {
		t.Fatal(problems)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	client := func(names ...string) *tls.Config {
		_, cert, key := ca.sign(x509.Certificate{DNSNames: names})
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	}
	good := client("am-1")
	state, err := handshake(t, f, good)
	if err != nil || state.NegotiatedProtocol != "http/1.1" || state.Version != tls.VersionTLS13 {
		t.Fatalf("%v %v", state, err)
	}
	old := good.Clone()
	old.MaxVersion = tls.VersionTLS12
	curve := good.Clone()
	curve.CurvePreferences = []tls.CurveID{tls.X25519}
	none := good.Clone()
	none.Certificates = nil
	for name, c := range map[string]*tls.Config{"TLS 1.2": old, "another curve": curve, "no certificate": none, "another name": client("web-1")} {
		if _, err := handshake(t, f, c); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
}

// handshake connects a client to the file's side of TLS, and exchanges a byte: only
// then a client of TLS 1.3 knows that it was let in.
func handshake(t *testing.T, f *File, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", f.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if server, err := listener.Accept(); err == nil {
			_, _ = server.Write([]byte("x"))
			_ = server.Close()
		}
	}()
	client, err := tls.Dial("tcp", listener.Addr().String(), c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer client.Close()
	if _, err := client.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return client.ConnectionState(), nil
}
