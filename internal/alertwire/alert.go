package alertwire

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

// Limits of one request. Alertmanager itself has none; these are far above what
// it sends and bound what a hostile sender can make the server hold.
const (
	// MaxAlerts is how many alerts one request may carry.
	MaxAlerts = 10_000
	// MaxPairs is how many labels, and how many annotations, of an alert are
	// kept: the first in the order of their names. Its fingerprint is that of all
	// its labels.
	MaxPairs = 256
	// MaxValue is how many bytes of a label's or annotation's value are kept.
	// The alert stays, the rest of the value does not; its fingerprint is that
	// of the whole value, so the sender's own API agrees on it.
	MaxValue = 64 << 10
	// maxShared is up to what size an alert's strings share one allocation;
	// beyond it a kept label must not keep megabytes alive.
	maxShared = 256 << 10
)

type pair struct{ name, value span }

// field is a string that may be absent.
type field struct {
	span
	at  int
	set bool
}

// raw is one alert as spans of the body; the decoder reuses it.
type raw struct {
	start, end                       int
	labelsSet                        bool
	labelsAt                         int
	labels, annotations              []pair
	status, startsAt, endsAt, genURL field
}

func (a *raw) reset(start int) {
	*a = raw{start: start, labels: a.labels[:0], annotations: a.annotations[:0]}
}

// decoder reads alerts; cut counts the values that were longer than
// [MaxValue], and those beyond [MaxPairs].
type decoder struct {
	reader
	raw   raw
	texts []text
	cut   int
}

type text struct{ name, value string }

// newDecoder has room for what an alert usually has.
func newDecoder(body []byte) *decoder {
	const usual = 16
	return &decoder{
		reader: reader{data: body},
		raw:    raw{labels: make([]pair, 0, usual), annotations: make([]pair, 0, usual)},
		texts:  make([]text, 0, usual),
	}
}

// alert reads one alert's object into d.raw. Unknown fields are skipped, the
// sender's fingerprint among them.
func (d *decoder) alert() *Error {
	d.peek()
	a := &d.raw
	a.reset(d.pos)
	err := d.object(func(key span) *Error {
		name := d.key(key)
		switch name {
		case "labels":
			a.labelsAt = d.pos
			var err *Error
			a.labels, a.labelsSet, err = d.pairs(a.labels[:0])
			return err.under(name)
		case "annotations":
			var err *Error
			a.annotations, _, err = d.pairs(a.annotations[:0])
			return err.under(name)
		case "status":
			return d.optional(&a.status).under(name)
		case "startsAt":
			return d.optional(&a.startsAt).under(name)
		case "endsAt":
			return d.optional(&a.endsAt).under(name)
		case "generatorURL":
			return d.optional(&a.genURL).under(name)
		}
		return d.skip()
	})
	a.end = d.pos
	return err
}

// key is the text of an object's key; it is not kept, so it needs no copy.
func (d *decoder) key(at span) string {
	b := d.data[at.start:at.end]
	if at.escaped {
		return unescape(string(b))
	}
	switch string(b) {
	case "labels":
		return "labels"
	case "annotations":
		return "annotations"
	case "status":
		return "status"
	case "startsAt":
		return "startsAt"
	case "endsAt":
		return "endsAt"
	case "generatorURL":
		return "generatorURL"
	case "alerts":
		return "alerts"
	case "version":
		return "version"
	case "truncatedAlerts":
		return "truncatedAlerts"
	}
	return ""
}

// optional reads a string or null.
func (d *decoder) optional(f *field) *Error {
	f.set = false
	if null, err := d.null(); null || err != nil {
		return err
	}
	f.at = d.pos
	if d.peek() != '"' {
		return d.notA("a string")
	}
	s, err := d.str()
	f.span, f.set = s, true
	return err
}

// pairs reads an object of strings, or null. A null value counts as empty.
func (d *decoder) pairs(into []pair) (out []pair, set bool, err *Error) {
	if null, err := d.null(); null || err != nil {
		return into, false, err
	}
	err = d.object(func(key span) *Error {
		var value field
		if err := d.optional(&value); err != nil {
			return err.under(quote(d.text(key)))
		}
		into = append(into, pair{key, value.span})
		return nil
	})
	return into, true, err
}

// text copies one string out of the body.
func (d *decoder) text(at span) string {
	return source{text: string(d.data[at.start:at.end]), base: at.start}.value(at)
}

// source copies the alert's text out of the body.
func (d *decoder) source() source {
	a := &d.raw
	return source{text: string(d.data[a.start:a.end]), base: a.start}
}

// mapped turns pairs into a map. As in JSON maps everywhere, the last of two
// equal names counts; as in Prometheus, an empty value means that the label is
// not there (annotations may be empty). It also returns the fingerprint.
func (d *decoder) mapped(pairs []pair, from source, keepEmpty bool) (m map[string]string, fingerprint uint64) {
	d.texts = d.texts[:0]
	sorted := true
	for _, p := range pairs {
		t := text{from.value(p.name), from.value(p.value)}
		if n := len(d.texts); n > 0 && d.texts[n-1].name >= t.name {
			sorted = false
		}
		d.texts = append(d.texts, t)
	}
	if !sorted {
		slices.SortStableFunc(d.texts, func(a, b text) int { return strings.Compare(a.name, b.name) })
	}
	fingerprint = fnvOffset
	m = make(map[string]string, min(len(d.texts), MaxPairs))
	for i, t := range d.texts {
		last := i+1 == len(d.texts) || d.texts[i+1].name != t.name
		if !last || t.value == "" && !keepEmpty {
			continue
		}
		fingerprint = hashPair(fingerprint, t.name, t.value)
		if len(m) == MaxPairs {
			d.cut++
			continue
		}
		m[d.own(t.name, from)] = d.own(t.value, from)
	}
	return m, fingerprint
}

// own bounds a text, and frees it from a very large alert.
func (d *decoder) own(s string, from source) string {
	if len(s) > MaxValue {
		d.cut++
		n := MaxValue
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if len(from.text) > maxShared {
		return strings.Clone(s)
	}
	return s
}

// build makes the alert, except for what the two interfaces take differently.
func (d *decoder) build() (backout.Alert, source) {
	from := d.source()
	a := &d.raw
	labels, fingerprint := d.mapped(a.labels, from, false)
	alert := backout.Alert{Fingerprint: hex16(fingerprint), Labels: labels}
	if len(a.annotations) > 0 {
		alert.Annotations, _ = d.mapped(a.annotations, from, true)
	}
	if a.genURL.set {
		alert.GeneratorURL = d.own(from.value(a.genURL.span), from)
	}
	return alert, from
}
