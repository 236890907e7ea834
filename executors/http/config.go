// Package http asks an API to put a target back, and waits until it has: Foreman,
// MAAS, AWX, Terraform Cloud, or anything else that can rebuild a machine.
//
//	uses: http.request
//	with:
//	  url: https://awx.example.com/api/v2/job_templates/12/launch/
//	  token: {credential: awx.token}
//	  body: {extra_vars: {machine: "{target}", change: "{change_id}"}}
//	  poll:
//	    url: https://awx.example.com/api/v2/jobs/{answer.id}/
//	    field: status
//	    done: [successful]
//	    failed: [failed, error, canceled]
//
// # What it promises
//
// The request runs on the machine of the runner, in a process of its own, under the
// attempt: it is sent by exactly one process, which goes on waiting when backout is
// restarted, and is found again. It is sent once. Only a connection that could not
// be made is tried again, or, with repeat: true, any request without an answer:
// whether the API takes the same key twice for one request only its makers know. The
// key is the attempt's id, in the header Idempotency-Key unless another is named. A
// request whose answer got lost is in doubt.
//
// Without poll the answer's status is the end; with it the step is done when the
// polled answer says so. That a machine is rebuilt does not say that it is well: the
// plan's checks and the drift do.
//
// # What is trusted
//
// Placeholders are the target's name and address and the ids of change, rollback and
// attempt, never a text from an alert. They are escaped where they stand. Redirects
// are not followed, and no proxy is used. Certificates are checked.
package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// Config is the section of a step.
type Config struct {
	// Method is POST when empty.
	Method string `json:"method,omitempty" yaml:"method,omitempty" doc:"POST (default), PUT, PATCH or DELETE"`
	// URL may hold placeholders in its path and its query.
	URL string `json:"url" yaml:"url" doc:"what is asked; {target}, {address}, {change_id}, {rollback_id} and {attempt} may stand in path and query"`
	// Headers are added as they are.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty" doc:"further headers, without secrets"`
	// Token is sent as a bearer token; User and Password as basic authentication.
	Token    backout.Secret `json:"token,omitzero" yaml:"token,omitempty" doc:"bearer token, kept elsewhere"`
	User     string         `json:"user,omitempty" yaml:"user,omitempty" doc:"user of basic authentication"`
	Password backout.Secret `json:"password,omitzero" yaml:"password,omitempty" doc:"password of basic authentication, kept elsewhere"`
	// Body is sent as JSON; placeholders are replaced in its texts.
	Body map[string]any `json:"body,omitempty" yaml:"body,omitempty" doc:"sent as JSON; the placeholders may stand in its texts"`
	// Expect are the statuses that mean yes; empty means 200 to 299.
	Expect []int `json:"expect_status,omitempty" yaml:"expect_status,omitempty" doc:"statuses that mean yes; default 200 to 299"`
	// IdempotencyHeader is Idempotency-Key when empty.
	IdempotencyHeader string `json:"idempotency_header,omitempty" yaml:"idempotency_header,omitempty" doc:"header that carries the attempt's id; default Idempotency-Key"`
	// Repeat says that the API does one thing for one key, however often it is asked.
	Repeat bool `json:"repeat,omitempty" yaml:"repeat,omitempty" doc:"the API honours the key, so a request without an answer may be sent again"`
	// Poll waits for the end of what was begun; nil when the answer is the end.
	Poll *Poll `json:"poll,omitempty" yaml:"poll,omitempty" doc:"how it is seen that the work is done"`
	// Ready is asked by the gate; nil means URL itself.
	Ready *Ready `json:"ready,omitempty" yaml:"ready,omitempty" doc:"what the gate asks to see that the way back exists, such as the image; default a HEAD of url, which must not be 401, 403, 404 or 5xx"`
	// CAFile names the certificates to trust instead of the system's.
	CAFile string `json:"ca_file,omitempty" yaml:"ca_file,omitempty" doc:"PEM file with the CA of the API, on the machine of the runner"`
}

// Poll says how the end is seen.
type Poll struct {
	// URL may hold {answer.PATH} too, a field of the first answer; empty means the
	// first answer's Location.
	URL string `json:"url,omitempty" yaml:"url,omitempty" doc:"what is polled; {answer.FIELD} is a field of the first answer; default its Location"`
	// Field is the path of the state in the answer.
	Field string `json:"field" yaml:"field" doc:"where the state stands in the answer, such as status or data.attributes.status"`
	// Done and Failed are the states that end it. Any other means to go on.
	Done   []string         `json:"done" yaml:"done" doc:"states that mean done"`
	Failed []string         `json:"failed" yaml:"failed" doc:"states that mean failed"`
	Every  backout.Duration `json:"every,omitempty" yaml:"every,omitempty" doc:"how often; default 10s"`
}

