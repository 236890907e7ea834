package recorded

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/internal/replay"
)

const (
	// firing is what Prometheus remembers of the alerts that fired.
	firing = `ALERTS{alertstate="firing"}`
	// maxChunk is how much is asked at once: an alert that fires on is told again with
	// each chunk, well before the evidence takes it for forgotten.
	maxChunk = 6 * time.Hour
	// DefaultStep is how exactly the beginnings and ends of alerts are known.
	DefaultStep = 15 * time.Second
)

// Ranger runs range queries, as [promql.Client] does.
type Ranger interface {
	Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]promql.Series, error)
}

// Prometheus opens the history of the alerts that a Prometheus remembers as series.
// When an alert began and ended is known to a step; one that fires at the very
// beginning counts as older. Annotations are not remembered.
func Prometheus(r Ranger, since, until time.Time, step time.Duration, past replay.Past) Opener {
	return func(ctx context.Context) (*History, error) {
		since = since.Truncate(step).UTC()
		p := &prometheus{r: r, since: since, until: until, step: step, on: map[string]*running{}}
		return &History{Past: past, Alerts: p.alerts(ctx), Notes: func() []string { return nil }, Close: func() {}}, nil
	}
}

type prometheus struct {
	r            Ranger
	since, until time.Time
	step         time.Duration
	// on are the alerts that fired at the end of the last chunk.
	on map[string]*running
}

// running is an alert that fires.
type running struct {
	labels      map[string]string
	began, last time.Time
}

func (p *prometheus) alerts(ctx context.Context) iter.Seq2[replay.Delivery, error] {
	return func(yield func(replay.Delivery, error) bool) {
		chunk := min(maxChunk, promql.MaxPoints*p.step).Truncate(p.step)
		for from := p.since; !from.After(p.until); {
			to := from.Add(chunk - p.step)
			if to.After(p.until) {
				to = p.until
			}
			list, err := p.r.Range(ctx, firing, from, to, p.step)
			if errors.Is(err, promql.ErrTooLarge) && chunk >= 2*p.step {
				chunk = (chunk / 2).Truncate(p.step)
				continue
			}
			if err != nil {
				yield(replay.Delivery{}, err)
				return
			}
			for _, d := range p.deliveries(list, to) {
				if !yield(d, nil) {
					return
				}
			}
			from = from.Add(chunk)
		}
	}
}

// deliveries are what Alertmanager would have told of the alerts of a chunk.
func (p *prometheus) deliveries(list []promql.Series, to time.Time) []replay.Delivery {
	var out []replay.Delivery
	before := p.on
	p.on = map[string]*running{}
	for _, s := range list {
		if len(s.At) == 0 {
			continue
		}
		labels := maps.Clone(s.Metric)
		delete(labels, "__name__")
		delete(labels, "alertstate")
		f := alertwire.Fingerprint(labels)
		run := before[f]
		delete(before, f)
		out = p.follow(out, f, labels, run, s.At, to)
	}
	for _, f := range slices.Sorted(maps.Keys(before)) {
		out = append(out, p.ended(f, before[f]))
	}
	slices.SortStableFunc(out, func(a, b replay.Delivery) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Alert.Fingerprint, b.Alert.Fingerprint))
	})
	return out
}

// follow goes along the moments at which one alert fired, in a chunk that goes to to;
// run is how it fired at the end of the last chunk.
func (p *prometheus) follow(out []replay.Delivery, f string, labels map[string]string, run *running, at []time.Time, to time.Time) []replay.Delivery {
	for i, t := range at {
		if run != nil && t.Sub(run.last) > p.step+p.step/2 {
			out = append(out, p.ended(f, run))
			run = nil
		}
		if run == nil {
			run = &running{labels: labels, began: t}
			if t.Equal(p.since) {
				run.began = t.Add(-p.step) // nobody knows since when
			}
		} else if i > 0 {
			run.last = t
			continue
		}
		run.last = t
		out = append(out, replay.Delivery{At: t, Alert: backout.Alert{Fingerprint: f, Firing: true, Labels: run.labels, StartsAt: run.began}})
	}
	if run.last.Add(p.step).After(to) {
		p.on[f] = run
		return out
	}
	return append(out, p.ended(f, run))
}

func (p *prometheus) ended(f string, run *running) replay.Delivery {
	end := run.last.Add(p.step)
	return replay.Delivery{At: end, Alert: backout.Alert{Fingerprint: f, Labels: run.labels, StartsAt: run.began, EndsAt: end}}
}
