package config

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/webconfig"
)

// Sender is a sender of alerts that signs its requests.
type Sender struct {
	Name string `yaml:"name" required:"true" doc:"What the log calls the sender."`
	HMAC HMAC   `yaml:"hmac" required:"true" doc:"How its requests are signed. Their time may be at most 5m off, and each is taken once."`
}

// HMAC says how a sender signs. Empty headers are the scheme's own.
type HMAC struct {
	Scheme          string         `yaml:"scheme" required:"true" enum:"grafana,backout" doc:"grafana: as Grafana's webhook contact points. backout: as webhook channels of this server."`
	Secret          backout.Secret `yaml:"secret" required:"true" doc:"Key of the signature, kept elsewhere; the sender needs it too."`
	Header          string         `yaml:"header" doc:"Header with the signature. Default X-Grafana-Alerting-Signature or X-Backout-Signature."`
	TimestampHeader string         `yaml:"timestamp_header" doc:"Header with the time that is signed too. Default X-Grafana-Alerting-Signature-Timestamp or X-Backout-Timestamp."`
}

// ServesTLS tells whether there is a certificate to serve with, here or in the web
// config file.
func (s *Settings) ServesTLS() bool { return s.TLS.On() || s.Web.TLS() }

// anySender tells whether anybody but this machine may send alerts.
func (s *Settings) anySender() bool {
	return len(s.Intake.Tokens) > 0 || len(s.Intake.Senders) > 0 || s.Web.Any()
}

// webUnknown tells that there is a web config file and nobody knows what it says.
func (s *Settings) webUnknown() bool { return s.WebConfig != "" && s.Web == nil }

// webConfig reads the web config file. Who is not the server may not be able to, and
// does without it.
func (l *loader) webConfig(s *Settings) {
	if s.WebConfig == "" {
		if l.root.Has("web_config") {
			l.add(l.at("web_config").Problem("web_config is empty", "name a file, or remove the key"))
		}
		return
	}
	shown := s.WebConfig
	if !filepath.IsAbs(shown) {
		shown = filepath.Join(filepath.Dir(l.cfg.Path), shown)
	}
	s.WebConfig = l.abs(s.WebConfig)
	if _, err := ReadFile(shown); err != nil {
		if !l.kinds.Offline {
			l.add(l.at("web_config").Problem(fmt.Sprintf("web_config: file %s %v", shown, err), ""))
		}
		return
	}
	file, problems := webconfig.Load(shown)
	if file == nil && l.kinds.Offline {
		return
	}
	l.add(problems...)
	s.Web = file
	l.cfg.Files = append(l.cfg.Files, shown)
	if s.TLS.On() && file.TLS() {
		l.add(l.keyAt("tls").Problem("both tls and the file of web_config have a certificate to serve with", "keep one of them"))
	}
}

// headerName is a header that a signature may stand in.
var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// takenHeaders mean something else already.
var takenHeaders = map[string]bool{
	"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "Host": true, "Content-Type": true, "Content-Length": true, "Content-Encoding": true,
	"Transfer-Encoding": true, "Connection": true, "Accept": true, "User-Agent": true, "Origin": true, "X-Request-Id": true,
}

// senders checks who signs.
func (l *loader) senders() {
	seen := map[string]bool{}
	for i, s := range l.cfg.Intake.Senders {
		at := l.at("intake", "senders", i, "name")
		if s.Name != "" && l.name("a sender", s.Name, userName, userNameFix, at) && seen[s.Name] {
			l.add(at.Problem(fmt.Sprintf("the sender %q is there already", s.Name), "give each sender one entry"))
		}
		seen[s.Name] = true
		for _, h := range []struct{ key, name string }{{"header", s.HMAC.Header}, {"timestamp_header", s.HMAC.TimestampHeader}} {
			place := []any{"intake", "senders", i, "hmac", h.key}
			switch {
			case !l.root.Has(place...):
			case !headerName.MatchString(h.name):
				l.add(l.at(place...).Problem(fmt.Sprintf("%s: %q is not a header's name", h.key, h.name), "use letters, digits and -"))
			case takenHeaders[http.CanonicalHeaderKey(h.name)]:
				l.add(l.at(place...).Problem(fmt.Sprintf("%s: %s means something else", h.key, h.name), "use a header of its own"))
			}
		}
		if s.HMAC.Header != "" && http.CanonicalHeaderKey(s.HMAC.Header) == http.CanonicalHeaderKey(s.HMAC.TimestampHeader) {
			l.add(l.at("intake", "senders", i, "hmac", "timestamp_header").Problem("timestamp_header is header", "use two headers"))
		}
	}
}

// signers refuses secrets of signatures that can be guessed, that two share (whose
// alert would it be?), or that are sent as a token elsewhere.
func (l *loader) signers(holders map[string]string) (out backout.Problems) {
	for i, s := range l.cfg.Intake.Senders {
		at, value := l.at("intake", "senders", i, "hmac", "secret"), s.HMAC.Secret.Reveal()
		if len(value) < minToken {
			out = append(out, at.Problem(fmt.Sprintf("the secret of %s is shorter than %d characters", s.Name, minToken), "make one with: openssl rand -hex 24"))
		} else if other, taken := holders[value]; taken {
			out = append(out, at.Problem(fmt.Sprintf("%s and %s have the same secret", other, s.Name), "give each their own"))
		}
		holders[value] = s.Name
	}
	return out
}
