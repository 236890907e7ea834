package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// ErrTooLarge says that an answer is larger than is read.
var ErrTooLarge = errors.New("the answer is larger")

// Client asks one Prometheus. It may be used by any number of goroutines.
type Client struct {
	base  *url.URL
	token backout.Secret
	http  *http.Client
}

// NewClient asks the Prometheus at the URL, with the token as bearer token if
// there is one. It keeps no connection, so it needs no end.
func NewClient(prometheus string, token backout.Secret) (*Client, error) {
	base, err := url.Parse(prometheus)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("prometheus.url is not an http(s) URL")
	}
	return &Client{base, token, &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects") },
	}}, nil
}

// Sample is one value of an answer, and its text as Prometheus wrote it.
type Sample struct {
	Metric map[string]string
	Text   string
	Value  float64
}

// answer is the shape of Prometheus' HTTP API, "instant queries".
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// downError says that no answer came at all, to any query.
type downError struct{ error }

// Unwrap returns the cause.
func (e downError) Unwrap() error { return e.error }

// IsDown tells whether the error of [Client.Ask] is about Prometheus rather than
// about the query: asking something else now is of no use. An answer that takes too
// long is about the query.
func IsDown(err error) bool {
	var down downError
	return errors.As(err, &down) && !errors.Is(err, context.DeadlineExceeded)
}

// Ask runs an instant query and returns its samples; a scalar is one sample
// without labels. The texts of errors and labels come from outside.
func (c *Client) Ask(ctx context.Context, query string) ([]Sample, error) {
	a, err := c.ask(ctx, "api/v1/query", url.Values{"query": {query}}, maxBody)
	if err != nil {
		return nil, err
	}
	return a.samples()
}

// ask posts a form and reads an answer of bounded size.
func (c *Client) ask(ctx context.Context, path string, form url.Values, most int64) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "backout")
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, downError{fmt.Errorf("ask Prometheus: %w", err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return a, fmt.Errorf("ask Prometheus: %w", err)
	}
	if int64(len(body)) > most {
		return a, fmt.Errorf("ask Prometheus: %w than %d KiB", ErrTooLarge, most>>10)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		// Prometheus answers in JSON whatever the query: this is somebody else.
		return a, downError{fmt.Errorf("ask Prometheus: status %d and no JSON", resp.StatusCode)}
	}
	if a.Status != "success" || resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("ask Prometheus: status %d: %s", resp.StatusCode, oneLine(a.Error))
	}
	return a, nil
}

func (a answer) samples() ([]Sample, error) {
	type wire struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	var list []wire
	switch a.Data.ResultType {
	case "vector":
		if err := json.Unmarshal(a.Data.Result, &list); err != nil {
			return nil, errors.New("the answer has a vector that cannot be read")
		}
	case "scalar":
		list = make([]wire, 1)
		if err := json.Unmarshal(a.Data.Result, &list[0].Value); err != nil {
			return nil, errors.New("the answer has a scalar that cannot be read")
		}
	default:
		return nil, fmt.Errorf("the query yields a %s: it must yield a vector or a scalar", oneLine(a.Data.ResultType))
	}
	samples := make([]Sample, len(list))
	for i, s := range list {
		text, _ := s.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("the query yields %.40q, which is no number", text)
		}
		samples[i] = Sample{s.Metric, text, value}
	}
	return samples, nil
}

// oneLine keeps what a server said to one printable line.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}
