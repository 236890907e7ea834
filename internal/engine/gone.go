package engine

import (
	"slices"

	"github.com/backout-io/backout"
)

// warnOfGone says which open rollbacks and changes go by a frozen plan that names an
// audience which the config does not have any more.
func (e *Engine) warnOfGone() {
	known := e.cfg().Audiences
	if known == nil {
		return
	}
	gone := func(names ...string) []string {
		slices.Sort(names)
		return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return len(known[name]) > 0 })
	}
	const fix = "give them channels in audiences until it has ended: what a rollback tells them goes to all who can act"
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if names := gone(audiencesOf(r.Frozen.Plan)...); len(names) > 0 {
			e.log.Warn("the plan of an open rollback names audiences that the config does not have any more", "rollback", id, "audiences", names, "fix", fix)
		}
	})
	e.changes.awake(func(id string, c backout.Change) {
		if c.Frozen == nil {
			return // its plan is read anew when it opens
		}
		if names := gone(append(audiencesOf(c.Frozen.Plan), c.Stakeholders...)...); len(names) > 0 {
			e.log.Warn("the plan of an open change names audiences that the config does not have any more", "change", id, "audiences", names, "fix", fix)
		}
	})
}

// audiencesOf are all that the plan names.
func audiencesOf(p backout.Plan) []string {
	names := slices.Clone(p.Audience)
	for i := range p.Levels {
		names = append(names, p.Levels[i].Audience...)
	}
	return names
}
