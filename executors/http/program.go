package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/retry"
)

// How the process that asks ends.
const (
	exitFailed = 1
	exitDoubt  = 3
)

// work is what that process is given.
type work struct {
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers,omitempty"`
	Token    string            `json:"token,omitempty"`
	User     string            `json:"user,omitempty"`
	Password string            `json:"password,omitempty"`
	Body     json.RawMessage   `json:"body,omitempty"`
	Expect   []int             `json:"expect,omitempty"`
	Repeat   bool              `json:"repeat,omitempty"`
	CAFile   string            `json:"ca_file,omitempty"`
	Deadline time.Time         `json:"deadline,omitzero"`
	Poll     *pollWork         `json:"poll,omitempty"`
}

type pollWork struct {
	URL    string        `json:"url"`
	Field  string        `json:"field"`
	Done   []string      `json:"done"`
	Failed []string      `json:"failed"`
	Every  time.Duration `json:"every"`
}

// Main is the process that asks: it reads its work from its environment, says on out
// what happens, and returns the exit code.
func Main(ctx context.Context, out io.Writer) int {
	var w work
	if err := json.Unmarshal([]byte(os.Getenv(workEnv)), &w); err != nil {
		fmt.Fprintln(out, "this program is started by backout only")
		return exitFailed
	}
	_ = os.Unsetenv(workEnv)
	if !w.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, w.Deadline, errors.New("its time is up"))
		defer cancel()
	}
	err := w.run(ctx, out)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, backout.ErrInDoubt):
		fmt.Fprintln(out, strings.TrimPrefix(err.Error(), backout.ErrInDoubt.Error()+": "))
		return exitDoubt
	}
	fmt.Fprintln(out, err)
	return exitFailed
}

func (w work) run(ctx context.Context, out io.Writer) error {
	first, err := w.send(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s of %s answered %d\n", w.Method, w.URL, first.status)
	if yes := slices.Contains(w.Expect, first.status) || len(w.Expect) == 0 && first.status/100 == 2; !yes {
		return fmt.Errorf("the API said no: %d %s", first.status, first.excerpt())
	}
	if w.Poll == nil {
		return nil
	}
	return w.poll(ctx, out, first)
}

// send sends the request, once: what may have arrived is sent again only where the
// API knows the key.
func (w work) send(ctx context.Context) (answer, error) {
	var got answer
	err := retry.Do(ctx, retry.Policy{First: time.Second, Most: 30 * time.Second, Total: 5 * time.Minute}, func(ctx context.Context) error {
		var err error
		got, err = w.ask(ctx, w.Method, w.URL)
		var dial *net.OpError
		var stranger *tls.CertificateVerificationError
		switch unsent := errors.As(err, &dial) && dial.Op == "dial"; {
		case err == nil && w.Repeat && got.status >= 500:
			return fmt.Errorf("the API answered %d %s", got.status, got.excerpt())
		case errors.As(err, &stranger):
			return backout.Permanent(fmt.Errorf("nothing was sent, since the API's certificate cannot be trusted: name its CA in ca_file: %w", err))
		case err == nil, unsent, w.Repeat:
			return err
		}
		return backout.Permanent(fmt.Errorf("%w: it was asked, and no answer came: %w", backout.ErrInDoubt, err))
	})
	return got, err
}

// poll waits for one of the states that end it. An answer that cannot be had or read
// is waited out: what was begun goes on.
func (w work) poll(ctx context.Context, out io.Writer, first answer) error {
	at, err := w.pollURL(first)
	if err != nil {
		return fmt.Errorf("%w: it has begun, and cannot be followed: %w", backout.ErrInDoubt, err)
	}
	tick := time.NewTicker(w.Poll.Every)
	defer tick.Stop()
	for last := ""; ; {
		state, err := w.look(ctx, at)
		if err != nil {
			state = err.Error()
		}
		if state != last && ctx.Err() == nil {
			fmt.Fprintln(out, w.Poll.Field+":", state)
			last = state
		}
		switch {
		case err != nil:
		case slices.Contains(w.Poll.Done, state):
			return nil
		case slices.Contains(w.Poll.Failed, state):
			return fmt.Errorf("it ended as %q", state)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: it had begun and was not done when it was waited for no longer (%v): %s", backout.ErrInDoubt, context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}

// pollURL is where to look: at the same host, whatever the answer says, since the
// secret goes there.
func (w work) pollURL(first answer) (string, error) {
	base, err := url.Parse(w.URL)
	if err != nil {
		return "", err
	}
	text := w.Poll.URL
	if text == "" {
		if text = first.location; text == "" {
			return "", errors.New("its answer has no Location, and poll has no url")
		}
	}
	var missing []string
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		path := strings.TrimPrefix(strings.Trim(p, "{}"), "answer.")
		value, ok := first.field(path)
		if !ok || value == "" {
			missing = append(missing, path)
		}
		return url.PathEscape(value)
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("its answer has no %s", strings.Join(missing, ", "))
	}
	to, err := base.Parse(text)
	switch {
	case err != nil:
		return "", err
	case w.Poll.URL == "" && (to.Host != base.Host || to.Scheme != base.Scheme):
		return "", fmt.Errorf("its Location is at another host (%s)", to.Host)
	}
	return to.String(), nil
}

func (w work) look(ctx context.Context, at string) (string, error) {
	w.Body = nil
	got, err := w.ask(ctx, http.MethodGet, at)
	if err != nil {
		return "", err
	}
	state, ok := got.field(w.Poll.Field)
	if got.status != http.StatusOK || !ok {
		return "", fmt.Errorf("%d, and no %s in the answer", got.status, w.Poll.Field)
	}
	return state, nil
}

// answer is what an API said.
type answer struct {
	status   int
	location string
	body     []byte
}

const answerMax = 1 << 20

func (w work) ask(ctx context.Context, method, at string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(w.Body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range w.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "backout")
	req.Header.Set("Accept", "application/json")
	if len(w.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case w.Token != "":
		req.Header.Set("Authorization", "Bearer "+w.Token)
	case w.User != "":
		req.SetBasicAuth(w.User, w.Password)
	}
	client, err := w.client()
	if err != nil {
		return answer{}, err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	return answer{resp.StatusCode, resp.Header.Get("Location"), body}, err
}

func (w work) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.CAFile != "" {
		pem, err := os.ReadFile(w.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s holds no certificate", w.CAFile)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// field finds a value by its path; numbers as they stand.
func (a answer) field(path string) (string, bool) {
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = inner[name]; !ok {
			return "", false
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// excerpt is the beginning of an answer on one line.
func (a answer) excerpt() string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(a.body), "?")), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
