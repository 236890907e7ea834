package rules

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout"
)

// condition is a matcher, with what can be known of it before there is an alert.
type condition struct {
	// name and value are the matcher's; all that an equality needs stands together.
	name, value string
	equal       bool
	// values are all that satisfy it, when few is true. Looking through them gives
	// the same answer as the matcher's pattern, and sooner.
	values []string
	few    bool
	// text is what a reason says of it: all of it for an equality, else what stands
	// before the alert's value.
	text string
	*labels.Matcher
	// written is the matcher in its plain form, steps what its pattern costs.
	written string
	steps   int
}

func newCondition(m *labels.Matcher) *condition {
	d, few := demandOfMatcher(m)
	c := &condition{
		Matcher: m, name: m.Name, value: m.Value, equal: m.Type == labels.MatchEqual, written: m.String(),
		values: d.values, few: few, text: m.Name + "=" + quote(m.Value),
	}
	if m.Type != labels.MatchEqual {
		c.text = m.Name + m.Type.String() + strconv.Quote(m.Value) + " ("
	}
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		c.steps = stepsOf(anchored(m.Value))
	}
	return c
}

// holds tells whether the alert satisfies it. A label that is missing reads as
// empty, as in Alertmanager.
func (c *condition) holds(a *backout.Alert) bool {
	value := a.Labels[c.name]
	if c.equal {
		return value == c.value
	}
	if c.few {
		return slices.Contains(c.values, value)
	}
	return holds(c.Matcher, value)
}

// reasons are the texts of all verdicts of one alert. They are written behind one
// another, and cut out of one string in the end.
type reasons struct {
	text   []byte
	pieces []piece
}

// piece is one reason: whole, or what was written up to end.
type piece struct {
	whole string
	end   int
}

func (r *reasons) add(whole string) { r.pieces = append(r.pieces, piece{whole, len(r.text)}) }

// cut ends the reason that was written to text.
func (r *reasons) cut() { r.pieces = append(r.pieces, piece{end: len(r.text)}) }

func (r *reasons) clear() {
	clear(r.pieces)
	r.pieces, r.text = r.pieces[:0], r.text[:0]
}

func (r *reasons) strings() []string {
	text, from := string(r.text), 0
	list := make([]string, len(r.pieces))
	for i, p := range r.pieces {
		list[i] = p.whole
		if p.whole == "" {
			list[i] = text[from:p.end]
		}
		from = p.end
	}
	return list
}

// explain writes why the rule holds for the facts.
func (r *reasons) explain(rule *rule, a *backout.Alert, on *named, c *backout.Change, f *facts) {
	b := append(r.text, "red on "...)
	b = append(b, short(on.target)...)
	b = append(b, " for "...)
	b = append(b, f.Alert.Age.Round(time.Second).String()...)
	b = append(b, ", since "...)
	b = append(b, a.StartsAt.Sub(c.OpenedAt).Round(time.Second).String()...)
	r.text = append(b, " after the window opened"...)
	r.cut()
	for _, m := range rule.conditions {
		if m.equal {
			r.add(m.text)
			continue
		}
		r.text = append(appendQuoted(append(r.text, m.text...), a.Labels[m.name]), ')')
		r.cut()
	}
	if rule.when == nil {
		return
	}
	for i := range rule.when.parts {
		p := &rule.when.parts[i]
		if len(p.reads) == 0 {
			r.add(p.text)
			continue
		}
		r.text = p.appendWithValues(r.text, f)
		r.cut()
	}
}

// appendWithValues shows a part of an expression with the facts that it read.
func (p *part) appendWithValues(b []byte, f *facts) []byte {
	b = append(b, p.text...)
	for i := range p.reads {
		if i == 0 {
			b = append(b, " ("...)
		} else {
			b = append(b, ", "...)
		}
		b = append(append(b, p.reads[i].name...), " = "...)
		b = p.reads[i].appendText(b, f)
	}
	if len(p.reads) > 0 {
		b = append(b, ')')
	}
	return b
}

// appendQuoted is [quote], written behind b.
func appendQuoted(b []byte, s string) []byte {
	s = short(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// withValues is the part with the facts that it read.
func (p *part) withValues(f *facts) string { return string(p.appendWithValues(nil, f)) }

// matchText shows a matcher and the value it was held against.
func matchText(m *labels.Matcher, a *backout.Alert) string {
	value := a.Labels[m.Name]
	if m.Type == labels.MatchEqual && value == m.Value {
		return m.Name + "=" + quote(value)
	}
	return m.Name + m.Type.String() + strconv.Quote(m.Value) + " (" + quote(value) + ")"
}
