package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

const (
	// MaxPoints is how many points of a series Prometheus gives in one answer.
	MaxPoints = 11_000
	// maxRange is how much of the answer to a range query is read.
	maxRange = 64 << 20
)

// Series is a series of an answer: its labels, and the moments at which it has a
// value, in order.
type Series struct {
	Metric map[string]string
	At     []time.Time
}

// Range runs a range query and returns its series. From one moment to the next it is
// a step; more than [MaxPoints] of them are refused, and an answer that is too large
// is [ErrTooLarge].
func (c *Client) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, error) {
	if step <= 0 || to.Before(from) || to.Sub(from)/step >= MaxPoints {
		return nil, fmt.Errorf("ask Prometheus: %s in steps of %s are more than %d points", to.Sub(from), step, MaxPoints)
	}
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	a, err := c.ask(ctx, "api/v1/query_range", url.Values{
		"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, maxRange)
	if err != nil {
		return nil, err
	}
	if a.Data.ResultType != "matrix" {
		return nil, fmt.Errorf("ask Prometheus: a range query gave a %s", oneLine(a.Data.ResultType))
	}
	var wire []struct {
		Metric map[string]string      `json:"metric"`
		Values []([2]json.RawMessage) `json:"values"`
	}
	if err := json.Unmarshal(a.Data.Result, &wire); err != nil {
		return nil, errors.New("ask Prometheus: its answer is not what its API describes")
	}
	list := make([]Series, len(wire))
	for i, w := range wire {
		list[i] = Series{Metric: w.Metric, At: make([]time.Time, len(w.Values))}
		for j, v := range w.Values {
			at, err := strconv.ParseFloat(string(v[0]), 64)
			if err != nil {
				return nil, errors.New("ask Prometheus: its answer is not what its API describes")
			}
			list[i].At[j] = time.UnixMilli(int64(at*1000 + 0.5)).UTC()
		}
	}
	return list, nil
}
