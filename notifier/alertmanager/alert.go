package alertmanager

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// alert is one in the shape of Alertmanager's API, postableAlert and gettableAlert of
// its OpenAPI file (api/v2/openapi.yaml).
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// ends tells the moments after which nothing fires.
func ends(m backout.Moment) bool {
	return notifier.StateOf(m) == notifier.StateEnded ||
		slices.Contains([]backout.Moment{backout.MomentReadyAgain, backout.MomentWindowClosed, backout.MomentMonitoringBack}, m)
}

// replaces lists the moments whose alerts end when this one is told; none for those
// that stand by themselves.
func replaces(m backout.Moment) []backout.Moment {
	unready := []backout.Moment{backout.MomentGateRefused, backout.MomentNotReady}
	switch m {
	case backout.MomentDrift, backout.MomentReopened, backout.MomentTest:
		return nil
	case backout.MomentGateRefused, backout.MomentNotReady, backout.MomentReadyAgain, backout.MomentWindowOpened:
		return unready
	case backout.MomentWindowClosed:
		return append(unready, backout.MomentWindowOpened)
	case backout.MomentMonitoringBlind, backout.MomentMonitoringBack:
		return []backout.Moment{backout.MomentMonitoringBlind}
	}
	var rest []backout.Moment
	for _, other := range backout.Moments() {
		if !slices.Contains(aside, other) {
			rest = append(rest, other)
		}
	}
	return rest
}

// aside are the moments that are none of a rollback's own.
var aside = []backout.Moment{
	backout.MomentGateRefused, backout.MomentNotReady, backout.MomentReadyAgain, backout.MomentWindowOpened, backout.MomentWindowClosed,
	backout.MomentMonitoringBlind, backout.MomentMonitoringBack, backout.MomentDrift, backout.MomentReopened, backout.MomentTest,
}

// compose writes the alert of a notice, that ends after keep or, when nothing fires any
// more, now.
func (c *Config) compose(m backout.Message, now time.Time) alert {
	n := m.Notice
	a := alert{Labels: map[string]string{}, Annotations: annotations(m), StartsAt: n.At, EndsAt: now, GeneratorURL: notifier.WebAddress(n.URL)}
	if a.StartsAt.IsZero() || a.StartsAt.After(now) {
		a.StartsAt = now
	}
	if !ends(n.Moment) {
		keep := time.Duration(c.Keep)
		if keep == 0 {
			keep = defaultKeep
		}
		if n.Deadline.After(now) {
			a.EndsAt = n.Deadline
		}
		a.EndsAt = a.EndsAt.Add(keep)
	}
	label := func(name, value string) {
		if value = word(value); value != "" {
			a.Labels[name] = value
		}
	}
	for name, value := range c.Labels {
		label(name, value)
	}
	for _, name := range c.ChangeLabels {
		label(name, n.Labels[name])
	}
	label("alertname", name(n))
	label("moment", string(n.Moment))
	label("severity", string(notifier.SeverityOf(n.Moment)))
	label("change", n.ChangeID)
	label("rollback", n.RollbackID)
	label("level", n.Level)
	return a
}

// name is BackoutRollbackLevelStarted for a moment of a rollback, BackoutGateRefused
// for one of a change.
func name(n backout.Notice) string {
	b := backout.OwnAlertPrefix
	if n.RollbackID != "" {
		b += "Rollback"
	}
	for part := range strings.SplitSeq(string(n.Moment), "_") {
		if part != "" {
			b += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return b
}

// word makes a value fit for a label.
func word(value string) string {
	return notifier.Cut(notifier.OneLine(notifier.Plain(value)), notifier.MaxSubject)
}

// annotations are the words. notice_id makes a second delivery recognisable.
func annotations(m backout.Message) map[string]string {
	n := m.Notice
	a := map[string]string{
		"notice_id": notifier.Key(n.ID), "summary": notifier.OneLine(strings.ToValidUTF8(m.Subject, "\uFFFD")), "description": strings.ToValidUTF8(m.Text, "\uFFFD"),
	}
	if n.IfNobodyActs != "" {
		a["if_nobody_acts"] = notifier.Plain(n.IfNobodyActs)
	}
	if !n.Deadline.IsZero() {
		a["deadline"] = n.Deadline.UTC().Format(time.RFC3339)
	}
	if len(n.Targets) > 0 {
		a["targets"] = few(n.Targets)
	}
	return a
}

func few(targets []string) string {
	const most = 10
	var names []string
	for i, t := range targets {
		if i == most {
			names = append(names, "and "+strconv.Itoa(len(targets)-most)+" more")
			break
		}
		names = append(names, word(t))
	}
	return strings.Join(names, ", ")
}
