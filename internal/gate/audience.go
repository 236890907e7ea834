package gate

import (
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// CheckAudience is the check whether people are told.
const CheckAudience = "audience"

// checkAudiences refuses a plan that tells nobody, and names that lead to no
// channel: a rollback that is held must have told somebody.
func (v *verdict) checkAudiences(f Facts) {
	if f.Audiences == nil {
		return
	}
	if len(f.Plan.Audience) == 0 && slices.ContainsFunc(f.Plan.Levels, func(l backout.Level) bool { return len(l.Audience) == 0 }) {
		v.no(CheckAudience, "the plan tells nobody of what concerns no single level", "name an audience in the plan")
	}
	names := slices.Concat(f.Plan.Audience, f.Change.Stakeholders)
	for _, level := range f.Plan.Levels {
		names = append(names, level.Audience...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if len(f.Audiences[name]) == 0 {
			v.no(CheckAudience, "audience \""+name+"\" has no channel", "give it one in audiences, or name another")
		}
	}
	v.checkHearing(f)
}

// checkHearing warns of levels of which only those hear who can do nothing: nobody is
// asked, and of a hold nobody is told who could end it.
func (v *verdict) checkHearing(f Facts) {
	for i := range f.Plan.Levels {
		level := &f.Plan.Levels[i]
		told := slices.Concat(level.Audience, f.Plan.Audience)
		if len(told) > 0 && !slices.ContainsFunc(told, func(name string) bool { return !f.Readers[name] }) {
			v.warn(CheckAudience, level.Name, "only audiences are told who can do nothing: "+strings.Join(told, ", "), "add one of the kind deciders or responders")
		}
	}
}
