package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/internal/promql"
)

// HTTP is the section of an http check: green when the answer has the status,
// and the text if one is named, in time.
type HTTP struct {
	// URL may hold {target} and {address} in its host and its path. The address
	// is without port.
	URL string `json:"url" yaml:"url" doc:"asked from the server; {target} and {address} stand for the target"`
	// Method is GET (the default) or HEAD: a check changes nothing.
	Method string `json:"method,omitempty" yaml:"method,omitempty" doc:"GET (default) or HEAD"`
	// ExpectStatus is 200 when zero.
	ExpectStatus int `json:"expect_status,omitempty" yaml:"expect_status,omitempty" doc:"the only status that is green; default 200"`
	// Contains must stand in the first MiB of the answer.
	Contains string `json:"contains,omitempty" yaml:"contains,omitempty" doc:"text that the answer must hold"`
	// Timeout is 5 s when zero.
	Timeout backout.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty" doc:"red when it takes longer; default 5s"`
	// CAFile names the certificates to trust instead of the system's; ServerName
	// is what the server's certificate must be for, when not the URL's host.
	CAFile     string `json:"ca_file,omitempty" yaml:"ca_file,omitempty" doc:"PEM file with the CA of the server"`
	ServerName string `json:"server_name,omitempty" yaml:"server_name,omitempty" doc:"name the certificate must be for, when it is not the one in url"`
}

const maxBody = 1 << 20

func httpKind() Kind {
	return plugin.Define("http", "get a URL and look at the status and the text", func(_ context.Context, c HTTP) (Checker, error) {
		client, err := httpClient(c)
		if err != nil {
			return nil, err
		}
		return httpCheck{c, client}, nil
	})
}

// Validate refuses URLs whose host could become another one.
func (c *HTTP) Validate() error {
	var errs []error
	if _, err := splitURL(c.URL); err != nil {
		errs = append(errs, err)
	}
	if c.Method != "" && c.Method != http.MethodGet && c.Method != http.MethodHead {
		errs = append(errs, fmt.Errorf("method: %q could change something: use GET or HEAD", c.Method))
	}
	if c.Method == http.MethodHead && c.Contains != "" {
		errs = append(errs, errors.New("contains: the answer to HEAD has no text: use GET"))
	}
	if c.ExpectStatus != 0 && (c.ExpectStatus < 100 || c.ExpectStatus > 599) {
		errs = append(errs, fmt.Errorf("expect_status: %d is not an HTTP status", c.ExpectStatus))
	}
	return errors.Join(errs...)
}

// urlParts is a URL split where placeholders may not reach over.
type urlParts struct{ scheme, host, port, path, rest string }

var urlShape = regexp.MustCompile(`^(https?)://([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[^?#]*)?(\?[^#]*)?$`)

func splitURL(text string) (urlParts, error) {
	m := urlShape.FindStringSubmatch(text)
	if m == nil {
		return urlParts{}, fmt.Errorf("url: %q is not http(s)://host[:port][/path][?query]: a user, a fragment, or a placeholder elsewhere is not taken", text)
	}
	p := urlParts{m[1], m[2], m[3], m[4], m[5]}
	if strings.ContainsAny(p.rest, "{}") {
		return p, fmt.Errorf("url: %q has a placeholder in its query: {target} and {address} may stand in the host and the path", text)
	}
	u, err := p.fill("name", "address")
	if err == nil && strings.ContainsAny(u.Host+u.Path, "{}") {
		err = errors.New("only {target} and {address} are replaced")
	}
	if err != nil {
		return p, fmt.Errorf("url: %q: %w", text, err)
	}
	return p, nil
}

// fill puts the names in. They can change neither the host's end nor the path's
// depth, and the result is read back to be sure.
func (p urlParts) fill(target, address string) (*url.URL, error) {
	inHost, inPath := address, url.PathEscape(address)
	if strings.Contains(address, ":") {
		inHost = "[" + address + "]"
	}
	host := strings.NewReplacer("{target}", target, "{address}", inHost).Replace(p.host)
	path := strings.NewReplacer("{target}", url.PathEscape(target), "{address}", inPath).Replace(p.path)
	u, err := url.Parse(p.scheme + "://" + host + p.port + path + p.rest)
	if err != nil {
		return nil, err
	}
	if u.Host != host+p.port || u.User != nil || u.EscapedPath() != path && u.Path != path {
		return nil, errors.New("the target's name or address does not fit into the URL")
	}
	return u, nil
}

func httpClient(c HTTP) (*http.Client, error) {
	config := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s holds no certificate", c.CAFile)
		}
	}
	return &http.Client{
		// Each check connects anew: an old connection proves less. No proxy
		// stands in between.
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			switch {
			case to.URL.Host != via[0].URL.Host:
				return fmt.Errorf("it redirects to another host (%s)", to.URL.Host)
			case len(via) >= 5:
				return errors.New("it redirects more than 5 times")
			}
			return nil
		},
	}, nil
}

type httpCheck struct {
	c      HTTP
	client *http.Client
}

// Check implements [Checker].
func (h httpCheck) Check(ctx context.Context, s Subject) Result {
	parts, err := splitURL(h.c.URL)
	if err != nil {
		return red("%v", err)
	}
	target, address, err := promql.Names(s.Target)
	if err != nil {
		return red("%v", err)
	}
	u, err := parts.fill(target, address)
	if err != nil {
		return red("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(h.c.Timeout, 5*time.Second))
	defer cancel()
	method := h.c.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return red("%v", err)
	}
	req.Header.Set("User-Agent", "backout")
	resp, err := h.client.Do(req)
	if err != nil {
		return red("%v", err)
	}
	defer resp.Body.Close()
	want := h.c.ExpectStatus
	if want == 0 {
		want = http.StatusOK
	}
	if resp.StatusCode != want {
		return red("%s answers %d, want %d", u, resp.StatusCode, want)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return red("read the answer of %s: %v", u, err)
	}
	if h.c.Contains != "" && !bytes.Contains(body, []byte(h.c.Contains)) {
		return red("the answer of %s does not contain %q", u, h.c.Contains)
	}
	return green("%s answers %d", u, resp.StatusCode)
}

func orDefault(d backout.Duration, otherwise time.Duration) time.Duration {
	if d > 0 {
		return time.Duration(d)
	}
	return otherwise
}
