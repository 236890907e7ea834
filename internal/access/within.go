package access

import (
	"maps"

	"github.com/backout-io/backout"
)

// Within is what the grants are worth to somebody who may lend no more than limit:
// every grant is cut down to where limit has the same role, and one that is nowhere
// in it is gone. Whatever the result allows, both allow.
func Within(grants, limit []backout.Grant) []backout.Grant {
	var out []backout.Grant
	for _, g := range grants {
		for _, l := range limit {
			if g.Role != l.Role {
				continue
			}
			if both, ok := intersect(g, l); ok {
				out = append(out, both)
			}
		}
	}
	return out
}

// intersect is where both grants hold: false when that is nowhere, as when they want
// different values of one label.
func intersect(a, b backout.Grant) (backout.Grant, bool) {
	switch {
	case !a.Everywhere && len(a.Labels) == 0, !b.Everywhere && len(b.Labels) == 0:
		return backout.Grant{}, false
	case a.Everywhere:
		return b, true
	case b.Everywhere:
		return a, true
	}
	labels := maps.Clone(a.Labels)
	for name, want := range b.Labels {
		if got, ok := labels[name]; ok && got != want {
			return backout.Grant{}, false
		}
		labels[name] = want
	}
	return backout.Grant{Role: a.Role, Labels: labels}, true
}
