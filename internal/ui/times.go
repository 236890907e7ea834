package ui

import (
	"fmt"
	"html/template"
	"time"

	"github.com/backout-io/backout"
)

// stamp is a time element: assets/page.js writes what it says, in the reader's zone and
// as of now. kind says how: abs, rel, count or clock. A live page leaves relative times to it.
func (v *view) stamp(kind string, t time.Time, text string) template.HTML {
	if t.IsZero() {
		return ""
	}
	if v.live && kind != "abs" {
		text = absolute(t)
	}
	utc := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return template.HTML(`<time class="` + kind + `" datetime="` + utc + `">` + text + `</time>`) //nolint:gosec // made of numbers
}

func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// At says when, in UTC until the reader wants their own zone.
func (v *view) At(t time.Time) template.HTML { return v.stamp("abs", t, absolute(t)) }

// Rel says how long until then, or since.
func (v *view) Rel(t time.Time) template.HTML { return v.stamp("rel", t, relative(v.Now, t)) }

// Count is a countdown.
func (v *view) Count(t time.Time) template.HTML { return v.stamp("count", t, countdown(t.Sub(v.Now))) }

// Clock is what time it is at the server: as of then, until the page goes on with it.
func (v *view) Clock(t time.Time) template.HTML { return v.stamp("clock", t, absolute(t)) }

// relative says "in 4m10s" or "12s ago".
func relative(now, t time.Time) string {
	d := t.Sub(now).Round(time.Second)
	switch {
	case d > 0:
		return "in " + lasting(d)
	case d < 0:
		return lasting(-d) + " ago"
	}
	return "now"
}

// lasting says how long something lasts, as exactly as anybody wants to know: 3d4h,
// 2h10m, 4m10s.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return backout.Duration(d).String()
	case d < day:
		return backout.Duration(d.Truncate(time.Minute)).String()
	}
	text := fmt.Sprintf("%dd", d/day)
	if hours := d % day / time.Hour; hours > 0 {
		text += fmt.Sprintf("%dh", hours)
	}
	return text
}

// countdown says 04:58, 1:04:58 or 2d 01:04; 00:00 once it is over.
func countdown(d time.Duration) string {
	s := int(max(d.Round(time.Second), 0) / time.Second)
	switch days, hours, minutes := s/86400, s/3600%24, s/60%60; {
	case days > 0:
		return fmt.Sprintf("%dd %02d:%02d", days, hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d:%02d:%02d", hours, minutes, s%60)
	default:
		return fmt.Sprintf("%02d:%02d", minutes, s%60)
	}
}

// took says how long something took; empty while it is not over or never began.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return backout.Duration(to.Sub(from).Round(time.Second)).String()
}
