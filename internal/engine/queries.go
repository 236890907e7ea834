package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/rules"
)

// Querier asks Prometheus; [promql.Client] is one.
type Querier interface {
	Ask(ctx context.Context, query string) ([]promql.Sample, error)
}

const (
	// queryAge is how old an answer may be that a rule is judged by.
	queryAge = 15 * time.Second
	// queryTimeout is how long one answer may take.
	queryTimeout = 5 * time.Second
	// queryParallel is how many are asked at once, queriesKept how many are
	// remembered. More fail, and are tried again at the next pulse.
	queryParallel = 4
	queriesKept   = 2_000
	// queryIdle is how long a query is remembered that no rule wants.
	queryIdle = time.Minute
	// queryPause is how long nothing is asked after a failure; it doubles with each
	// up to queryPauseMost.
	queryPause     = 5 * time.Second
	queryPauseMost = time.Minute
)

// queries knows the answers to the queries of rules. Rules never wait: a query
// whose answer is not known, or too old, is asked by a lane of its own, and what
// waits for it is judged again.
type queries struct {
	from  func() Querier
	lane  *lane
	again func(target string)
	log   *slog.Logger
	asked func(result string)

	mu    sync.Mutex
	known map[string]*query
	// down pauses all queries while Prometheus itself does not answer.
	down pause
	// failing are the rules that were told of in the log, with the time of their
	// last failure.
	failing map[string]time.Time
}

// query is one query with its names filled in, and its last answer.
type query struct {
	from   Querier
	value  float64
	err    error
	at     time.Time // of the answer
	wanted time.Time
	asking bool
	pause  pause
	// targets wait for the answer; rules want it.
	targets []string
	rules   []string
}

// pause grows with each failure.
type pause struct {
	until time.Time
	next  time.Duration
}

func (p *pause) failed(now time.Time) {
	p.next = min(max(queryPause, 2*p.next), queryPauseMost)
	p.until = now.Add(p.next)
}

// queryError says that the answer to a query cannot be known.
type queryError struct{ err error }

// Error implements error.
func (e queryError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e queryError) Unwrap() error { return e.err }

func newQueries(e *Engine) *queries {
	q := &queries{
		from: func() Querier { return e.cfg().Queries }, again: e.judgeTarget, log: e.log,
		asked: func(result string) { e.metrics.queries.WithLabelValues(result).Inc() },
		known: map[string]*query{}, failing: map[string]time.Time{},
	}
	q.lane = &lane{most: queryParallel, spawn: e.spawn, do: q.ask}
	return q
}

// value is the answer to a query as far as it is known. It never waits.
func (q *queries) value(text, target string, now time.Time) (float64, error) {
	from := q.from()
	if from == nil {
		return 0, queryError{errors.New("no Prometheus is known: set prometheus.url in backout.yaml")}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.of(text, from, now)
	switch {
	case k == nil:
		// Not [rules.ErrNotYet]: nobody would be told that it waits, perhaps for ever.
		return 0, queryError{fmt.Errorf("%d other queries of rules are wanted already: it is tried again soon", queriesKept)}
	case !k.at.IsZero() && now.Sub(k.at) < queryAge && k.err == nil:
		return k.value, nil
	case k.err != nil && now.Before(k.pause.until):
		return 0, queryError{k.err}
	}
	if !slices.Contains(k.targets, target) {
		k.targets = append(k.targets, target)
	}
	if !k.asking {
		k.asking = true
		q.lane.add(text)
	}
	return 0, rules.ErrNotYet
}

// of remembers the query, and that it is wanted; nil while there are too many. The
// caller holds q.mu.
func (q *queries) of(text string, from Querier, now time.Time) *query {
	k := q.known[text]
	if k == nil {
		if len(q.known) >= queriesKept {
			q.forget(now)
		}
		if len(q.known) >= queriesKept {
			return nil
		}
		k = &query{}
		q.known[text] = k
	}
	if k.from != from && !k.asking {
		// The config was read again: who was asked may be another.
		*k = query{from: from, targets: k.targets, rules: k.rules}
	}
	k.wanted = now
	return k
}

// forget drops what no rule wants any more. The caller holds q.mu.
func (q *queries) forget(now time.Time) {
	for text, k := range q.known {
		if !k.asking && now.Sub(k.wanted) > queryIdle {
			delete(q.known, text)
		}
	}
	for rule, at := range q.failing {
		if now.Sub(at) > queryIdle {
			delete(q.failing, rule)
		}
	}
}

// ask asks one query, and judges again what waits for it.
func (q *queries) ask(ctx context.Context, text string) {
	q.mu.Lock()
	k, wait := q.known[text], q.down.until
	from := k.from
	q.mu.Unlock()
	var value float64
	err := errPaused
	if now := time.Now(); !now.Before(wait) {
		value, err = answer(ctx, from, text)
	}
	if ctx.Err() != nil {
		return
	}
	for _, target := range q.answered(text, value, err, time.Now()) {
		q.again(target)
	}
}

// errPaused stands for the failure that Prometheus gave before.
var errPaused = errors.New("no answer from Prometheus a moment ago, it is asked again soon")

// answered notes the answer and returns the targets that waited for it.
func (q *queries) answered(text string, value float64, err error, now time.Time) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.known[text]
	k.value, k.err, k.at, k.asking = value, err, now, false
	targets := k.targets
	k.targets = nil
	switch {
	case errors.Is(err, errPaused):
		k.pause.until = q.down.until
		q.asked("paused")
	case err != nil:
		k.pause.failed(now)
		if promql.IsDown(err) && !now.Before(q.down.until) {
			q.down.failed(now)
		}
		q.asked("failed")
	default:
		k.pause, q.down = pause{}, pause{}
		q.asked("ok")
		q.recovered(k, now)
	}
	return targets
}

// recovered tells of rules whose queries are answered again. Of several targets
// one may fail and another not, so it takes a while without a failure. The caller
// holds q.mu.
func (q *queries) recovered(k *query, now time.Time) {
	for _, rule := range k.rules {
		if at, ok := q.failing[rule]; ok && now.Sub(at) > queryIdle {
			delete(q.failing, rule)
			q.log.Info("the query of the rule is answered again", "rule", rule)
		}
	}
}

// wants notes who waits, so that it can be told when a failing rule works again.
func (q *queries) wants(w rules.Wait) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.known[w.Query]; k != nil && !slices.Contains(k.rules, w.Rule) {
		k.rules = append(k.rules, w.Rule)
	}
}

// news tells whether the failure of a rule's query is to be told: the first, and
// one after a while without any.
func (q *queries) news(rule string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	last, told := q.failing[rule]
	q.failing[rule] = now
	return !told || now.Sub(last) > queryIdle
}

// answer asks for the one number that a query must yield.
func answer(ctx context.Context, from Querier, text string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	samples, err := from.Ask(ctx, text)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("the query takes longer than %v", queryTimeout)
	case err != nil:
		return 0, err
	case len(samples) == 0:
		return 0, errors.New("the query yields no sample: write it so that it always yields one, such as … or vector(0)")
	case len(samples) > 1:
		return 0, fmt.Errorf("the query yields %d samples: it must yield one, such as sum(…)", len(samples))
	}
	if v := samples[0].Value; math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("the query yields %.20s, which is no number to compare with", samples[0].Text)
	}
	return samples[0].Value, nil
}
