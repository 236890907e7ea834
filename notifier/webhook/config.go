package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/backout-io/backout"
)

// Format is how a body is written.
type Format string

// The values of [Format].
const (
	// FormatBackout is [Body].
	FormatBackout Format = "backout"
	// FormatCloudEvents is [Event], with a [Body] as its data.
	FormatCloudEvents Format = "cloudevents"
)

// defaultSource is a URI reference, which is all that CloudEvents ask for.
const defaultSource = "/backout"

// Config is the section of a channel of type webhook.
type Config struct {
	// URL is where notices are posted.
	URL string `json:"url" yaml:"url" required:"true" doc:"Where notices are posted, http or https."`
	// Secret is the key of the signature; receivers need it too.
	Secret backout.Secret `json:"secret,omitzero" yaml:"secret" required:"true" doc:"Key of the signature; a secret. The receiver needs it too."`
	// Token is sent as "Authorization: Bearer …" when it is set.
	Token backout.Secret `json:"token,omitzero" yaml:"token,omitempty" doc:"Sent as Authorization: Bearer; a secret. Needs https."`
	// Format is how the body is written; [FormatBackout] when it is left out.
	Format Format `json:"format,omitempty" yaml:"format,omitempty" enum:"backout,cloudevents" doc:"How the body is written: backout (the default) or cloudevents (CloudEvents 1.0, structured JSON, with the same body as its data)."`
	// Source is the source of CloudEvents.
	Source string `json:"source,omitempty" yaml:"source,omitempty" doc:"Where the CloudEvents say they come from, a URI reference. Default: /backout."`
	// Headers are sent too. They are no place for secrets.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty" doc:"Further headers, by name. No place for secrets."`
}

// errBadURL leaves the address out: it may hold what should not be shown.
var errBadURL = errors.New("url must be an http or https address without a user in it, such as https://hooks.example/backout")

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errBadURL
	}
	if c.Secret.IsZero() {
		return errors.New("secret is missing: name where the key of the signature is kept, such as secret: {credential: hook-secret}")
	}
	if !c.Token.IsZero() && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("token would be sent unencrypted: use an https url")
	}
	if err := c.checkFormat(); err != nil {
		return err
	}
	for name, value := range c.Headers {
		if err := checkHeader(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkFormat() error {
	switch c.Format {
	case "", FormatBackout:
		if c.Source != "" {
			return errors.New("source is only said in CloudEvents: add format: cloudevents, or take it out")
		}
	case FormatCloudEvents:
		if _, err := url.Parse(c.Source); err != nil || !printable(c.Source) || strings.Contains(c.Source, " ") {
			return fmt.Errorf("source %q is no URI reference: write one such as /backout or https://backout.example", c.Source)
		}
	default:
		return fmt.Errorf("format is %q: write backout or cloudevents", string(c.Format))
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkHeader(name, value string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", r)
	}) {
		return fmt.Errorf("headers: %q is not a header's name", name)
	}
	if !printable(value) {
		return fmt.Errorf("headers: the value of %q has characters that headers cannot carry", name)
	}
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case canonical == "Authorization", canonical == "Cookie", canonical == "Proxy-Authorization":
		return fmt.Errorf("headers: %q is a secret: use token, which is kept outside of the file", name)
	case canonical == "Content-Type", canonical == "Content-Length", canonical == "Transfer-Encoding", canonical == "Host",
		canonical == "Connection", canonical == "Idempotency-Key", strings.HasPrefix(canonical, "X-Backout-"):
		return fmt.Errorf("headers: %q is set by backout itself", name)
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}
