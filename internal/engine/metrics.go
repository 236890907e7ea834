package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backout-io/backout"
)

// Metrics are the engine's collectors; see docs/metrics.md.
type Metrics struct {
	verdicts     *prometheus.CounterVec
	ruleErrors   prometheus.Counter
	queries      *prometheus.CounterVec
	attempts     prometheus.Counter
	changeStates *prometheus.CounterVec
	rollbacks    *prometheus.CounterVec
	escalations  *prometheus.CounterVec
	active       prometheus.Gauge
	held         prometheus.Gauge
	duration     prometheus.Histogram
	// blind and lastSeen ask what they show.
	blind    prometheus.GaugeFunc
	lastSeen prometheus.GaugeFunc
}

// NewMetrics makes the collectors; an engine has its own.
func NewMetrics() *Metrics {
	m := &Metrics{
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_verdicts_total", Help: "Verdicts of rules, by the rule's mode.",
		}, []string{"mode"}),
		ruleErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "backout_rule_errors_total", Help: "Rules that failed while judging an alert; they count as not matched.",
		}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_rule_queries_total", Help: "Queries of rules to Prometheus, by result: ok, failed, or paused because of a failure before.",
		}, []string{"result"}),
		attempts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "backout_attempts_total", Help: "Attempts of steps that this server set out to start.",
		}),
		changeStates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_change_state_entered_total", Help: "Changes that entered a state.",
		}, []string{"state"}),
		rollbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_rollback_status_entered_total", Help: "Rollbacks that entered a status.",
		}, []string{"status"}),
		escalations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backout_escalations_total", Help: "Levels that did not bring every target back, by cause.",
		}, []string{"cause"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "backout_rollbacks_active", Help: "Rollbacks that have not ended.",
		}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "backout_rollbacks_held", Help: "Rollbacks that need a human.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "backout_rollback_duration_seconds", Help: "From the opening of a rollback to its end.",
			Buckets: []float64{10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400},
		}),
	}
	m.watch(func() float64 { return 0 }, func() float64 { return 0 })
	m.begin()
	return m
}

// watch shows what is known of monitoring.
func (m *Metrics) watch(blind, lastSeen func() float64) {
	m.blind = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "backout_monitoring_blind", Help: "1 while the alert that always fires is missing: red targets may go unseen, and nothing counts as recovered.",
	}, blind)
	m.lastSeen = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "backout_monitoring_last_seen_timestamp_seconds", Help: "When the alert that always fires was seen last; 0 when it never was, or is not watched.",
	}, lastSeen)
}

// begin shows every known label value at 0: Prometheus' increase() does not see
// the first event of a series that comes into being with it.
func (m *Metrics) begin() {
	for _, s := range []backout.RollbackStatus{
		backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting, backout.RollbackHeld,
		backout.RollbackAborting, backout.RollbackRecovered, backout.RollbackExhausted, backout.RollbackAborted, backout.RollbackCancelled,
	} {
		m.rollbacks.WithLabelValues(string(s))
	}
	for _, s := range []backout.ChangeState{
		backout.ChangePlanned, backout.ChangeReady, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut,
		backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled,
	} {
		m.changeStates.WithLabelValues(string(s))
	}
	for _, mode := range []backout.Mode{backout.ModeShadow, backout.ModeAsk, backout.ModeAuto} {
		m.verdicts.WithLabelValues(string(mode))
	}
	for _, result := range []string{"ok", "failed", "paused"} {
		m.queries.WithLabelValues(result)
	}
	for _, cause := range []string{"time", "failure", "manual"} {
		m.escalations.WithLabelValues(cause)
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.verdicts, m.ruleErrors, m.queries, m.attempts, m.changeStates, m.rollbacks, m.escalations, m.active, m.held, m.duration,
		m.blind, m.lastSeen,
	}
}

// found counts a rollback that was active when this server started.
func (m *Metrics) found(r backout.Rollback) {
	m.active.Inc()
	if r.Status == backout.RollbackHeld {
		m.held.Inc()
	}
}

// rollback counts what a record made of a rollback.
func (m *Metrics) rollback(before, after backout.Rollback, rec backout.Record) {
	for _, ev := range rec.Events {
		if failed, ok := ev.(backout.LevelFailed); ok {
			m.escalations.WithLabelValues(failed.Cause).Inc()
		}
	}
	if before.Status == after.Status {
		return
	}
	m.rollbacks.WithLabelValues(string(after.Status)).Inc()
	was := before.ID != "" && !before.Status.Final()
	switch is := !after.Status.Final(); {
	case is && !was:
		m.active.Inc()
	case was && !is:
		m.active.Dec()
		m.duration.Observe(after.EndedAt.Sub(after.OpenedAt).Round(time.Millisecond).Seconds())
	}
	if after.Status == backout.RollbackHeld {
		m.held.Inc()
	} else if before.Status == backout.RollbackHeld {
		m.held.Dec()
	}
}
