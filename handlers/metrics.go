package handlers

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is the server's own registry with the numbers of this package in it.
// Others register their collectors with Registry.
type Metrics struct {
	Registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	panics    prometheus.Counter
	alerts    *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	truncated *prometheus.CounterVec
	cut       prometheus.Counter
}

// NewMetrics makes a registry of its own, with Go's and the process's numbers.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_http_requests_total", Help: "Requests answered, by route and status code.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "backout_http_request_duration_seconds", Help: "Time from the request's headers to the end of the answer; event streams are left out.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "backout_http_requests_in_flight", Help: "Requests being answered now.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "backout_http_panics_total", Help: "Requests that hit a bug.",
		}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_intake_alerts_total", Help: "Alerts taken in, by sender and status.",
		}, []string{"source", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_intake_rejected_total", Help: "Requests with alerts that were not taken, by reason.",
		}, []string{"reason"}),
		truncated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_intake_truncated_alerts_total", Help: "Alerts that senders left out because of max_alerts.",
		}, []string{"source"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "backout_intake_cut_values_total", Help: "Label and annotation values that were not kept whole, or not at all, because they were too long or too many.",
		}),
	}
	// Prometheus' increase() does not see the first event of a series that comes
	// into being with it.
	for _, reason := range []string{
		"unauthenticated", "wrong_signature", "expired_signature", "missing_timestamp", "replayed", "forbidden", "content_type", "too_large", "invalid", "overloaded", "unavailable", "stalled", "cancelled", "internal",
	} {
		m.rejected.WithLabelValues(reason)
	}
	m.Registry.MustRegister(m.requests, m.durations, m.inFlight, m.panics, m.alerts, m.rejected, m.truncated, m.cut,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch shows how many requests wait. A second handler on the same registry
// would show its own in vain: the first stays.
func (m *Metrics) watch(intake, streams *admission) {
	gauge := func(name, help string, value func() float64) {
		_ = m.Registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("backout_intake_waiting", "Requests with alerts that wait for the storage.", func() float64 { return float64(intake.count.Load()) })
	gauge("backout_intake_waiting_bytes", "Bytes of alerts that wait for the storage.", func() float64 { return float64(intake.bytes.Load()) })
	gauge("backout_http_event_streams", "Event streams that are open.", func() float64 { return float64(streams.count.Load()) })
}

// routeMetrics are one route's numbers, looked up once.
type routeMetrics struct {
	m        *Metrics
	route    string
	ok       prometheus.Counter
	duration prometheus.Observer
}

func (m *Metrics) route(name string) routeMetrics {
	return routeMetrics{m: m, route: name, ok: m.requests.WithLabelValues(name, "200"), duration: m.durations.WithLabelValues(name)}
}

func (r *routeMetrics) answered(status int, took time.Duration, stream bool) {
	if status == 200 {
		r.ok.Inc()
	} else {
		r.m.requests.WithLabelValues(r.route, strconv.Itoa(status)).Inc()
	}
	if !stream {
		r.duration.Observe(took.Seconds())
	}
}
