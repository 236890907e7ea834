package rules

import (
	"errors"
	"fmt"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout"
)

// Matchers are Alertmanager matchers that choose alerts outside of rules. The zero
// value chooses none.
type Matchers struct{ list []*labels.Matcher }

// otherValue stands for a label value that nobody has thought of.
const otherValue = "some other value"

// ParseMatchers reads matchers of which all must hold. It refuses none at all, and
// those that let an alert of any name pass: empty never means everything.
func ParseMatchers(texts []string) (Matchers, error) {
	if len(texts) == 0 {
		return Matchers{}, errors.New("no matcher, which never means every alert")
	}
	var ms Matchers
	picky := false
	for _, text := range texts {
		m, err := parse.Matcher(text)
		if err != nil {
			return Matchers{}, fmt.Errorf("%s is not a matcher: %s", quote(text), firstLine(err.Error()))
		}
		picky = picky || !m.Matches("") && !m.Matches(otherValue)
		ms.list = append(ms.list, m)
	}
	if !picky {
		return Matchers{}, errors.New("every alert, or nearly every one, satisfies all of these matchers")
	}
	return ms, nil
}

// Match tells whether the alert satisfies all matchers. A label that is missing
// reads as empty, and patterns see the beginning of a long one, as in rules.
func (ms Matchers) Match(a *backout.Alert) bool {
	for _, m := range ms.list {
		if !holds(m, a.Labels[m.Name]) {
			return false
		}
	}
	return len(ms.list) > 0
}

// String is all matchers as a person would write them.
func (ms Matchers) String() string {
	text := ""
	for i, m := range ms.list {
		if i > 0 {
			text += ", "
		}
		text += m.String()
	}
	return text
}
