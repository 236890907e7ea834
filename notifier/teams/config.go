package teams

import (
	"errors"
	"net"
	"net/url"

	"github.com/backout-io/backout"
)

// Config is the section of a channel of type teams.
type Config struct {
	// URL is the address of the workflow; whoever has it can post.
	URL backout.Secret `json:"url,omitzero" yaml:"url" required:"true" doc:"The address of a workflow that posts to a channel or chat when a webhook request is received; a secret, since whoever has it can post."`
}

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if c.URL.IsZero() {
		return errors.New("url is missing: name where the workflow's address is kept, such as url: {credential: teams-workflow}")
	}
	return nil
}

// errBadURL leaves the address out: it is a secret.
var errBadURL = errors.New("teams url must be the workflow's https address, as Teams shows it when the workflow has been made")

// address checks what Validate cannot see yet.
func (c *Config) address() (*url.URL, error) {
	u, err := url.Parse(c.URL.Reveal())
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errBadURL
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errBadURL
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
