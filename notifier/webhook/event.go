package webhook

import (
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Event is a notice as a CloudEvent 1.0 in structured JSON (github.com/cloudevents/spec,
// cloudevents/spec.md, and cloudevents/formats/json-format.md for its media type).
type Event struct {
	SpecVersion string `json:"specversion"`
	// ID and Source together name the notice: the same for every delivery of it.
	ID     string `json:"id"`
	Source string `json:"source"`
	// Type is io.backout.notice. and the moment.
	Type string `json:"type"`
	// Subject is the rollback, or the change where there is none.
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time,omitempty"`
	DataContentType string `json:"datacontenttype"`
	Data            Body   `json:"data"`
}

const (
	contentTypeEvent = "application/cloudevents+json; charset=UTF-8"
	typePrefix       = "io.backout.notice."
	timeForm         = "2006-01-02T15:04:05Z"
)

func (n *Notifier) event(m backout.Message) Event {
	source := n.config.Source
	if source == "" {
		source = defaultSource
	}
	e := Event{
		SpecVersion: "1.0", ID: notifier.Key(m.Notice.ID), Source: source, Type: typePrefix + "other", DataContentType: "application/json",
		Data: Body{Version: Version, Subject: m.Subject, Text: m.Text, Notice: m.Notice},
	}
	if slices.Contains(backout.Moments(), m.Notice.Moment) {
		e.Type = typePrefix + string(m.Notice.Moment)
	}
	about := m.Notice.RollbackID
	if about == "" {
		about = m.Notice.ChangeID
	}
	// Attributes hold no control characters (spec.md, type system: String).
	e.Subject = notifier.OneLine(notifier.Plain(about))
	if !m.Notice.At.IsZero() {
		e.Time = m.Notice.At.UTC().Format(timeForm)
	}
	return e
}
