package chart

import (
	"math"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// shortest is the least time that a picture shows.
const shortest = 10 * time.Second

// known tells whether a time is one; others count as not given.
func known(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	y := t.UTC().Year()
	return y >= 1900 && y <= 9999
}

// utc is the time as pictures have it: zero when it is not known.
func utc(t time.Time) time.Time {
	if !known(t) {
		return time.Time{}
	}
	return t.UTC()
}

// scale maps times to the x of a plot.
type scale struct {
	from, until time.Time
	x0, x1      float64
}

// span is the time that a picture shows: as asked for, and where that is not given, or
// is no span, from the first to the last of what there is to show. ok is false when
// nothing tells.
func span(from, until time.Time, content []time.Time) (time.Time, time.Time, bool) {
	from, until = utc(from), utc(until)
	if from.IsZero() || until.IsZero() || !from.Before(until) {
		given := []time.Time{from, until}
		times := onlyKnown(content)
		if len(times) == 0 || from.IsZero() != until.IsZero() {
			times = append(times, onlyKnown(given)...)
		}
		if len(times) == 0 {
			return from, until, false
		}
		first, last := slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare)
		if until.IsZero() && !from.IsZero() {
			first = from
		}
		if from.IsZero() && !until.IsZero() {
			last = until
		}
		from, until = first, last
	}
	if short := shortest - until.Sub(from); short > 0 {
		from, until = from.Add(-short/2), until.Add(short-short/2)
	}
	return from, until, true
}

func onlyKnown(times []time.Time) []time.Time {
	var list []time.Time
	for _, t := range times {
		if known(t) {
			list = append(list, t.UTC())
		}
	}
	return list
}

// seconds is the time from a to b, however far they are apart.
func seconds(a, b time.Time) float64 {
	return float64(b.Unix()-a.Unix()) + float64(b.Nanosecond()-a.Nanosecond())/1e9
}

// at is the x of a time; what lies outside is at the edge.
func (s scale) at(t time.Time) float64 {
	whole := seconds(s.from, s.until)
	if whole <= 0 {
		return s.x0
	}
	part := math.Min(math.Max(seconds(s.from, t)/whole, 0), 1)
	// The conversion keeps every machine from contracting it to another result.
	return s.x0 + float64(part*(s.x1-s.x0))
}

func (s scale) holds(t time.Time) bool {
	return known(t) && !t.Before(s.from) && !t.After(s.until)
}

// meets cuts a stretch to the scale; ok is false when it lies outside, or is nothing.
func (s scale) meets(st Stretch) (Stretch, bool) {
	from, until := utc(st.From), utc(st.Until)
	if from.IsZero() && until.IsZero() {
		return st, false
	}
	if from.IsZero() {
		from = s.from
	}
	if until.IsZero() {
		until = s.until
	}
	if until.Before(from) {
		until = from
	}
	if until.Before(s.from) || from.After(s.until) {
		return st, false
	}
	return Stretch{later(from, s.from), earlier(until, s.until)}, true
}

// joined are the stretches as they can be told apart: those with less than a unit
// between them are one.
func (s scale) joined(list []Stretch) []Stretch {
	var out []Stretch
	for _, st := range unite(list) {
		if n := len(out); n > 0 && s.at(st.From)-s.at(out[n-1].Until) < 1 {
			out[n-1].Until = later(out[n-1].Until, st.Until)
			continue
		}
		out = append(out, st)
	}
	return out
}

// unite puts stretches in order and joins those that touch.
func unite(list []Stretch) []Stretch {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Stretch) int { return a.From.Compare(b.From) })
	var out []Stretch
	for _, st := range list {
		if n := len(out); n > 0 && !st.From.After(out[n-1].Until) {
			out[n-1].Until = later(out[n-1].Until, st.Until)
			continue
		}
		out = append(out, st)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Stretch is a time from one moment until another. When only one of the two is known,
// the other is the edge of the picture; when neither is, there is no such stretch.
type Stretch struct {
	From, Until time.Time
}

// day is the layout of the day that a time needs beside its hour; empty where the
// picture shows one day.
func (s scale) day() string {
	switch {
	case s.from.Year() != s.until.Year():
		return "2 Jan 2006 "
	case s.from.YearDay() != s.until.YearDay():
		return "2 Jan "
	}
	return ""
}

// hour is the layout of a time of the day: with seconds where minutes would not tell
// things apart.
func (s scale) hour() string {
	if s.until.Sub(s.from) <= time.Hour {
		return "15:04:05"
	}
	return "15:04"
}

// clock writes a time as the picture's span asks for it.
func (s scale) clock(t time.Time) string { return t.UTC().Format(s.day() + s.hour()) }

// between is "02:03 to 02:21", the day said once where it is the same.
func (s scale) between(from, until time.Time) string {
	layout := s.day() + s.hour()
	if from.UTC().Format(time.DateOnly) == until.UTC().Format(time.DateOnly) {
		layout = s.hour()
	}
	return s.clock(from) + " to " + until.UTC().Format(layout)
}

// whole says the picture's time in full.
func (s scale) whole() string {
	const full = "Mon 2 Jan 2006 15:04"
	if s.from.Format(time.DateOnly) == s.until.Format(time.DateOnly) {
		return s.from.Format(full) + " to " + s.until.Format("15:04") + " UTC"
	}
	return s.from.Format(full) + " to " + s.until.Format(full) + " UTC"
}

// length writes how long something took, to the second below an hour and to the
// minute above.
func length(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -max(d, -math.MaxInt64)
	}
	switch {
	case d < time.Second && d > 0:
		return sign + "under 1s"
	case d < time.Hour:
		d = d.Truncate(time.Second)
	case d < 48*time.Hour:
		d = d.Truncate(time.Minute)
	default:
		days, rest := d/(24*time.Hour), d%(24*time.Hour)/time.Hour
		text := sign + num(float64(days)) + "d"
		if rest > 0 {
			text += num(float64(rest)) + "h"
		}
		return text
	}
	return sign + backout.Duration(d).String()
}

// lasted is the length of what was there, however short.
func lasted(d time.Duration) string { return length(max(d, 1)) }
