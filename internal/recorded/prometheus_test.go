package recorded

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/internal/replay"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// series remembers when alerts fired, as spans of minutes.
type series struct {
	fired map[string][][2]int
	// most is how many points it gives at once; asked counts the questions.
	most, asked int
}

func (s *series) Range(_ context.Context, query string, from, to time.Time, step time.Duration) ([]promql.Series, error) {
	s.asked++
	if query != `ALERTS{alertstate="firing"}` || to.Before(from) {
		return nil, fmt.Errorf("asked for %s from %s to %s", query, from, to)
	}
	var list []promql.Series
	points := 0
	for name, spans := range s.fired {
		one := promql.Series{Metric: map[string]string{"__name__": "ALERTS", "alertname": name, "alertstate": "firing", "instance": "web-1"}}
		for at := from; !at.After(to); at = at.Add(step) {
			minute := at.Sub(noon).Minutes()
			for _, span := range spans {
				if minute >= float64(span[0]) && minute < float64(span[1]) {
					one.At = append(one.At, at)
					points++
				}
			}
		}
		if len(one.At) > 0 {
			list = append(list, one)
		}
	}
	if s.most > 0 && points > s.most {
		return nil, fmt.Errorf("a test: %w", promql.ErrTooLarge)
	}
	return list, nil
}

func TestPrometheusTellsWhatFired(t *testing.T) {
	s := &series{fired: map[string][][2]int{"Before": {{-60, 5}}, "Twice": {{1, 3}, {10, 12}}, "Long": {{30, 1000}}}}
	want := []string{
		"12:00:00 firing Before since 11:59:00", "12:01:00 firing Twice since 12:01:00", "12:03:00 resolved Twice since 12:01:00", "12:05:00 resolved Before since 11:59:00",
		"12:10:00 firing Twice since 12:10:00", "12:12:00 resolved Twice since 12:10:00", "12:30:00 firing Long since 12:30:00",
		// Told again with each chunk, so that it is not taken for forgotten.
		"18:00:00 firing Long since 12:30:00", "00:00:00 firing Long since 12:30:00", "04:40:00 resolved Long since 12:30:00",
	}
	until := noon.Add(17 * time.Hour)
	got, err := tell(t, Prometheus(s, noon, until, time.Minute, replay.Past{}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.asked != 3 {
		t.Errorf("asked %d times, want 3", s.asked)
	}
	// In smaller pieces it tells the same, but for the repetitions.
	s.most = 50
	small, err := tell(t, Prometheus(s, noon, until, time.Minute, replay.Past{}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once(want), once(small)); diff != "" {
		t.Errorf("in small pieces (-want +got):\n%s", diff)
	}
}

// once leaves out repetitions: the same firing told at another time.
func once(lines []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, line := range lines {
		if what := line[len("12:00:00 "):]; !seen[what] {
			seen[what] = true
			out = append(out, line)
		}
	}
	return out
}

type broken struct{}

func (broken) Range(context.Context, string, time.Time, time.Time, time.Duration) ([]promql.Series, error) {
	return nil, errors.New("it is away")
}

func TestPrometheusThatDoesNotAnswerIsAnError(t *testing.T) {
	if _, err := tell(t, Prometheus(broken{}, noon, noon.Add(time.Hour), time.Minute, replay.Past{})); err == nil {
		t.Error("a history without an answer")
	}
}
