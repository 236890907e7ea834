package config

import "fmt"

// promotion checks the section of that name.
func (l *loader) promotion(p Promotion) {
	l.atLeast(int64(p.Agreed), 0, "0", "promotion", "agreed")
	if !(p.Precision >= 0 && p.Precision <= 1) { // nor what is not a number
		l.add(l.at("promotion", "precision").Problem(fmt.Sprintf("precision: %v", p.Precision), "want a share from 0 to 1, such as 0.95"))
	}
	for _, key := range []string{"agreed", "precision"} {
		if !p.Required && l.root.Has("promotion", key) {
			l.add(l.keyAt("promotion", key).Warning(fmt.Sprintf("promotion.%s without promotion.required: a rule may do what its file says", key), "set required: true, or remove it"))
		}
	}
}