// Ready is one question of the gate.
type Ready struct {
	URL    string `json:"url" yaml:"url" doc:"asked with GET; placeholders as in url"`
	Expect int    `json:"expect_status,omitempty" yaml:"expect_status,omitempty" doc:"the status that means yes; default 200"`
	// Field and Equals look into the answer, such as an image's digest.
	Field  string `json:"field,omitempty" yaml:"field,omitempty" doc:"a field of the answer that is compared"`
	Equals string `json:"equals,omitempty" yaml:"equals,omitempty" doc:"what the field must be"`
}

var (
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
	fieldPath   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	known       = []string{"{target}", "{address}", "{change_id}", "{rollback_id}", "{attempt}"}
)

// Validate refuses what could not work, or would be asked of another host than the
// plan says.
func (c *Config) Validate() error {
	var errs []error
	no := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, checkURL("url", c.URL, false))
	if !slices.Contains([]string{"", http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, c.Method) {
		no("method: %q: use POST, PUT, PATCH or DELETE", c.Method)
	}
	for name, value := range c.Headers {
		if !headerName.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") {
			no("headers: %q is not a header", name)
		}
		if http.CanonicalHeaderKey(name) == "Authorization" {
			no("headers: Authorization is a secret: use token, or user and password")
		}
	}
	if c.IdempotencyHeader != "" && !headerName.MatchString(c.IdempotencyHeader) {
		no("idempotency_header: %q is not a header's name", c.IdempotencyHeader)
	}
	if !c.Token.IsZero() && c.User != "" {
		no("token and user: use one of them")
	}
	if (c.User == "") != c.Password.IsZero() {
		no("user and password belong together")
	}
	for _, status := range c.Expect {
		if status < 100 || status > 599 {
			no("expect_status: %d is not an HTTP status", status)
		}
	}
	for _, text := range texts(c.Body) {
		errs = append(errs, checkPlaceholders("body", text, false))
	}
	return errors.Join(append(errs, c.Poll.validate(), c.Ready.validate())...)
}

func (p *Poll) validate() error {
	if p == nil {
		return nil
	}
	var errs []error
	if p.URL != "" {
		errs = append(errs, checkURL("poll.url", p.URL, true))
	}
	if !fieldPath.MatchString(p.Field) {
		errs = append(errs, fmt.Errorf("poll.field: %q: name a field of the answer, such as status or data.status", p.Field))
	}
	if len(p.Done) == 0 || len(p.Failed) == 0 {
		errs = append(errs, errors.New("poll: done and failed name the states that end it: give at least one of each"))
	}
	for _, state := range p.Done {
		if slices.Contains(p.Failed, state) {
			errs = append(errs, fmt.Errorf("poll: %q cannot mean both done and failed", state))
		}
	}
	return errors.Join(errs...)
}

func (r *Ready) validate() error {
	if r == nil {
		return nil
	}
	err := checkURL("ready.url", r.URL, false)
	if (r.Field == "") != (r.Equals == "") || r.Field != "" && !fieldPath.MatchString(r.Field) {
		err = errors.Join(err, errors.New("ready: field and equals belong together; field is a path such as image.digest"))
	}
	return err
}

// checkURL refuses a URL whose scheme, host or user could come from a placeholder.
func checkURL(key, text string, answers bool) error {
	plain := placeholder.ReplaceAllString(text, "x")
	u, err := url.Parse(plain)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%s: %q is not http(s)://host[:port]/path without user and fragment", key, text)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%s: %q would send secrets in the clear: use https", key, text)
	}
	if i := strings.Index(text, "{"); i >= 0 && i < len(u.Scheme)+3+len(u.Host) {
		return fmt.Errorf("%s: %q has a placeholder in its host: the plan alone says which host is asked", key, text)
	}
	return checkPlaceholders(key, text, answers)
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

func checkPlaceholders(key, text string, answers bool) error {
	for _, p := range placeholder.FindAllString(text, -1) {
		field, isAnswer := strings.CutPrefix(strings.Trim(p, "{}"), "answer.")
		if slices.Contains(known, p) || answers && isAnswer && fieldPath.MatchString(field) {
			continue
		}
		return fmt.Errorf("%s: %s is not known: there are %s", key, p, strings.Join(known, " "))
	}
	return nil
}

// texts are all texts of a body.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case map[string]any:
		for _, inner := range v {
			out = append(out, texts(inner)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, texts(inner)...)
		}
	}
	return out
}

// encode is the body with the placeholders filled in.
func encode(body map[string]any, fill func(string) string) (json.RawMessage, error) {
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return fill(v)
		case map[string]any:
			out := make(map[string]any, len(v))
			for key, inner := range v {
				out[key] = walk(inner)
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i, inner := range v {
				out[i] = walk(inner)
			}
			return out
		}
		return v
	}
	if len(body) == 0 {
		return nil, nil
	}
	return json.Marshal(walk(body))
}
