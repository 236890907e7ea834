package app

import (
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// checkUses finds what rules speak of and other files do not have: labels that no
// target of the inventory has, and queries without a Prometheus.
func (l *loaded) checkUses() backout.Problems { return checkUses(l.rules, l.config) }

func checkUses(set *rules.Set, cfg *config.Config) (problems backout.Problems) {
	known := map[string]bool{}
	for _, t := range cfg.Inventory {
		for label := range t.Labels {
			known[label] = true
		}
	}
	names := slices.Sorted(maps.Keys(known))
	for _, u := range set.Uses() {
		at := strictyaml.Pos{File: u.File, Line: u.Line, Column: u.Column}
		switch {
		case u.Name == rules.UsesQuery && cfg.Prometheus.URL == "":
			problems = append(problems, at.Problem("prom() asks Prometheus, and none is known", "set prometheus.url in backout.yaml"))
		case u.Name == rules.UsesTargetLabels && len(cfg.Inventory) > 0 && !known[u.Key]:
			problems = append(problems, at.Warning(
				fmt.Sprintf("no target of the inventory has the label %.80q, so it reads as empty", u.Key), strictyaml.DidYouMean(u.Key, names, "")))
		}
	}
	return problems
}
