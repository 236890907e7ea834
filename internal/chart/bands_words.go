package chart

import (
	"fmt"
	"slices"
)

// wordsMost is how many sentences a picture makes of what it shows, beside those
// about itself.
const wordsMost = 200

// Words says in sentences what the picture shows: its time, what was marked, each time
// that a target was red, and who was quiet. There is always at least one.
func (p Bands) Words() []string {
	v, ok := p.look()
	if !ok {
		return []string{"There is nothing to draw yet: nothing in it has a time."}
	}
	return v.words()
}

func (v *bandsView) words() []string {
	words := slices.Concat([]string{v.first()}, v.around(), v.reds())
	if quiet := v.quiet(); len(quiet) > 0 && len(quiet) < len(v.rows) {
		words = append(words, some(quiet, 20)+" "+were(len(quiet))+" "+v.calm()+".")
	}
	return append(words, v.remarks()...)
}

// first says what the picture is of.
func (v *bandsView) first() string {
	red := 0
	for _, r := range v.rows {
		if len(r.spells) > 0 {
			red++
		}
	}
	text := v.scale.whole() + ": "
	switch {
	case len(v.rows) == 0:
		return text + "no targets."
	case red == 0 && v.outside == 0:
		if len(v.rows) == 1 {
			return text + "the one target was " + v.calm() + "."
		}
		return fmt.Sprintf("%sall %d targets were %s.", text, len(v.rows), v.calm())
	}
	return fmt.Sprintf("%s%d of %s %s red.", text, red, count(len(v.rows), "target"), were(red))
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// around says what went on beside the alerts.
func (v *bandsView) around() []string {
	var words []string
	for _, part := range []struct {
		name  string
		st    Stretch
		shown bool
	}{{"The window", v.window, v.hasWindow}, {"The watch", v.watch, v.hasWatch}} {
		if part.shown {
			words = append(words, fmt.Sprintf("%s: %s.", part.name, v.scale.between(part.st.From, part.st.Until)))
		}
	}
	for _, m := range v.marks {
		words = append(words, fmt.Sprintf("%s: %s.", v.scale.clock(m.At), m.Text))
	}
	for i, b := range v.blind {
		if i == 20 {
			words = append(words, fmt.Sprintf("Monitoring was blind %d more times.", len(v.blind)-i))
			break
		}
		words = append(words, blindWords(v.scale, b)+".")
	}
	return words
}

func blindWords(s scale, b Stretch) string {
	return fmt.Sprintf("Monitoring was blind from %s (%s)", s.between(b.From, b.Until), length(b.Until.Sub(b.From)))
}

// reds says of every spell who, when and by which alerts.
func (v *bandsView) reds() []string {
	var words []string
	left := 0
	for _, r := range v.rows {
		for _, s := range r.spells {
			if len(words) == wordsMost {
				left++
				continue
			}
			text := r.name + " was red " + v.during(s)
			if s.still {
				text = r.name + " is red " + v.during(s)
			}
			if names := alerts(s.parts, 8); names != "" {
				text += ": " + names
			}
			words = append(words, text+".")
		}
	}
	if left > 0 {
		words = append(words, "And "+count(left, "more time")+" of red.")
	}
	return words
}

// calm is the word for a target that was not red: what nobody saw was not quiet.
func (v *bandsView) calm() string {
	switch {
	case !v.now.After(v.scale.from):
		return "not known yet"
	case len(v.blind) > 0:
		return "quiet while seen"
	}
	return "quiet"
}

func (v *bandsView) quiet() []string {
	var names []string
	for _, r := range v.rows {
		if len(r.spells) == 0 {
			names = append(names, r.name)
		}
	}
	return names
}

// remarks says what is not drawn.
func (v *bandsView) remarks() []string {
	var words []string
	if v.more > 0 {
		words = append(words, fmt.Sprintf("%s not drawn, %d of them with alerts.", are(v.more, "more target"), v.moreRed))
	}
	if v.outside > 0 {
		words = append(words, are(v.outside, "alert or mark", "alerts and marks")+" outside of this time.")
	}
	if v.moreMarks > 0 {
		words = append(words, are(v.moreMarks, "later mark")+" not drawn.")
	}
	return words
}

// are is "1 change is" or "3 changes are".
func are(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one + " is"
	case len(many) > 0:
		return fmt.Sprintf("%d %s are", n, many[0])
	}
	return count(n, one) + " are"
}
