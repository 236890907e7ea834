package config

import (
	"fmt"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/strictyaml"
)

// levelPlace is a level and where in its plan it stands.
type levelPlace struct {
	entry      levelEntry
	index      int
	last, only bool
}

// approval fills in the policy of a level and refuses one that contradicts the
// plan, or that nobody could ever satisfy.
func (l *loader) approval(place levelPlace, plan backout.Plan, level backout.Level) backout.Approval {
	e := place.entry.Approval
	forwardOnly := plan.DataMigration == backout.DataMigrationForwardOnly
	mode := l.approvalMode(e, forwardOnly, level)
	switch mode {
	case backout.ApprovalRequired:
		return l.required(place, plan, level, forwardOnly)
	case backout.ApprovalVeto:
		l.unused(e.Votes.Pos, "votes", mode)
		l.unused(e.OnExpiry.Pos, "on_expiry", mode)
		l.unused(e.Expires.Pos, "expires", mode)
		if !given(e.Veto.Pos) {
			l.add(e.Pos.Problem("approval veto without a time", "write approval: {mode: veto, veto: 5m}"))
		}
		a := backout.Approval{Mode: mode, Groups: l.groups(e.Groups), Veto: l.clock("veto", e.Veto, 0)}
		l.bounds(place, level, &a)
		l.heard(e, plan, level, a)
		l.oneMore(place, plan, level, a)
		l.askedFirst(e.Pos, plan, level, a)
		return a
	case backout.ApprovalNone:
	}
	for key, at := range map[string]strictyaml.Pos{
		"votes": e.Votes.Pos, "veto": e.Veto.Pos, "expires": e.Expires.Pos, "on_expiry": e.OnExpiry.Pos, "valid_for": e.ValidFor.Pos,
		"step_up": e.StepUp.Pos, "known_exploited_vote": e.KnownExploitedVote.Pos, "on_channel_down": e.OnChannelDown.Pos,
	} {
		l.unused(at, key, backout.ApprovalNone)
	}
	if len(e.Channels) > 0 {
		l.unused(e.Channels[0].Pos, "channels", backout.ApprovalNone)
	}
	if len(e.Groups) > 0 {
		l.unused(e.Groups[0].Pos, "groups", backout.ApprovalNone)
	}
	return backout.Approval{Mode: backout.ApprovalNone}
}

func (l *loader) unused(at strictyaml.Pos, key string, mode backout.ApprovalMode) {
	if given(at) {
		l.add(at.Problem(fmt.Sprintf("approval %s has no %s", mode, key), "remove the key, or change the mode"))
	}
}

func (l *loader) approvalMode(e approvalEntry, forwardOnly bool, level backout.Level) backout.ApprovalMode {
	mode := backout.ApprovalMode(e.Mode.Value)
	switch {
	case mode != "":
	case given(e.Pos) && given(e.Veto.Pos):
		mode = backout.ApprovalVeto
	case given(e.Pos) || forwardOnly || level.Destructive:
		return backout.ApprovalRequired
	default:
		return backout.ApprovalNone
	}
	if forwardOnly && mode != backout.ApprovalRequired {
		l.add(e.Pos.Problem(fmt.Sprintf("approval %s in a plan with data_migration: forward_only", mode), "no level of it starts by itself; write approval: {mode: required, groups: [...]}"))
	} else if mode == backout.ApprovalNone && level.Destructive {
		l.add(e.Pos.Warning(fmt.Sprintf("%s loses data and starts without an approval", level.Name), "this is what approval: none says"))
	}
	return mode
}

func (l *loader) required(place levelPlace, plan backout.Plan, level backout.Level, forwardOnly bool) backout.Approval {
	e := place.entry.Approval
	l.unused(e.Veto.Pos, "veto", backout.ApprovalRequired)
	l.atLeastAt("votes", e.Votes, 1)
	a := backout.Approval{
		Mode: backout.ApprovalRequired, Votes: e.Votes.Value, Groups: l.groups(e.Groups),
		Expires: l.clock("expires", e.Expires, defaultExpires), OnExpiry: backout.OnExpiry(e.OnExpiry.Value),
	}
	if !given(e.Votes.Pos) {
		a.Votes = 1
		if level.Destructive && place.last && !place.only {
			a.Votes = 2
		}
	}
	if a.OnExpiry == "" {
		a.OnExpiry = backout.ExpiryDeny
	}
	l.expiry(place, a)
	at := place.entry.Pos
	if given(e.Pos) {
		at = e.Pos
	}
	if len(a.Groups) == 0 {
		l.add(at.Problem(why(e, forwardOnly, level)+" and names no group, so nobody could give it", "write approval: {mode: required, groups: [...]}"))
		return a
	}
	l.bounds(place, level, &a)
	if a.OnExpiry != backout.ExpiryGo || a.OnChannelDown == backout.ChannelDownProceed {
		l.asked(at, plan, level)
	}
	if a.OnExpiry == backout.ExpiryGo {
		l.heard(e, plan, level, a)
	} else {
		l.unused(e.OnChannelDown.Pos, "on_channel_down unless on_expiry is go", backout.ApprovalRequired)
	}
	if a.KnownExploitedVote {
		l.oneMore(place, plan, level, a)
		return a
	}
	l.enough(a, plan.Author, level.Name, at)
	return a
}

