package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// Durations compares how long levels of rollbacks took with their escalate_after: a
// bar for each level, a bracket where its limit is, and what is over it hatched. Up to
// 50 rollbacks are drawn, newest first; the rest is counted in words.
type Durations struct {
	// ID is unique on the page, of ASCII letters, digits, - and _. Title says what the
	// picture is of.
	ID, Title string
	// Width is how wide the picture is before it is scaled, 480 to 2400; 0 is 800.
	Width     int
	Rollbacks []Timed
}

// Timed is one rollback.
type Timed struct {
	// Name is its change or its id; Href, if it is set, the address of its page on this
	// server.
	Name, Href string
	// At is when it was requested.
	At time.Time
	// Levels are those that ran, in their order; up to 9 are drawn.
	Levels []TimedLevel
}

// TimedLevel is how long one level took.
type TimedLevel struct {
	// Name is that of the level, such as L1.
	Name string
	// Took is the time from its first step to its end, or until now while it is
	// Running; less than nothing when it is not known.
	Took time.Duration
	// Limit is its escalate_after; 0 when it has none.
	Limit   time.Duration
	Running bool
	// Outcome is a word for how it ended, such as recovered or failed.
	Outcome string
}

const (
	rollbacksMost  = 50
	levelsMost     = 9
	durationsTitle = "Durations of rollbacks by level"
)

// over is by how much the level is over its limit.
func (l TimedLevel) over() time.Duration {
	if l.Limit <= 0 || l.Took <= l.Limit {
		return 0
	}
	return l.Took - l.Limit
}

// SVG draws the picture.
func (p Durations) SVG() template.HTML {
	v := p.look()
	if len(v.rollbacks) == 0 {
		return nothing(p.ID, p.Width, nameOr(p.Title, durationsTitle), p.Words()[0])
	}
	return drawDurations(v)
}

// Words says in sentences what the picture shows: one for each rollback. There is
// always at least one.
func (p Durations) Words() []string {
	v := p.look()
	if len(v.rollbacks) == 0 {
		return []string{"There is nothing to compare yet: no level has run."}
	}
	return v.words()
}

func (v *durationsView) words() []string {
	levels, over := 0, 0
	for _, r := range v.rollbacks {
		levels += len(r.Levels)
		for _, l := range r.Levels {
			if l.over() > 0 {
				over++
			}
		}
	}
	words := []string{fmt.Sprintf("%s with %s; %s longer than escalate_after.", count(len(v.rollbacks), "rollback"), count(levels, "level"), count(over, "level")+" took")}
	for _, r := range v.rollbacks {
		words = append(words, r.sentence())
	}
	return append(words, v.remarks()...)
}

// durationsView is what there is to see, in order.
type durationsView struct {
	Durations
	rollbacks        []Timed
	more, moreLevels int
}

func (p Durations) look() *durationsView {
	v := &durationsView{Durations: p}
	for _, r := range p.Rollbacks {
		if len(r.Levels) == 0 {
			continue
		}
		r.Name, r.At = nameOr(r.Name, "(no name)"), utc(r.At)
		v.moreLevels += max(len(r.Levels)-levelsMost, 0)
		r.Levels = slices.Clone(r.Levels[:min(len(r.Levels), levelsMost)])
		for i := range r.Levels {
			r.Levels[i].Name, r.Levels[i].Outcome = nameOr(r.Levels[i].Name, "level"), tidy(r.Levels[i].Outcome)
		}
		v.rollbacks = append(v.rollbacks, r)
	}
	slices.SortStableFunc(v.rollbacks, func(a, b Timed) int { return cmp.Compare(b.At.Unix(), a.At.Unix()) })
	if len(v.rollbacks) > rollbacksMost {
		v.more = len(v.rollbacks) - rollbacksMost
		v.rollbacks = v.rollbacks[:rollbacksMost]
	}
	return v
}

func (r Timed) sentence() string {
	parts := make([]string, len(r.Levels))
	for i, l := range r.Levels {
		parts[i] = l.Name + " " + l.measured(true)
		if l.Outcome != "" {
			parts[i] += " (" + l.Outcome + ")"
		}
	}
	at := ""
	if !r.At.IsZero() {
		at = ", " + r.At.Format("2 Jan 2006 15:04") + " UTC"
	}
	return r.Name + at + ": " + strings.Join(parts, "; ") + "."
}

// measured says how long the level took and what of its limit that is.
func (l TimedLevel) measured(verb bool) string {
	took := "took "
	if l.Running {
		took = "runs for "
	}
	switch {
	case l.Took < 0 && verb:
		return "took a time that is not known"
	case l.Took < 0:
		return "time not known"
	case !verb && l.Running:
		took = "runs, "
	case !verb:
		took = ""
	}
	took += length(l.Took)
	switch {
	case l.over() > 0 && verb:
		return fmt.Sprintf("%s, %s over its %s", took, length(l.over()), length(l.Limit))
	case l.over() > 0:
		return fmt.Sprintf("%s, over by %s", took, length(l.over()))
	case l.Limit > 0:
		return fmt.Sprintf("%s of %s", took, length(l.Limit))
	case verb:
		return took + " without a limit"
	}
	return took + ", no limit"
}

func (v *durationsView) remarks() []string {
	var words []string
	if v.more > 0 {
		words = append(words, are(v.more, "older rollback")+" not drawn.")
	}
	if v.moreLevels > 0 {
		words = append(words, are(v.moreLevels, "further level")+" not drawn.")
	}
	return words
}
