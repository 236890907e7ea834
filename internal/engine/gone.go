package engine

import (
	"slices"

	"github.com/backout-io/backout"
)

// warnOfGone says which open rollbacks and changes go by a frozen plan that names an
// audience which the config does not have any more.
func (e *Engine) warnOfGone() {
	cfg := e.cfg()
	if cfg.Audiences == nil {
		return
	}
	warn := func(what, id string, names []string) {
		acting, reading := cfg.gone(names)
		if len(acting) > 0 {
			e.log.Warn("the plan of an open "+what+" names audiences that the config does not have any more", what, id, "audiences", acting,
				"fix", "give them channels in audiences until it has ended: what a rollback tells them goes to all who can act")
		}
		if len(reading) > 0 {
			e.log.Warn("an open "+what+" names audiences who only read along, and that the config does not have any more", what, id, "audiences", reading,
				"fix", "give them channels in audiences until it has ended, where they are to hear of it: nobody is told in their place")
		}
	}
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if !r.Status.Final() {
			warn("rollback", id, audiencesOf(r.Frozen.Plan))
		}
	})
	e.changes.awake(func(id string, c backout.Change) {
		if c.Frozen != nil && !c.State.Final() { // else its plan is read anew when it opens
			warn("change", id, append(audiencesOf(c.Frozen.Plan), c.Stakeholders...))
		}
	})
}

// gone are those of the names that the config does not have any more, sorted: who could
// act, and who could only read.
func (c *Config) gone(names []string) (acting, reading []string) {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		switch {
		case len(c.Audiences[name]) > 0:
		case c.Acts == nil || c.Acts(name):
			acting = append(acting, name)
		default:
			reading = append(reading, name)
		}
	}
	return acting, reading
}

// audiencesOf are all that the plan names.
func audiencesOf(p backout.Plan) []string {
	names := slices.Clone(p.Audience)
	for i := range p.Levels {
		names = append(names, p.Levels[i].Audience...)
	}
	return names
}
