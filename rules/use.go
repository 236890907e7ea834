package rules

import "slices"

// Use is one thing that a rule speaks of and that other files decide: a label of
// the inventory, or a query.
type Use struct {
	Rule string
	// Name is the fact, such as target.labels, and Key the label; or prom().
	Name, Key string
	// File, Line and Column are the place.
	File         string
	Line, Column int
}

// Uses lists what the rules use of the inventory's labels, and their queries, in
// the order of the rules.
func (s *Set) Uses() []Use {
	if s == nil {
		return nil
	}
	var list []Use
	for _, r := range s.rules {
		list = append(list, r.uses...)
	}
	return list
}

// Uses of queries and of the labels of targets, by their names.
const (
	UsesQuery        = queried
	UsesTargetLabels = "target.labels"
)

// noteUses finds them in the rule's expression.
func (r *rule) noteUses(spec ruleSpec) {
	if r.when == nil {
		return
	}
	note := func(name, key string, offset int) {
		at := spec.When.At(offset)
		u := Use{Rule: r.Name, Name: name, Key: key, File: at.File, Line: at.Line, Column: at.Column}
		if !slices.Contains(r.uses, u) {
			r.uses = append(r.uses, u)
		}
	}
	for _, p := range r.when.parts {
		for _, read := range p.reads {
			switch {
			case read.entry && read.group == UsesTargetLabels:
				note(UsesTargetLabels, read.key, read.offset)
			case read.name == queried:
				note(UsesQuery, "", read.offset)
			}
		}
	}
}
