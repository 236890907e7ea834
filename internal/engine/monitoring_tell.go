package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// tell hands over the notices of a blindness. They are made of the document alone, so
// two servers that hand the same one over tell it once; what is in the outbox is not
// handed over again.
func (m *monitoring) tell(ctx context.Context, cfg *Monitoring) error {
	m.mu.Lock()
	next := m.known
	m.mu.Unlock()
	now := &next.Now
	if now.Since.IsZero() || now.Told && (now.on() || now.ToldBack) {
		return nil
	}
	if !now.Told {
		if err := m.send(ctx, cfg, blindNotice(*now, cfg)); err != nil {
			return err
		}
		now.Told = true
	}
	if !now.on() && !now.ToldBack {
		if err := m.send(ctx, cfg, backNotice(*now)); err != nil {
			return err
		}
		now.ToldBack = true
	}
	return m.write(ctx, next)
}

func (m *monitoring) send(ctx context.Context, cfg *Monitoring, n backout.Notice) error {
	if base := m.e.cfg().ExternalURL; base != "" {
		n.URL = base + "/"
	}
	for _, audience := range cfg.Audience {
		n.Audience = audience
		err := m.e.sender.Send(ctx, n)
		if backout.IsPermanent(err) {
			m.e.log.Error("notice has no way out", "notice_id", n.ID, "moment", n.Moment, "audience", n.Audience, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func noticeOf(s blindSpan, moment backout.Moment, at time.Time) backout.Notice {
	return backout.Notice{ID: fmt.Sprintf("monitoring.%d.%s", s.Since.UnixNano(), moment), Moment: moment, At: at}
}

func blindNotice(s blindSpan, cfg *Monitoring) backout.Notice {
	n := noticeOf(s, backout.MomentMonitoringBlind, s.Since)
	n.Summary = "the alert that always fires (" + cfg.Watchdog.String() + ") is missing"
	n.Reason = "it has not come since this server started to wait for it"
	if !s.LastSeen.IsZero() {
		n.Reason = "it was seen last at " + s.LastSeen.UTC().Format(time.RFC3339)
	}
	n.IfNobodyActs = "red targets may go unseen, nothing counts as recovered, and the clocks of rollbacks under way run on to their next levels"
	return n
}

func backNotice(s blindSpan) backout.Notice {
	n := noticeOf(s, backout.MomentMonitoringBack, s.Until)
	n.Summary = "the alert that always fires is here again"
	n.Reason = blindFrom(s)
	return n
}

// blindFrom says when monitoring was blind.
func blindFrom(s blindSpan) string {
	return fmt.Sprintf("monitoring was blind from %s to %s (%s)", s.Since.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339),
		backout.Duration(s.Until.Sub(s.Since).Round(time.Second)))
}

// during says when monitoring was blind between the times; empty when it never was.
func (m *monitoring) during(from, to time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	cfg := m.e.cfg().Monitoring
	if cfg == nil || from.IsZero() {
		return ""
	}
	now, blind := m.blind(cfg, to)
	var past []blindSpan
	for _, s := range append([]blindSpan{m.known.Now}, m.known.Spans...) {
		if s.on() && !blind {
			s.Until = to // it is over, and about to be recorded
		}
		if s.Until.After(from) && s.Since.Before(to) {
			past = append(past, s)
		}
	}
	text := ""
	switch len(past) {
	case 0:
	case 1:
		text = blindFrom(past[0])
	default:
		var all time.Duration
		for _, s := range past {
			all += s.Until.Sub(s.Since)
		}
		text = fmt.Sprintf("monitoring was blind %d times, for %s in all", len(past), backout.Duration(all.Round(time.Second)))
	}
	if blind {
		if text != "" {
			text += ", and "
		}
		text += "monitoring is blind since " + now.Since.UTC().Format(time.RFC3339)
	}
	return text
}

// Monitoring implements [handlers.Control].
func (e *Engine) Monitoring(context.Context) (handlers.MonitoringStatus, error) {
	cfg := e.cfg().Monitoring
	if cfg == nil {
		return handlers.MonitoringStatus{}, nil
	}
	m := e.monitoring
	m.mu.Lock()
	defer m.mu.Unlock()
	span, blind := m.blind(cfg, time.Now())
	out := handlers.MonitoringStatus{
		Watched: true, Blind: blind, LastSeen: m.dogs.last().UTC(), Watchdog: cfg.Watchdog.String(), MissingAfter: backout.Duration(cfg.MissingAfter),
	}
	if blind {
		out.BlindSince = span.Since
		out.LastSeen = latest(out.LastSeen, span.LastSeen).UTC()
	}
	return out, nil
}

// blindNow and lastSeen are for metrics.
func (m *monitoring) blindNow() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, blind := m.blind(m.e.cfg().Monitoring, time.Now()); blind {
		return 1
	}
	return 0
}

func (m *monitoring) lastSeen() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.dogs.last()
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
