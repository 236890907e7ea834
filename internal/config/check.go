package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/exploited"
	"github.com/backout-io/backout/internal/strictyaml"
)

var (
	// Users may be mail addresses; targets are host names; the rest ends up in
	// stream subjects and addresses, where a dot would mean something.
	userName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$`)
	targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$`)
	plainName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	planName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// maxBody is what a post may be: a message of the store, 8 MiB, holds it and
// what belongs to it.
const maxBody Size = 8<<20 - 64<<10

const (
	userNameFix   = "use letters, digits and . _ @ + -, at most 128, a letter or digit first"
	targetNameFix = "use letters, digits and . _ : -, at most 253, a letter or digit first"
	plainNameFix  = "use letters, digits and _ -, at most 64, a letter or digit first"
	planNameFix   = "use letters, digits and . _ -, at most 128, a letter or digit first"
)

// CheckListen refuses settings under which anybody could use the server: on an
// address that is not loopback there must be TLS, a token for the API and a
// sender of alerts; behind an ExternalURL that is not loopback the last two,
// since a proxy's requests come from loopback whoever sent them. Call it again
// when a flag changes Listen.
func (s *Settings) CheckListen() error {
	_, err := s.openTo()
	return err
}

// openTo is CheckListen, with the key that opens the server too far.
func (s *Settings) openTo() (key string, err error) {
	host, port, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return "listen", fmt.Errorf("listen address %q: want host:port, such as 127.0.0.1:8420", s.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "listen", fmt.Errorf("listen address %q: %q is not a port from 0 to 65535", s.Listen, port)
	}
	if loopback(host) {
		return "external_url", s.checkExternal()
	}
	var missing []string
	if !s.ServesTLS() {
		missing = append(missing, "tls.cert_file and tls.key_file")
	}
	missing = append(missing, s.noTokens()...)
	if missing == nil {
		return "", nil
	}
	return "listen", fmt.Errorf("listen address %q can be reached from other machines, and there is no %s: set them, or listen on 127.0.0.1", s.Listen, strings.Join(missing, ", no "))
}

// checkExternal refuses an ExternalURL of another name without both tokens. What
// is not a URL is told elsewhere.
func (s *Settings) checkExternal() error {
	u, err := url.Parse(s.ExternalURL)
	if err != nil || u.Hostname() == "" || loopback(u.Hostname()) {
		return nil
	}
	missing := s.noTokens()
	if missing == nil {
		return nil
	}
	return fmt.Errorf("external_url names %s, so others reach this server through it, and there is no %s: set them, or remove external_url", u.Hostname(), strings.Join(missing, ", no "))
}

// Open tells that nobody has to say who they are, so that this machine may do everything.
func (s *Settings) Open() bool { return len(s.noTokens()) == 2 && !s.webUnknown() }

