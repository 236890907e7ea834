package ui

import (
	"strings"

	"github.com/backout-io/backout"
)

// DeltaSays says in a few words what a patch changed.
func DeltaSays(d *backout.Delta) string {
	const named = 2
	var names []string
	for _, p := range d.Packages[:min(len(d.Packages), named)] {
		switch {
		case p.From == "":
			names = append(names, p.Name+" "+p.To+" added")
		case p.To == "":
			names = append(names, p.Name+" "+p.From+" removed")
		default:
			names = append(names, p.Name+" "+p.From+" → "+p.To)
		}
	}
	if more := len(d.Packages) - named; more > 0 {
		names = append(names, plural(more, "more package"))
	}
	if n := len(d.Differences); n > 0 {
		names = append(names, plural(n, "other difference"))
	}
	if len(names) == 0 {
		return "nothing that was looked at"
	}
	return strings.Join(names, ", ")
}
