package recorded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/replay"
)

// File opens a history of payloads: webhooks of version 4, and lists of alerts as
// Alertmanager's own API takes them, one JSON document after another. A document may
// stand as "body" in an object that says when it was received:
//
//	{"received_at": "2026-03-01T22:00:00Z", "body": {"version": "4", ...}}
//
// Where that is not said, the latest start or end that it tells of counts, or the
// time of the document before it if that is later. Of an alert in a list, of which
// only its end says whether it fires, the starts count.
//
// open opens the file, which is called name in errors.
func File(name string, open func() (io.ReadCloser, error), past replay.Past) Opener {
	return func(context.Context) (*History, error) {
		f, err := open()
		if err != nil {
			return nil, err
		}
		return &History{
			Past: past,
			Alerts: func(yield func(replay.Delivery, error) bool) {
				if err := readFile(f, func(d replay.Delivery) bool { return yield(d, nil) }); err != nil {
					yield(replay.Delivery{}, fmt.Errorf("%s: %w", name, err))
				}
			},
			Notes: func() []string { return nil }, Close: func() { _ = f.Close() },
		}, nil
	}
}

func readFile(r io.Reader, yield func(replay.Delivery) bool) error {
	documents, clock := newSplitter(r), steady{}
	var buffer []byte
	for {
		document, line, err := documents.next(buffer)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		buffer = document
		p, err := readPayload(document)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if p.told && p.at.Before(clock.last) {
			return fmt.Errorf("line %d: received at %s, before the one in front of it: sort the file by received_at: %w",
				line, p.at.Format(time.RFC3339), backout.ErrInvalid)
		}
		at := clock.at(p.at)
		for _, a := range p.alerts {
			if !yield(replay.Delivery{At: at, Alert: a}) {
				return nil
			}
		}
	}
}

// payload is one document; told says that it was told when it was received.
type payload struct {
	at     time.Time
	told   bool
	alerts []backout.Alert
}

func readPayload(document []byte) (payload, error) {
	var envelope struct {
		ReceivedAt time.Time       `json:"received_at"`
		Body       json.RawMessage `json:"body"`
	}
	if !isEnvelope(document) {
		return decodePayload(document, time.Time{})
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&envelope); err != nil {
		return payload{}, fmt.Errorf("%w: want received_at and body: %w", backout.ErrInvalid, err)
	}
	if len(envelope.Body) > 0 && envelope.Body[0] == '"' {
		var text string
		if err := json.Unmarshal(envelope.Body, &text); err != nil {
			return payload{}, fmt.Errorf("%w: body: %w", backout.ErrInvalid, err)
		}
		envelope.Body = json.RawMessage(text)
	}
	return decodePayload(envelope.Body, envelope.ReceivedAt.UTC())
}

// isEnvelope tells by the first key; no webhook begins so.
func isEnvelope(document []byte) bool {
	rest := bytes.TrimLeft(bytes.TrimPrefix(document, []byte("{")), " \t\r\n")
	return bytes.HasPrefix(rest, []byte(`"received_at"`)) || bytes.HasPrefix(rest, []byte(`"body"`))
}

func decodePayload(body []byte, received time.Time) (payload, error) {
	body = bytes.TrimSpace(body)
	p := payload{at: received, told: !received.IsZero()}
	if len(body) > 0 && body[0] == '[' {
		return p, p.list(body)
	}
	hook, err := alertwire.DecodeWebhook(body)
	if err != nil {
		return p, err
	}
	p.alerts = hook.Alerts
	if !p.told {
		for _, a := range p.alerts {
			p.at = latest(p.at, a.StartsAt, a.EndsAt)
		}
	}
	return p, nil
}

// list reads alerts of which only the end says whether they fire.
func (p *payload) list(body []byte) error {
	read := func(now time.Time) error {
		posted, err := alertwire.DecodePostable(body, now)
		if err == nil && len(posted.Invalid) > 0 {
			err = fmt.Errorf("%w: %s", backout.ErrInvalid, posted.Invalid[0])
		}
		p.alerts = posted.Alerts
		return err
	}
	if !p.told {
		if err := read(time.Time{}); err != nil {
			return err
		}
		for _, a := range p.alerts {
			p.at = latest(p.at, a.StartsAt)
		}
	}
	return read(p.at)
}

func latest(list ...time.Time) time.Time {
	var last time.Time
	for _, t := range list {
		if t.After(last) {
			last = t
		}
	}
	return last
}
