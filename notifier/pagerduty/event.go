package pagerduty

import (
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// event is an alert event, or a change event when it has no action.
type event struct {
	RoutingKey string  `json:"routing_key"`
	Action     string  `json:"event_action,omitempty"`
	DedupKey   string  `json:"dedup_key,omitempty"`
	Client     string  `json:"client,omitempty"`
	ClientURL  string  `json:"client_url,omitempty"`
	Payload    payload `json:"payload"`
	Links      []link  `json:"links,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  notifier.Severity `json:"severity,omitempty"`
	Timestamp string            `json:"timestamp"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

const (
	trigger = "trigger"
	resolve = "resolve"

	maxSummary = 1024
	maxSource  = 250
)

// about says what becomes of which alert; no action means a change event.
func about(n backout.Notice) (action, key string) {
	switch n.Moment {
	case backout.MomentTest:
		return trigger, notifier.Key("backout.test." + n.ID)
	case backout.MomentMonitoringBlind:
		return trigger, "backout.monitoring"
	case backout.MomentMonitoringBack:
		return resolve, "backout.monitoring"
	case backout.MomentDrift:
		// After the end: the rollback's own alert is resolved, this one wants a look.
		return trigger, notifier.Key("backout.drift." + subject(n))
	case backout.MomentGateRefused, backout.MomentNotReady, backout.MomentReadyAgain, backout.MomentWindowOpened, backout.MomentWindowClosed, backout.MomentReopened:
		return "", ""
	}
	key = notifier.Key("backout." + subject(n))
	switch notifier.StateOf(n.Moment) {
	case notifier.StatePending, notifier.StateRunning:
		return trigger, key
	case notifier.StateEnded:
		return resolve, key
	case notifier.StateOK:
	}
	return "", ""
}

// subject is what an alert is kept for.
func subject(n backout.Notice) string {
	if n.RollbackID != "" {
		return n.RollbackID
	}
	return n.ChangeID
}

func compose(m backout.Message) event {
	n := m.Notice
	e := event{Payload: payload{
		Summary: notifier.Cut(notifier.OneLine(valid(m.Subject)), maxSummary), Source: source(n),
		Timestamp: n.At.UTC().Format(time.RFC3339), Details: details(m),
	}}
	if address := notifier.WebAddress(n.URL); address != "" {
		e.Links = []link{{address, "Open in backout"}}
	}
	if e.Action, e.DedupKey = about(n); e.Action == "" {
		return e
	}
	e.Client, e.ClientURL = "backout", notifier.WebAddress(n.URL)
	e.Payload.Severity = notifier.SeverityOf(n.Moment)
	e.Payload.Component, e.Payload.Group, e.Payload.Class = short(n.ChangeID), short(n.RollbackID), short(string(n.Moment))
	return e
}

// source names the affected systems, or whoever says so.
func source(n backout.Notice) string {
	if len(n.Targets) == 0 {
		return "backout"
	}
	names := make([]string, 0, len(n.Targets))
	for i, t := range n.Targets {
		if i == 3 {
			names = append(names, "and "+strconv.Itoa(len(n.Targets)-i)+" more")
			break
		}
		names = append(names, notifier.OneLine(notifier.Plain(t)))
	}
	return notifier.Cut(strings.Join(names, ", "), maxSource)
}

// details are what the incident shows. notice_id makes a second delivery
// recognisable.
func details(m backout.Message) map[string]string {
	n := m.Notice
	d := map[string]string{"notice_id": notifier.Key(n.ID), "moment": short(string(n.Moment)), "text": valid(m.Text)}
	for name, value := range map[string]string{
		"change": n.ChangeID, "rollback": n.RollbackID, "level": n.Level, "if_nobody_acts": n.IfNobodyActs, "lost_for_good": n.Loses, "why": n.Reason,
	} {
		if value != "" {
			d[name] = notifier.Plain(value)
		}
	}
	if !n.Deadline.IsZero() {
		d["deadline"] = n.Deadline.UTC().Format(time.RFC3339)
	}
	return d
}

func short(value string) string {
	return notifier.Cut(notifier.OneLine(notifier.Plain(value)), maxSource)
}

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
