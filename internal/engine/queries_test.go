package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/rules"
)

// fakePrometheus answers every query with the same samples or error.
type fakePrometheus struct {
	mu      sync.Mutex
	samples []promql.Sample
	err     error
	takes   time.Duration
	asked   []string
	running int
	most    int
}

func (f *fakePrometheus) Ask(ctx context.Context, query string) ([]promql.Sample, error) {
	f.mu.Lock()
	f.asked = append(f.asked, query)
	f.running++
	f.most = max(f.most, f.running)
	takes := f.takes
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.samples, f.err
}

func (f *fakePrometheus) says(values ...float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.samples = nil, nil
	for _, v := range values {
		f.samples = append(f.samples, promql.Sample{Text: fmt.Sprint(v), Value: v})
	}
}

func (f *fakePrometheus) fails(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// asking is queries in virtual time, with what they tell.
type asking struct {
	*queries
	prometheus *fakePrometheus
	logs       strings.Builder
	judged     []string
	mu         sync.Mutex
}

func withQueries(t *testing.T, test func(t *testing.T, a *asking)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &asking{prometheus: &fakePrometheus{takes: 100 * time.Millisecond}}
		a.queries = &queries{
			from: func() Querier { return a.prometheus }, log: slog.New(slog.NewTextHandler(&a.logs, nil)), asked: func(string) {},
			known: map[string]*query{}, failing: map[string]time.Time{},
			again: func(target string) {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.judged = append(a.judged, target)
			},
		}
		ctx, end := context.WithCancel(t.Context())
		var all sync.WaitGroup
		spawn := func(fn func(context.Context)) { all.Go(func() { fn(ctx) }) }
		a.lane = &lane{most: queryParallel, spawn: spawn, do: a.ask}
		test(t, a)
		end()
		all.Wait()
	})
}

// want asks for the value now.
func (a *asking) want(text, target string) (float64, error) { return a.value(text, target, time.Now()) }

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAQueryIsAskedOnceAndJudgedAgain(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		a.prometheus.says(0.75)
		for _, target := range []string{"web-1", "web-2", "web-1"} {
			if _, err := a.want("q", target); !errors.Is(err, rules.ErrNotYet) {
				t.Fatalf("error %v", err)
			}
		}
		after(200 * time.Millisecond)
		if v, err := a.want("q", "web-1"); v != 0.75 || err != nil {
			t.Errorf("value %v, error %v", v, err)
		}
		if !slices.Equal(a.judged, []string{"web-1", "web-2"}) || len(a.prometheus.asked) != 1 {
			t.Errorf("judged %v, asked %v", a.judged, a.prometheus.asked)
		}
		// An answer is not used for longer than its age.
		after(queryAge - 300*time.Millisecond)
		if _, err := a.want("q", "web-1"); err != nil {
			t.Errorf("error %v", err)
		}
		after(200 * time.Millisecond)
		if _, err := a.want("q", "web-1"); !errors.Is(err, rules.ErrNotYet) {
			t.Errorf("error %v", err)
		}
	})
}

// TestHostileAnswersFailTheRule: only one finite number is an answer.
func TestHostileAnswersFailTheRule(t *testing.T) {
	for want, values := range map[string][]float64{
		"no sample": {}, "2 samples": {1, 1}, "NaN": {math.NaN()}, "+Inf": {math.Inf(1)}, "-Inf": {math.Inf(-1)},
	} {
		withQueries(t, func(t *testing.T, a *asking) {
			a.prometheus.says(values...)
			_, _ = a.want("q", "web-1")
			after(time.Second)
			_, err := a.want("q", "web-1")
			var failed queryError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %v", values, err)
			}
		})
	}
}

func TestFailuresPauseLongerEachTime(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		a.prometheus.fails(errors.New("parse error"))
		var failed queryError
		for i := range 600 {
			if _, err := a.want("bad", "web-1"); !errors.Is(err, rules.ErrNotYet) && !errors.As(err, &failed) {
				t.Fatalf("error %v", err)
			}
			if i == 20 {
				// The trouble of one query is not that of another.
				if _, err := a.want("other", "web-1"); !errors.Is(err, rules.ErrNotYet) {
					t.Errorf("error %v", err)
				}
			}
			after(time.Second)
		}
		// 5, 10, 20, 40, then 60 seconds.
		if n := len(a.prometheus.asked) - 1; n < 10 || n > 15 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
		a.prometheus.says(1)
		after(time.Minute)
		_, _ = a.want("bad", "web-1")
		after(time.Second)
		if v, err := a.want("bad", "web-1"); v != 1 || err != nil {
			t.Errorf("value %v, error %v", v, err)
		}
	})
}