// enough refuses an approval that can never be given. With a group that is not
// known that is said already; who is in one, only an identity provider may know.
func (l *loader) enough(a backout.Approval, author, level string, at strictyaml.Pos) {
	if who := l.tooFew(a, author); who != "" {
		l.add(at.Problem(fmt.Sprintf("%s needs approvals (votes: %d), and %s", level, a.Votes, who),
			"add users with tokens to its groups, or ask for fewer votes; the plan's author does not count"))
	}
}

// askedFirst warns of a level that starts unless somebody holds it, for which a rule in
// mode ask or a limit would ask people who cannot answer.
func (l *loader) askedFirst(at strictyaml.Pos, plan backout.Plan, level backout.Level, a backout.Approval) {
	if len(a.Groups) == 0 {
		return // those of later levels may answer
	}
	a.Votes = 1
	if a.KnownExploitedVote {
		if l.tooFew(a, plan.Author) != "" {
			return // that nobody can give the one vote more has been said
		}
		a.Votes++
	}
	if who := l.tooFew(a, plan.Author); who != "" {
		l.add(at.Warning(fmt.Sprintf("%s needs approvals (votes: %d) where a rule in mode ask or a limit asks for it first, and %s", level.Name, a.Votes, who),
			"add users with tokens to its groups, or leave groups out: then those of later levels may answer"))
	}
}

// tooFew says who can vote, where that is not enough and it is known.
func (l *loader) tooFew(a backout.Approval, author string) string {
	known := l.cfg.groupNames()
	if !l.clean || l.cfg.Auth.OIDC.On() || slices.ContainsFunc(a.Groups, func(g string) bool { return !slices.Contains(known, g) }) {
		return ""
	}
	can := l.approvers(a.Groups, author)
	switch {
	case len(can) >= a.Votes:
		return ""
	case len(can) > 0:
		return "only " + quoteAll(can) + " can vote"
	}
	return "nobody can vote"
}

// why says in words where the need for an approval comes from.
func why(e approvalEntry, forwardOnly bool, level backout.Level) string {
	switch {
	case given(e.Pos):
		return level.Name + " needs an approval"
	case forwardOnly:
		return level.Name + " needs an approval, since data_migration is forward_only,"
	}
	return level.Name + " needs an approval, since it loses data,"
}

// expiry refuses outcomes that make no sense for the last level.
func (l *loader) expiry(place levelPlace, a backout.Approval) {
	at := place.entry.Approval.OnExpiry.Pos
	switch {
	case !place.last:
	case a.OnExpiry == backout.ExpiryGo:
		l.add(at.Problem("on_expiry: go on the last level", "the last level never starts unasked; write deny"))
	case a.OnExpiry == backout.ExpiryEscalate:
		l.add(at.Problem("on_expiry: escalate on the last level", "there is no level after it; write deny"))
	}
}

func (l *loader) groups(entries []text) []string {
	var out []string
	known := l.cfg.groupNames()
	for _, e := range entries {
		out = append(out, e.Value)
		if l.clean && !slices.Contains(known, e.Value) {
			l.add(e.Pos.Problem(fmt.Sprintf("no group %q in %s", e.Value, l.cfg.Path), strictyaml.DidYouMean(e.Value, known, "")))
		}
	}
	return out
}

// approvers are the members of the groups who can vote, may approve somewhere and are
// not the author.
func (l *loader) approvers(groups []string, author string) []string {
	var out []string
	can := make([]string, 0, len(l.cfg.Auth.Tokens)+len(l.cfg.Auth.Users))
	for _, t := range l.cfg.Auth.Tokens {
		can = append(can, t.Name)
	}
	for _, u := range l.cfg.Auth.Users {
		can = append(can, u.Name)
	}
	for _, name := range can {
		in := slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(l.cfg.Members(g), name) })
		if in && name != author && access.Somewhere(l.cfg.HolderGrants(name), access.ActionApprove) == nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
