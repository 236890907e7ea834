package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// readersFix is what to do where only such people are told who can do nothing.
const readersFix = "add one of the kind deciders or responders"

// acts tells whether anybody of the audiences can do something about what they are told.
func (l *loader) acts(audiences []string) bool {
	return slices.ContainsFunc(audiences, func(audience string) bool { return l.cfg.KindOf(audience).MayAct() })
}

// asked warns of a question of which only those hear who read that they need not do
// anything.
func (l *loader) asked(at strictyaml.Pos, plan backout.Plan, level backout.Level) {
	told := slices.Concat(level.Audience, plan.Audience)
	if len(told) > 0 && !l.acts(told) {
		l.add(at.Warning(fmt.Sprintf("of %s only audiences are told who can do nothing, so nobody is asked who could approve it: %s", level.Name, strings.Join(told, ", ")), readersFix))
	}
}

// holdsHeard warns of levels at which a rollback that is held tells nobody who could do
// something about it, where their approval does not say so by itself.
func (l *loader) holdsHeard(p planEntry, plan backout.Plan) {
	var levels, told []string
	for i := range plan.Levels {
		level := &plan.Levels[i]
		hears := slices.Concat(level.Audience, plan.Audience)
		a := level.Approval
		said := a.Mode == backout.ApprovalRequired || a.Mode == backout.ApprovalVeto && a.OnChannelDown != backout.ChannelDownProceed
		if len(hears) > 0 && !said && !l.acts(hears) {
			levels, told = append(levels, level.Name), append(told, hears...)
		}
	}
	if len(levels) == 0 {
		return
	}
	slices.Sort(told)
	at := p.Name.Pos
	if !given(at) {
		at = p.Pos
	}
	l.add(at.Warning(fmt.Sprintf("of a rollback that is held at %s only audiences are told who can do nothing: %s", strings.Join(levels, ", "), strings.Join(slices.Compact(told), ", ")), readersFix))
}