func TestAPrometheusThatIsDownIsLeftAlone(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		nobody, err := promql.NewClient("http://127.0.0.1:1", backout.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		_, down := nobody.Ask(t.Context(), "up")
		a.prometheus.fails(down)
		for range 60 {
			for i := range 100 {
				_, _ = a.want(fmt.Sprintf("q%d", i), "web-1")
			}
			after(time.Second)
		}
		if n := len(a.prometheus.asked); n > 5*queryParallel {
			t.Errorf("asked %d times in a minute", n)
		}
		a.prometheus.says(1)
		after(time.Minute)
		_, _ = a.want("q1", "web-1")
		after(time.Second)
		if _, err := a.want("q1", "web-1"); err != nil {
			t.Errorf("error %v", err)
		}
	})
}

func TestQueriesAreBounded(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		a.prometheus.says(1)
		for i := range 3 * queriesKept {
			// What cannot be asked is an error, which is told: nobody waits for it for ever.
			_, err := a.want(fmt.Sprintf("q%d", i), "web-1")
			var failed queryError
			if asked := i < queriesKept; errors.Is(err, rules.ErrNotYet) != asked || errors.As(err, &failed) == asked {
				t.Fatalf("query %d: %v", i, err)
			}
		}
		if len(a.known) != queriesKept {
			t.Errorf("%d are kept", len(a.known))
		}
		after(queriesKept * 100 * time.Millisecond / queryParallel)
		if a.prometheus.most != queryParallel {
			t.Errorf("%d were asked at once", a.prometheus.most)
		}
		after(2 * queryIdle)
		_, _ = a.want("new", "web-1")
		if len(a.known) != 1 {
			t.Errorf("%d are kept that nobody wants", len(a.known)-1)
		}
	})
}

func TestASlowAnswerIsGivenUpAndHoldsUpNobodyForLong(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		a.prometheus.takes = time.Hour
		_, _ = a.want("slow", "web-1")
		after(queryTimeout + time.Second)
		if _, err := a.want("slow", "web-1"); err == nil || !strings.Contains(err.Error(), "takes longer than 5s") {
			t.Errorf("error %v", err)
		}
		a.prometheus.takes = 0
		a.prometheus.says(1)
		_, _ = a.want("fast", "web-1")
		after(time.Second)
		if _, err := a.want("fast", "web-1"); err != nil {
			t.Errorf("error %v", err)
		}
	})
}

func TestAnotherPrometheusIsAskedAnew(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		a.prometheus.says(1)
		_, _ = a.want("q", "web-1")
		after(time.Second)
		a.prometheus = &fakePrometheus{}
		a.prometheus.says(2)
		if _, err := a.want("q", "web-1"); !errors.Is(err, rules.ErrNotYet) {
			t.Errorf("error %v", err)
		}
		after(time.Second)
		if v, _ := a.want("q", "web-1"); v != 2 {
			t.Errorf("value %v", v)
		}
		a.from = func() Querier { return nil }
		if _, err := a.want("q", "web-1"); err == nil || !strings.Contains(err.Error(), "set prometheus.url") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAFailingRuleIsToldOnceUntilItWorksAgain(t *testing.T) {
	withQueries(t, func(t *testing.T, a *asking) {
		told := 0
		for range 100 {
			if a.news("R", time.Now()) {
				told++
			}
			after(5 * time.Second)
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		a.prometheus.says(1)
		_, _ = a.want("q", "web-1")
		a.wants(rules.Wait{Rule: "R", Query: "q", Target: "web-1"})
		after(2 * queryIdle)
		_, _ = a.want("q", "web-1")
		after(time.Second)
		if got := strings.Count(a.logs.String(), "answered again"); got != 1 || len(a.failing) != 0 {
			t.Errorf("logs %s", a.logs.String())
		}
		if !a.news("R", time.Now()) {
			t.Error("a new failure is not told")
		}
	})
}
