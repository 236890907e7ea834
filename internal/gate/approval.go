package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// checkApprovers: for each level that waits for people there are enough of them,
// without those whose vote does not count.
func (v *verdict) checkApprovers(f Facts) {
	for i, l := range f.Plan.Levels {
		a := l.Approval
		switch a.Mode {
		case backout.ApprovalRequired:
			v.checkRequired(f, l)
		case backout.ApprovalVeto:
			if oneMore(f, a) {
				l.Approval.Votes = 0
				v.checkRequired(f, l)
			}
			v.checkAskedFirst(f, l, i == 0)
			if a.Veto <= 0 {
				v.noLevel(CheckApproval, l.Name, "its veto window has no length, so nobody could hold it", "give veto, such as 5m")
			}
		case backout.ApprovalNone:
		default:
			v.noLevel(CheckApproval, l.Name, fmt.Sprintf("approval mode %q is not known", a.Mode), "use none, veto or required")
		}
		if a.OnExpiry == backout.ExpiryGo && i == len(f.Plan.Levels)-1 {
			v.noLevel(CheckApproval, l.Name, "the last level would start when nobody answers", "use on_expiry: deny")
		}
		if f.Plan.DataMigration == backout.DataMigrationForwardOnly && a.Mode != backout.ApprovalRequired {
			v.noLevel(CheckApproval, l.Name, "the patch moves data forward only, and the level would start by itself", "use approval: required")
		}
	}
}

func (v *verdict) checkRequired(f Facts, l backout.Level) {
	a := l.Approval
	if a.Votes < 1 && a.Mode == backout.ApprovalRequired {
		v.noLevel(CheckApproval, l.Name, "an approval is required and no vote is needed for it", "give votes, at least 1")
	}
	if len(a.Groups) == 0 {
		v.noLevel(CheckApproval, l.Name, "an approval is required and nobody may give it: it names no group", "name the groups whose votes count")
		return
	}
	for _, g := range a.Groups {
		if _, ok := f.Groups[g]; !ok {
			v.noLevel(CheckApproval, l.Name, fmt.Sprintf("approver group %q is not known", g), "add it under groups, or correct its name in the plan")
		}
	}
	if oneMore(f, a) {
		a.Votes++
	}
	able := approvers(f, a.Groups)
	if f.OpenGroups || len(able) >= a.Votes {
		return
	}
	v.noLevel(CheckApproval, l.Name,
		fmt.Sprintf("%d votes are needed and %d people of %s could give one: requester and plan author do not count, nor does who may not approve there",
			a.Votes, len(able), strings.Join(a.Groups, ", ")),
		"add people to the groups, give them the role approver there, or ask for fewer votes")
}

// checkAskedFirst: a limit of the plan, and a rule in mode ask, ask for the level that is
// entered first, also where it starts unless somebody holds it, and then the groups that
// it names must be able to answer. The rules are not known here, nor who starts at a later
// level, so too few people are a warning but for a limit and the first level.
func (v *verdict) checkAskedFirst(f Facts, l backout.Level, first bool) {
	needed, able := 1, len(approvers(f, l.Approval.Groups))
	if oneMore(f, l.Approval) {
		needed++
	}
	said := needed > 1 && able == 0 // that nobody can give even the one vote more
	if len(l.Approval.Groups) == 0 || f.OpenGroups || able >= needed || said {
		return
	}
	tell, asks := v.warn, "a rule in mode ask"
	switch limited := f.Plan.Limits != (backout.Limits{}); {
	case limited && first:
		tell, asks = v.noLevel, "a limit of the plan"
	case limited:
		asks = "a limit of the plan, or a rule in mode ask, where a rollback starts at it,"
	}
	tell(CheckApproval, l.Name,
		fmt.Sprintf("%s would ask for it first: %d votes would be needed and %d people of %s could give one", asks, needed, able, strings.Join(l.Approval.Groups, ", ")),
		"add people to the groups, or leave groups out: then those of later levels may answer")
}

// oneMore tells whether the level takes one vote more than its plan says by itself.
func oneMore(f Facts, a backout.Approval) bool { return a.KnownExploitedVote && len(f.Exploited) > 0 }

// approvers are the different people of the groups, without the requester and
// the plan's author: four eyes.
func approvers(f Facts, groups []string) []string {
	var able []string
	for _, g := range groups {
		for _, person := range f.Groups[g] {
			if person == "" || person == f.Change.Requester || person == f.Plan.Author || slices.Contains(able, person) {
				continue
			}
			able = append(able, person)
		}
	}
	return able
}
