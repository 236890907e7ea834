package checks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/internal/promql"
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
		client, err := promql.NewClient(o.PrometheusURL, o.PrometheusToken)
		if err != nil {
			return nil, backout.Permanent(err)
		}
		return promqlCheck{c, client}, nil
	})
}

// Validate refuses queries whose placeholders cannot be filled safely.
func (c *PromQL) Validate() error {
	if strings.TrimSpace(c.Query) == "" {
		return errors.New("query is empty")
	}
	if _, err := promql.Fill(c.Query, "name", "address"); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}

type promqlCheck struct {
	c      PromQL
	client *promql.Client
}

// Check implements [Checker].
func (p promqlCheck) Check(ctx context.Context, s Subject) Result {
	target, address, err := promql.Names(s.Target)
	if err != nil {
		return red("%v", err)
	}
	query, err := promql.Fill(p.c.Query, target, address)
	if err != nil {
		return red("query: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(p.c.Timeout, 5*time.Second))
	defer cancel()
	samples, err := p.client.Ask(ctx, query)
	if err != nil {
		return red("%v", err)
	}
	return judge(samples)
}

// judge makes the result of an answer's samples.
func judge(samples []promql.Sample) Result {
	if len(samples) == 0 {
		return red("the query yields no sample")
	}
	for _, s := range samples {
		if s.Value == 0 || math.IsNaN(s.Value) {
			return red("the query yields %s for %v", s.Text, s.Metric)
		}
	}
	return green("%d samples, none of them 0", len(samples))
}
