// Package access says who may do what, and where. It is pure, and the one place
// that decides it: every way in (page, API, CLI, Slack) asks [Authorize].
//
// What nobody granted is refused; so is an action or a role that is not known here.
// A grant without a place grants nothing.
package access

import (
	"fmt"
	"slices"

	"github.com/backout-io/backout"
)

// Action is what somebody wants to do.
type Action string

// The actions.
const (
	// ActionRead looks at anything.
	ActionRead Action = "read"
	// ActionLook has targets looked at, which changes nothing on them and is kept.
	ActionLook Action = "look"
	// ActionStop holds, pauses or denies: whoever is on duty may.
	ActionStop Action = "stop"
	// ActionGoOn releases, resumes, escalates, aborts or resolves.
	ActionGoOn Action = "go_on"
	// ActionApprove votes for a level, or starts a rollback by hand.
	ActionApprove Action = "approve"
	// ActionBreakGlass starts a level without the votes it needs.
	ActionBreakGlass Action = "break_glass"
	// ActionChange plans, opens, extends, closes and cancels changes, and tells of
	// their patching.
	ActionChange Action = "change"
	// ActionRule promotes rules and judges what they said.
	ActionRule Action = "rule"
	// ActionAdmin reloads, backs up, tests channels, and ends other people's sessions
	// and tokens.
	ActionAdmin Action = "admin"
)

// allowed says which roles may do what.
var allowed = map[Action][]backout.Role{
	ActionRead:       {backout.RoleViewer, backout.RoleOperator, backout.RoleApprover, backout.RoleAuthor, backout.RoleAdmin},
	ActionLook:       {backout.RoleOperator, backout.RoleApprover, backout.RoleAuthor},
	ActionStop:       {backout.RoleOperator, backout.RoleApprover, backout.RoleAuthor, backout.RoleAdmin},
	ActionGoOn:       {backout.RoleOperator, backout.RoleApprover},
	ActionApprove:    {backout.RoleApprover},
	ActionBreakGlass: {backout.RoleApprover},
	ActionChange:     {backout.RoleAuthor},
	ActionRule:       {backout.RoleApprover, backout.RoleAuthor},
	ActionAdmin:      {backout.RoleAdmin},
}

// Roles lists the roles that allow the action; none for one that is not known.
func Roles(action Action) []backout.Role { return slices.Clone(allowed[action]) }

// Authorize returns nil when one of the grants allows the action where there are
// these labels; nil is the server as a whole. Otherwise the error wraps [backout.ErrForbidden] and says
// which role it takes.
func Authorize(grants []backout.Grant, action Action, where map[string]string) error {
	return authorize(grants, action, func(g backout.Grant) bool { return g.Covers(where) })
}

// Somewhere is [Authorize] for an action whose place is not known yet: nil when there
// is one where it is allowed. It opens nothing by itself.
func Somewhere(grants []backout.Grant, action Action) error {
	return authorize(grants, action, func(g backout.Grant) bool { return g.Everywhere || len(g.Labels) > 0 })
}

// Over is [Authorize] for what touches several places, such as the targets of a change.
// To read and to stop, one of them is enough; anything else takes all. No place is the
// server as a whole.
func Over(grants []backout.Grant, action Action, places []map[string]string) error {
	err := Authorize(grants, action, nil)
	if err == nil || len(places) == 0 {
		return err
	}
	one := action == ActionRead || action == ActionStop
	for _, where := range places {
		if err = Authorize(grants, action, where); (err == nil) == one {
			break
		}
	}
	return err
}

func authorize(grants []backout.Grant, action Action, covers func(backout.Grant) bool) error {
	roles, known := allowed[action]
	if !known {
		return fmt.Errorf("%w: %q is no action that anybody may do", backout.ErrForbidden, action)
	}
	elsewhere := false
	for _, g := range grants {
		if !slices.Contains(roles, g.Role) {
			continue
		}
		if covers(g) {
			return nil
		}
		elsewhere = true
	}
	if elsewhere {
		return fmt.Errorf("%w: the role that allows %s is granted elsewhere, not here", backout.ErrForbidden, action)
	}
	return fmt.Errorf("%w: %s takes the role %s", backout.ErrForbidden, action, words(roles))
}

func words(roles []backout.Role) string {
	out := string(roles[0])
	for i, r := range roles[1:] {
		if i == len(roles)-2 {
			out += " or "
		} else {
			out += ", "
		}
		out += string(r)
	}
	return out
}