// noTokens names the kinds of tokens that nobody has.
func (s *Settings) noTokens() []string {
	var missing []string
	if len(s.Auth.Tokens) == 0 && !s.Auth.SignIn() {
		missing = append(missing, "auth.tokens")
	}
	if !s.anySender() {
		missing = append(missing, "intake.tokens")
	}
	return missing
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// settings checks what needs no other file and makes paths absolute.
func (l *loader) settings() {
	s := &l.cfg.Settings
	l.tls(s)
	l.webConfig(s)
	if key, err := s.openTo(); err != nil && !s.webUnknown() {
		l.add(l.at(key).Problem(err.Error(), ""))
	}
	if s.ExternalURL == "" {
		scheme := "http://"
		if s.ServesTLS() {
			scheme = "https://"
		}
		s.ExternalURL = scheme + s.Listen
	} else {
		l.url("http://HOST or https://HOST", []string{"http", "https"}, s.ExternalURL, "external_url")
		s.ExternalURL = strings.TrimRight(s.ExternalURL, "/")
	}
	if s.DataDir = l.abs(s.DataDir); s.DataDir == "" {
		l.add(l.at("data_dir").Problem("data_dir is empty", "name a directory, or remove the key"))
	}
	if !planName.MatchString(s.ServerName) {
		l.add(l.at("server_name").Problem(fmt.Sprintf("%q is not a server name", s.ServerName), planNameFix))
	}
	l.nats(&s.NATS)
	l.atLeast(int64(s.Intake.MaxBody), 1<<10, "1KiB", "intake", "max_body")
	if s.Intake.MaxBody > maxBody {
		l.add(l.at("intake", "max_body").Problem(fmt.Sprintf("max_body is more than the store takes in one piece, %s", maxBody), "give at most "+maxBody.String()))
	}
	l.atLeast(int64(s.Intake.MaxWaiting), 1, "1", "intake", "max_waiting")
	l.atLeast(int64(s.Retention.Alerts), int64(backout.Duration(time.Hour)), "1h", "retention", "alerts")
	l.atLeast(int64(s.Retention.AlertsMaxBytes), 1<<20, "1MiB", "retention", "alerts_max_bytes")
	l.atLeast(int64(s.ReadinessEvery), int64(backout.Duration(10*time.Second)), "10s", "readiness_every")
	for i, am := range s.Alertmanagers {
		l.url("http://HOST:PORT", []string{"http", "https"}, am.URL, "alertmanagers", i, "url")
	}
	if s.Prometheus.URL != "" || !s.Prometheus.Token.IsZero() {
		l.url("http://HOST:PORT", []string{"http", "https"}, s.Prometheus.URL, "prometheus", "url")
	}
	l.sshSection(&s.SSH)
	l.runners(s)
	l.promotion(s.Promotion)
	l.exposure(&s.Exposure)
}

func (l *loader) exposure(e *Exposure) {
	if e.KnownExploited == "" {
		return
	}
	e.KnownExploited = l.abs(e.KnownExploited)
	l.cfg.Files = append(l.cfg.Files, e.KnownExploited)
	known, err := exploited.Read(e.KnownExploited)
	if err != nil {
		l.add(l.at("exposure", "known_exploited").Problem("known_exploited: "+err.Error(), "get known_exploited_vulnerabilities.json of CISA, or remove the key"))
	}
	l.cfg.Exploited = known
}

func (l *loader) sshSection(s *SSH) {
	l.atLeast(int64(s.Armed), -1, "-1", "ssh", "armed")
	l.atLeast(int64(s.ConnectTimeout), int64(backout.Duration(1e8)), "100ms", "ssh", "connect_timeout")
	if s.Port < 1 || s.Port > 65535 {
		l.add(l.at("ssh", "port").Problem(fmt.Sprintf("port: %d", s.Port), "want 1 to 65535"))
	}
	s.KnownHosts = l.readable(s.KnownHosts, "ssh", "known_hosts")
}

// atLeast checks the lower bound of the value at path.
func (l *loader) atLeast(value, least int64, shown string, path ...any) {
	if value < least {
		l.add(l.at(path...).Problem(fmt.Sprintf("%s is too small", path[len(path)-1]), "give at least "+shown))
	}
}

func (l *loader) url(want string, schemes []string, text string, path ...any) {
	if what := badURL(text, schemes); what != "" {
		l.add(l.at(path...).Problem(fmt.Sprintf("%s: %s", path[len(path)-1], what), "want "+want))
	}
}

func badURL(text string, schemes []string) string {
	if text == "" {
		return "no address"
	}
	u, err := url.Parse(text)
	if err != nil {
		return "not an address"
	}
	// A key may stand after the "?": it is not shown.
	shown, _, _ := strings.Cut(text, "?")
	shown, _, _ = strings.Cut(shown, "#")
	known := false
	for _, s := range schemes {
		known = known || u.Scheme == s
	}
	whole := known && u.Host != ""
	switch {
	case u.User != nil, !whole && strings.Contains(text, "@"):
		return "an address with a user or password in it: use token or credentials"
	case !whole:
		return fmt.Sprintf("%q is not a full address", shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Sprintf("%q has a ? or # part after it", shown)
	}
	return ""
}

// readable makes the path of an optional file absolute and checks that it can be
// read.
func (l *loader) readable(path string, at ...any) string {
	if path == "" {
		return ""
	}
	path = l.abs(path)
	if _, err := ReadFile(path); err != nil {
		l.add(l.at(at...).Problem(fmt.Sprintf("%s: file %s %v", at[len(at)-1], path, err), ""))
	}
	return path
}

func (l *loader) tls(s *Settings) {
	t := &s.TLS
	if t.CertFile == "" && t.KeyFile == "" {
		return
	}
	if !t.On() {
		l.add(l.at("tls").Problem("tls needs both cert_file and key_file", "add the other, or remove tls"))
		return
	}
	before := len(l.problems)
	t.CertFile = l.readable(t.CertFile, "tls", "cert_file")
	if l.kinds.Offline {
		t.KeyFile = l.abs(t.KeyFile)
		return
	}
	t.KeyFile = l.readable(t.KeyFile, "tls", "key_file")
	if len(l.problems) > before {
		return
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		l.add(l.at("tls").Problem(strings.TrimPrefix(err.Error(), "tls: "), "cert_file and key_file must be PEM files that belong together"))
	}
}

func (l *loader) nats(n *NATS) {
	if n.Replicas != 1 && n.Replicas != 3 && n.Replicas != 5 {
		l.add(l.at("nats", "replicas").Problem(fmt.Sprintf("replicas: %d", n.Replicas), "want 1, 3 or 5"))
	}
	if n.URL == "" {
		for _, key := range []string{"credentials", "tls_ca", "replicas"} {
			if l.root.Has("nats", key) && (key != "replicas" || n.Replicas > 1) {
				l.add(l.keyAt("nats", key).Problem(fmt.Sprintf("nats.%s is for an own NATS", key), "give nats.url too, or remove it"))
			}
		}
		return
	}
	for address := range strings.SplitSeq(n.URL, ",") {
		l.url("nats://HOST:PORT or tls://HOST:PORT", []string{"nats", "tls", "ws", "wss"}, strings.TrimSpace(address), "nats", "url")
	}
	before := len(l.problems)
	if n.TLSCA = l.readable(n.TLSCA, "nats", "tls_ca"); n.TLSCA == "" || len(l.problems) > before {
		return
	}
	data, err := os.ReadFile(n.TLSCA)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		err = errors.New("no certificate in it")
	}
	if err != nil {
		l.add(l.at("nats", "tls_ca").Problem(fmt.Sprintf("tls_ca: %v", err), "want a PEM file"))
	}
}

// name checks the charset of a name that stands at p.
func (l *loader) name(what, name string, pattern *regexp.Regexp, fix string, p strictyaml.Pos) bool {
	if pattern.MatchString(name) {
		return true
	}
	l.add(p.Problem(fmt.Sprintf("%q cannot name %s", name, what), fix))
	return false
}
