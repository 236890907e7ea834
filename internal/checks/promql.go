package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// PromQL is the section of a promql check: an instant query that is green when
// it yields at least one sample, and every sample is a number other than 0.
//
// A comparison drops the samples it is false for: `up{job="web"} == 1` is green
// while one of three is up. Write it so that false is 0: `up{job="web"} == bool
// 1`, or `min(up{job="web"})`.
type PromQL struct {
	// Query may hold {target} and {address}, inside a string literal or as one
	// of their own: up{instance="{address}:9100"}, up{host={target}}. The address
	// is without port.
	Query string `json:"query" yaml:"query" doc:"green when there is a sample and none is 0 or NaN (write == bool); {target} and {address} stand for the target"`
	// Timeout is 5 s when zero.
	Timeout backout.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty" doc:"red when it takes longer"`
}

func promqlKind(o Options) Kind {
	return plugin.Define("promql", "ask Prometheus; every sample must be there and not 0", func(_ context.Context, c PromQL) (Checker, error) {
		if o.PrometheusURL == "" {
			return nil, backout.Permanent(errors.New("promql checks ask Prometheus: set prometheus.url in backout.yaml"))
		}
		base, err := url.Parse(o.PrometheusURL)
		if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
			return nil, backout.Permanent(errors.New("prometheus.url is not an http(s) URL"))
		}
		client := &http.Client{
			// A checker has no end, so it keeps no connection.
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects") },
		}
		return promqlCheck{c, base.JoinPath("api/v1/query").String(), o.PrometheusToken, client}, nil
	})
}

// Validate refuses queries whose placeholders cannot be filled safely.
func (c *PromQL) Validate() error {
	if strings.TrimSpace(c.Query) == "" {
		return errors.New("query is empty")
	}
	_, err := fillQuery(c.Query, "name", "address")
	return err
}

// fillQuery puts the names in as text of string literals. The lexical rules are
// those of Prometheus: strings in " and ' take escapes, those in ` do not; # begins
// a comment.
func fillQuery(query, target, address string) (string, error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		value, width := "", 0
		switch {
		case strings.HasPrefix(query[i:], "{target}"):
			value, width = target, len("{target}")
		case strings.HasPrefix(query[i:], "{address}"):
			value, width = address, len("{address}")
		}
		switch {
		case width > 0 && quote == '`':
			return "", errors.New("query: a placeholder cannot stand in a string in backquotes: use double quotes")
		case width > 0 && quote == '#':
			b.WriteString("-")
			i += width - 1
		case width > 0:
			text := strconv.Quote(value)
			if quote != 0 {
				text = strings.ReplaceAll(text[1:len(text)-1], "'", `\'`)
			}
			b.WriteString(text)
			i += width - 1
		case quote == '#':
			if c == '\n' {
				quote = 0
			}
			b.WriteByte(c)
		case c == '\\' && quote != 0 && quote != '`' && i+1 < len(query):
			b.WriteByte(c)
			i++
			b.WriteByte(query[i])
		default:
			switch {
			case quote == c:
				quote = 0
			case quote == 0 && strings.IndexByte("\"'`#", c) >= 0:
				quote = c
			}
			b.WriteByte(c)
		}
	}
	if quote != 0 && quote != '#' {
		return "", fmt.Errorf("query: the string that begins with %c does not end", quote)
	}
	return b.String(), nil
}

type promqlCheck struct {
	c      PromQL
	url    string
	token  backout.Secret
	client *http.Client
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

// Check implements [Checker].
func (p promqlCheck) Check(ctx context.Context, s Subject) Result {
	target, address, err := names(s.Target)
	if err != nil {
		return red("%v", err)
	}
	query, err := fillQuery(p.c.Query, target, address)
	if err != nil {
		return red("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(p.c.Timeout, 5*time.Second))
	defer cancel()
	a, err := p.ask(ctx, query)
	if err != nil {
		return red("ask Prometheus: %v", err)
	}
	return judge(a)
}

func (p promqlCheck) ask(ctx context.Context, query string) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(url.Values{"query": {query}}.Encode()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "backout")
	if !p.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+p.token.Reveal())
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("status %d and no JSON", resp.StatusCode)
	}
	if a.Status != "success" || resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("status %d: %s", resp.StatusCode, a.Error)
	}
	return a, nil
}

// judge makes the result of an answer's samples.
func judge(a answer) Result {
	var samples []struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	switch a.Data.ResultType {
	case "vector":
		if err := json.Unmarshal(a.Data.Result, &samples); err != nil {
			return red("Prometheus answers a vector that cannot be read")
		}
	case "scalar":
		var value [2]any
		if err := json.Unmarshal(a.Data.Result, &value); err != nil {
			return red("Prometheus answers a scalar that cannot be read")
		}
		samples = append(samples, struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
		}{Value: value})
	default:
		return red("the query yields a %s: it must yield a vector or a scalar", a.Data.ResultType)
	}
	if len(samples) == 0 {
		return red("the query yields no sample")
	}
	for _, s := range samples {
		text, _ := s.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || value == 0 || math.IsNaN(value) {
			return red("the query yields %s for %v", text, s.Metric)
		}
	}
	return green("%d samples, none of them 0", len(samples))
}
