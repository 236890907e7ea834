package chart

import (
	"fmt"
	"slices"
	"time"
)

const rulesMost = 100

// replayView is what there is to see in a [Replay], in order and cut to its time.
type replayView struct {
	Replay
	scale scale
	rules []RuleLane
	did   []Did
	// outside counts what lies outside of the picture, more the rules without a lane.
	outside, more int
}

func (p Replay) look() (*replayView, bool) {
	from, until, ok := span(p.From, p.Until, p.moments())
	if !ok {
		return nil, false
	}
	v := &replayView{Replay: p, scale: scale{from: from, until: until, x1: 1}}
	for i, r := range p.Rules {
		if i >= rulesMost {
			v.more++
			continue
		}
		v.rules = append(v.rules, v.rule(r))
	}
	for _, d := range p.Did {
		if !v.scale.holds(d.At) {
			v.outside++
			continue
		}
		d.At, d.Until, d.Text = d.At.UTC(), utc(d.Until), nameOr(d.Text, "a rollback")
		if d.Until.IsZero() {
			d.Until = until
		}
		d.Until = later(earlier(d.Until, until), d.At)
		v.did = append(v.did, d)
	}
	slices.SortStableFunc(v.did, func(a, b Did) int { return a.At.Compare(b.At) })
	return v, true
}

func (v *replayView) rule(r RuleLane) RuleLane {
	out := RuleLane{Name: nameOr(r.Name, "(no name)")}
	for _, w := range r.Would {
		if !v.scale.holds(w.At) {
			v.outside++
			continue
		}
		w.At, w.Text = w.At.UTC(), nameOr(w.Text, "a match")
		if w.Kind != WouldOpen && w.Kind != WouldStop {
			w.Kind = WouldRecord
		}
		if w.Judged != Agreed && w.Judged != Disagreed {
			w.Judged = Undecided
		}
		out.Would = append(out.Would, w)
	}
	slices.SortStableFunc(out.Would, func(a, b Would) int { return a.At.Compare(b.At) })
	return out
}

func (p Replay) moments() []time.Time {
	var list []time.Time
	for _, r := range p.Rules {
		for _, w := range r.Would {
			list = append(list, w.At)
		}
	}
	for _, d := range p.Did {
		list = append(list, d.At, d.Until)
	}
	return list
}

// Words says in sentences what the picture shows: for each rule how often it would
// have done what, and how that agrees with people; then each rollback that really was.
// There is always at least one.
func (p Replay) Words() []string {
	v, ok := p.look()
	if !ok {
		return []string{"There is nothing to draw yet: nothing has happened that rules could have judged."}
	}
	return v.words()
}

func (v *replayView) words() []string {
	words := []string{fmt.Sprintf("%s: %s, %s by people.", v.scale.whole(), count(len(v.rules), "rule"), count(len(v.did), "rollback"))}
	for _, r := range v.rules {
		words = append(words, r.sentence())
	}
	for i, d := range v.did {
		if i == wordsMost {
			words = append(words, "And "+count(len(v.did)-i, "more rollback")+" by people.")
			break
		}
		words = append(words, v.really(d)+".")
	}
	return append(words, v.remarks()...)
}

// sentence sums up one rule.
func (r RuleLane) sentence() string {
	kinds, judged := map[WouldKind]int{}, map[Judged]int{}
	for _, w := range r.Would {
		kinds[w.Kind]++
		judged[w.Judged]++
	}
	if len(r.Would) == 0 {
		return r.Name + " would have done nothing."
	}
	text := fmt.Sprintf("%s: %s opened, %d only recorded, %d stopped", r.Name, count(kinds[WouldOpen], "rollback"), kinds[WouldRecord], kinds[WouldStop])
	if judged[Agreed]+judged[Disagreed] > 0 {
		text += fmt.Sprintf("; people agreed with %d and not with %d", judged[Agreed], judged[Disagreed])
	}
	return text + "."
}

// really says what people did.
func (v *replayView) really(d Did) string {
	text := fmt.Sprintf("%s, really rolled back %s (%s)", d.Text, v.scale.between(d.At, d.Until), length(d.Until.Sub(d.At)))
	if d.Missed {
		text += "; no rule would have opened it"
	}
	return text
}

// tell says what one sign stands for.
func (v *replayView) tell(rule string, w Would) string {
	text := fmt.Sprintf("%s, %s: %s, %s", rule, v.scale.clock(w.At), w.Text, w.Kind)
	if w.Judged != Undecided {
		text += "; " + string(w.Judged)
	}
	return text
}

func (v *replayView) remarks() []string {
	var words []string
	if v.more > 0 {
		words = append(words, are(v.more, "more rule")+" not drawn.")
	}
	if v.outside > 0 {
		words = append(words, are(v.outside, "match or rollback", "matches and rollbacks")+" outside of this time.")
	}
	return words
}
