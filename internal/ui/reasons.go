package ui

import (
	"strings"

	"github.com/backout-io/backout"
)

// Reason is one reason of the gate, with all the targets of which it is true.
type Reason struct {
	Check, Level, Reason, Fix string
	// Targets are whom it is about, each once; none when it is about no single one.
	Targets []string
}

// Where says where: "L2 on web-1, web-2 and 3 more"; empty when that is everywhere.
func (r Reason) Where() string {
	const most = 4
	on := r.Targets
	text := strings.Join(on[:min(len(on), most)], ", ")
	if len(on) > most {
		text += " and " + plural(len(on)-most, "more target")
	}
	switch {
	case text == "":
		return r.Level
	case r.Level == "":
		return "on " + text
	}
	return r.Level + " on " + text
}

// Reasons are violations in the order in which they came, said once for all targets of
// which they are true; More is how many different ones are left out.
type Reasons struct {
	List []Reason
	More int
}

// Together gathers violations and keeps so many different ones.
func Together(all []backout.Violation, most int) Reasons {
	type key struct{ check, level, reason, fix string }
	type place struct {
		reason int
		target string
	}
	at, seen := map[key]int{}, map[place]bool{}
	var list []Reason
	for _, v := range all {
		k := key{v.Check, v.Level, v.Reason, v.Fix}
		i, known := at[k]
		if !known {
			i = len(list)
			at[k] = i
			list = append(list, Reason{Check: v.Check, Level: v.Level, Reason: v.Reason, Fix: v.Fix})
		}
		if p := (place{i, v.Target}); v.Target != "" && !seen[p] {
			seen[p] = true
			list[i].Targets = append(list[i].Targets, v.Target)
		}
	}
	return Reasons{List: list[:min(len(list), most)], More: max(len(list)-most, 0)}
}
