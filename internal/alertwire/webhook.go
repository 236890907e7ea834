package alertwire

import (
	"slices"
	"strconv"

	"github.com/backout-io/backout"
)

// WebhookVersion is the only version of the webhook there is; Alertmanager has
// sent it since 0.6. Source: prometheus/alertmanager, notify/webhook.
const WebhookVersion = "4"

// GrafanaVersion is what Grafana's webhook contact points send in its place; their
// body is Alertmanager's with more fields. Source: Grafana's documentation,
// "Configure webhook notifications", and grafana/alerting, receivers/webhook.
const GrafanaVersion = "1"

// Webhook is one notification of Alertmanager, as far as backout reads it. The
// group's own status, labels and receiver are not kept: each alert has its own.
type Webhook struct {
	Alerts []backout.Alert
	// Truncated is how many alerts the sender left out because of its
	// max_alerts.
	Truncated int
	// Cut is how many values were longer than [MaxValue], or beyond [MaxPairs].
	Cut int
}

// DecodeWebhook reads the body of Alertmanager's webhook, or Grafana's. Unknown fields are
// accepted, since every second release adds one.
func DecodeWebhook(body []byte) (Webhook, error) {
	d := newDecoder(body)
	hook, err := d.webhook()
	if err != nil {
		return Webhook{}, err
	}
	hook.Cut = d.cut
	return hook, nil
}

func (d *decoder) webhook() (hook Webhook, err *Error) {
	var version field
	var seenAlerts bool
	err = d.object(func(key span) *Error {
		name := d.key(key)
		switch name {
		case "version":
			return d.optional(&version).under(name)
		case "truncatedAlerts":
			return d.count(&hook.Truncated).under(name)
		case "alerts":
			seenAlerts = true
			hook.Alerts = hook.Alerts[:0]
			return d.webhookAlerts(&hook.Alerts).under(name)
		}
		return d.skip()
	})
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return hook, err
	}
	if !version.set {
		return hook, d.fail(Missing, `missing, want "`+WebhookVersion+`": is the sender an Alertmanager webhook?`).under("version")
	}
	if v := d.text(version.span); v != WebhookVersion && v != GrafanaVersion {
		return hook, notOne(version, v, `"`+WebhookVersion+`"`).under("version")
	}
	if !seenAlerts {
		return hook, d.fail(Missing, "missing").under("alerts")
	}
	return hook, nil
}

func notOne(f field, got, want string) *Error {
	return &Error{Kind: Shape, Offset: f.at, What: quote(got) + ", want " + want}
}

func (d *decoder) webhookAlerts(into *[]backout.Alert) *Error {
	if null, err := d.null(); null || err != nil {
		return err
	}
	// Guessing by the usual size of an alert saves growing step by step.
	*into = slices.Grow(*into, min(128, (len(d.data)-d.pos)/512+1))
	return d.array(func(i int) *Error {
		if i == MaxAlerts {
			return d.fail(TooMany, "more than "+strconv.Itoa(MaxAlerts)+" alerts")
		}
		if err := d.alert(); err != nil {
			return err.underIndex(i)
		}
		alert, err := d.webhookAlert()
		if err != nil {
			return err.underIndex(i)
		}
		*into = append(*into, alert)
		return nil
	})
}

func (d *decoder) webhookAlert() (backout.Alert, *Error) {
	a := &d.raw
	alert, from := d.build()
	if len(alert.Labels) == 0 {
		return alert, d.missing("labels", "at least one label is needed")
	}
	if _, ok := alert.Labels[""]; ok {
		return alert, (&Error{Kind: Shape, Offset: a.labelsAt, What: "a label without a name"}).under("labels")
	}
	if !a.status.set {
		return alert, d.missing("status", `missing, want "firing" or "resolved"`)
	}
	switch status := from.value(a.status.span); status {
	case "firing":
		alert.Firing = true
	case "resolved":
	default:
		return alert, notOne(a.status, status, `"firing" or "resolved"`).under("status")
	}
	var ok bool
	if a.startsAt.set {
		if alert.StartsAt, ok = parseTime(from.value(a.startsAt.span)); !ok {
			return alert, notATime(a.startsAt).under("startsAt")
		}
	}
	if alert.StartsAt.IsZero() {
		return alert, d.missing("startsAt", "missing, want a time as in 2006-01-02T15:04:05Z")
	}
	if a.endsAt.set {
		if alert.EndsAt, ok = parseTime(from.value(a.endsAt.span)); !ok {
			return alert, notATime(a.endsAt).under("endsAt")
		}
	}
	return alert, nil
}

func (d *decoder) missing(name, what string) *Error {
	return (&Error{Kind: Missing, Offset: d.raw.start, What: what}).under(name)
}

func notATime(f field) *Error {
	return &Error{Kind: Shape, Offset: f.at, What: "not a time: want one as in 2006-01-02T15:04:05Z"}
}

// count reads a whole number that is not negative, or null.
func (d *decoder) count(into *int) *Error {
	*into = 0
	if null, err := d.null(); null || err != nil {
		return err
	}
	at := d.pos
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		return d.notA("a number")
	}
	s, err := d.number()
	if err != nil {
		return err
	}
	n, parseErr := strconv.ParseUint(string(d.data[s.start:s.end]), 10, 31)
	if parseErr != nil {
		return &Error{Kind: Shape, Offset: at, What: "must be a whole number from 0 up"}
	}
	*into = int(n)
	return nil
}
