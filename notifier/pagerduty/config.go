package pagerduty

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/backout-io/backout"
)

// Config is the section of a channel of type pagerduty.
type Config struct {
	// RoutingKey is the integration key of an Events API v2 integration.
	RoutingKey backout.Secret `json:"routing_key,omitzero" yaml:"routing_key" required:"true" doc:"The integration key of an Events API v2 integration, 32 characters; a secret."`
	// URL replaces https://events.pagerduty.com, for the EU and for tests.
	URL string `json:"url,omitempty" yaml:"url,omitempty" doc:"Instead of https://events.pagerduty.com, such as https://events.eu.pagerduty.com."`
}

// defaultURL is the service region US.
const defaultURL = "https://events.pagerduty.com"

var errBadURL = errors.New("url must be an https address without user, path and query, such as https://events.eu.pagerduty.com; leave it out for the US")

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if c.RoutingKey.IsZero() {
		return errors.New("routing_key is missing: name where the integration key is kept, such as routing_key: {credential: pagerduty-key}")
	}
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errBadURL
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return errBadURL
	}
	return nil
}

func checkKey(key backout.Secret) error {
	switch value := key.Reveal(); {
	case value == "":
		return errors.New("pagerduty routing_key is empty: put the integration key there")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("pagerduty routing_key has characters that no integration key has: copy it anew, without line breaks")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
