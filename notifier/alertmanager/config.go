package alertmanager

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Config is the section of a channel of type alertmanager.
type Config struct {
	// URLs are the Alertmanagers of one cluster, each told by itself as Prometheus does.
	URLs []string `json:"urls" yaml:"urls" required:"true" doc:"The Alertmanagers, all of one cluster, such as http://alertmanager:9093; at least one. It is enough when one of them takes a notice."`
	// Token is sent as "Authorization: Bearer …"; Username and Password are the other way.
	Token    backout.Secret `json:"token,omitzero" yaml:"token,omitempty" doc:"Sent as Authorization: Bearer; a secret. Needs https."`
	Username string         `json:"username,omitempty" yaml:"username,omitempty" doc:"Logs in by basic authentication; together with password."`
	Password backout.Secret `json:"password,omitzero" yaml:"password,omitempty" doc:"Logs in by basic authentication; a secret. Needs https."`
	// CAFile has the certificates (PEM) that the servers' must lead to, instead of the
	// system's.
	CAFile string `json:"ca_file,omitempty" yaml:"ca_file,omitempty" doc:"Certificates (PEM) that the servers' must lead to, instead of the system's."`
	// Labels are on every alert.
	Labels map[string]string `json:"labels,omitempty" yaml:"labels,omitempty" doc:"Further labels of every alert, for the routes of the Alertmanager."`
	// ChangeLabels are copied from the change.
	ChangeLabels []string `json:"change_labels,omitempty" yaml:"change_labels,omitempty" doc:"Labels of the change that its alerts carry too, such as [team]."`
	// Keep is how long an alert stands when nothing more is told of it.
	Keep backout.Duration `json:"keep,omitempty" yaml:"keep,omitempty" doc:"How long an alert fires when nothing more is told of it. Default: 24h."`
}

const defaultKeep = 24 * time.Hour

// own are the labels that tell alerts apart.
var own = []string{"alertname", "change", "level", "moment", "rollback", "severity"}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if len(c.URLs) == 0 {
		return errors.New("urls is empty: name at least one Alertmanager; an empty list would tell nobody")
	}
	secret := !c.Token.IsZero() || !c.Password.IsZero()
	for i, address := range c.URLs {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("urls[%d] must be an http or https address without user and query, such as http://alertmanager:9093", i)
		}
		if secret && u.Scheme == "http" && !loopback(u.Hostname()) {
			return fmt.Errorf("urls[%d]: the secret would be sent unencrypted: use https", i)
		}
	}
	if (c.Username == "") != c.Password.IsZero() {
		return errors.New("username and password go together: set both or neither")
	}
	if !c.Token.IsZero() && c.Username != "" {
		return errors.New("token and username are two ways to log in: set one of them")
	}
	if c.Keep < 0 {
		return fmt.Errorf("keep is %s: an alert cannot end before it begins; leave it out for 24h", c.Keep)
	}
	return c.checkLabels()
}

func (c *Config) checkLabels() error {
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		if err := checkLabel("labels", name); err != nil {
			return err
		}
		if strings.TrimSpace(c.Labels[name]) == "" {
			return fmt.Errorf("labels: %s is empty, and Alertmanager drops labels without a value: write one, or take it out", name)
		}
	}
	for _, name := range c.ChangeLabels {
		if err := checkLabel("change_labels", name); err != nil {
			return err
		}
		if _, twice := c.Labels[name]; twice {
			return fmt.Errorf("change_labels: %s stands in labels too: keep one of them", name)
		}
	}
	return nil
}

func checkLabel(key, name string) error {
	switch {
	case !labelName.MatchString(name):
		return fmt.Errorf("%s: %q cannot name a label: use letters, digits and _", key, name)
	case slices.Contains(own, name):
		return fmt.Errorf("%s: %s is set by backout itself", key, name)
	}
	return nil
}

func (c *Config) client() (*http.Client, error) {
	client := notifier.HTTPClient()
	if c.CAFile == "" {
		return client, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s has no certificate in PEM", c.CAFile)
	}
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return client, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
