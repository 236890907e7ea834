package email

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// StartTLS says how the connection is protected.
type StartTLS string

// The values of [StartTLS].
const (
	// Required, the default, sends nothing unless the server offers STARTTLS and
	// its certificate is right.
	Required StartTLS = "required"
	// Opportunistic encrypts when the server offers it.
	Opportunistic StartTLS = "opportunistic"
	// Implicit speaks TLS from the first byte (port 465).
	Implicit StartTLS = "implicit"
	// None sends in clear.
	None StartTLS = "none"
)

// Config is the section of a channel of type email.
type Config struct {
	// SMTP is the mail server, host:port.
	SMTP string `json:"smtp" yaml:"smtp" required:"true" doc:"The mail server, host:port."`
	// From is the sender, To who gets each notice: "ops@example.com" or
	// "Operations <ops@example.com>".
	From string   `json:"from" yaml:"from" required:"true" doc:"The sender, such as backout <backout@example.com>."`
	To   []string `json:"to" yaml:"to" required:"true" doc:"Who gets each notice; at least one address."`
	// Username and Password log in to the server; both or neither.
	Username string         `json:"username,omitempty" yaml:"username,omitempty" doc:"Logs in to the server; together with password."`
	Password backout.Secret `json:"password,omitzero" yaml:"password,omitempty" doc:"Logs in to the server; a secret."`
	// StartTLS is required when it is left out.
	StartTLS StartTLS `json:"starttls,omitempty" yaml:"starttls,omitempty" enum:"required,opportunistic,implicit,none" doc:"How the connection is protected: required (the default), opportunistic, implicit (TLS from the first byte, port 465) or none."`
	// CAFile has the certificates (PEM) that the server's must lead to, instead
	// of the system's.
	CAFile string `json:"ca_file,omitempty" yaml:"ca_file,omitempty" doc:"Certificates (PEM) that the server's must lead to, instead of the system's."`
	// TextOnly leaves the HTML out.
	TextOnly bool `json:"text_only,omitempty" yaml:"text_only,omitempty" doc:"Send plain text alone, without the same in HTML."`
	// Helo is the name to greet the server with, instead of this host's.
	Helo string `json:"helo,omitempty" yaml:"helo,omitempty" doc:"Name to greet the server with. Default: this host's name."`
}

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	host, _, err := c.server()
	if err != nil {
		return err
	}
	if _, err := address(c.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if len(c.To) == 0 {
		return errors.New("to is empty: name at least one address; an empty list would tell nobody")
	}
	for i, to := range c.To {
		if _, err := address(to); err != nil {
			return fmt.Errorf("to[%d]: %w", i, err)
		}
	}
	switch c.StartTLS {
	case "", Required, Opportunistic, Implicit, None:
	default:
		return fmt.Errorf("starttls is %q: write required, opportunistic, implicit or none", string(c.StartTLS))
	}
	if (c.Username == "") != c.Password.IsZero() {
		return errors.New("username and password go together: set both or neither")
	}
	if c.Username != "" && (c.StartTLS == None || c.StartTLS == Opportunistic) && !loopback(host) {
		return fmt.Errorf("starttls %s could send the password in clear: use required", c.StartTLS)
	}
	if strings.ContainsFunc(c.Helo, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("helo %q is not a host name", c.Helo)
	}
	return nil
}

func (c *Config) server() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.SMTP)
	if err == nil && host != "" {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 1 || port > 65535 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, fmt.Errorf("smtp %q is not host:port, such as mail.example:587", c.SMTP)
	}
	return host, port, nil
}

func address(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsAny(s, "\r\n\x00") {
		return nil, fmt.Errorf("%q is not a mail address, such as ops@example.com", s)
	}
	return a, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
