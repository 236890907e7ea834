package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// defaultStepUp is how old a login may be that approves a last level which loses data.
const defaultStepUp = backout.Duration(5 * time.Minute)

// approvalChannels are the ways by which a vote may come; see [backout.Vote].Via.
var approvalChannels = []string{"cli", "api", "slack", "dashboard"}

// bounds fills in what an approval must have beside the right person.
func (l *loader) bounds(place levelPlace, level backout.Level, a *backout.Approval) {
	e := place.entry.Approval
	a.ValidFor = l.clock("valid_for", e.ValidFor, 0)
	a.KnownExploitedVote, a.OnChannelDown = e.KnownExploitedVote.Value, backout.OnChannelDown(e.OnChannelDown.Value)
	if e.Channels != nil && len(e.Channels) == 0 {
		l.add(e.Pos.Problem("channels is empty, so that nobody could approve "+level.Name, "name some of "+quoteAll(approvalChannels)+", or remove the key"))
	}
	for _, c := range e.Channels {
		if !slices.Contains(approvalChannels, c.Value) {
			l.add(c.Pos.Problem(fmt.Sprintf("no approval comes by %q", c.Value), strictyaml.DidYouMean(c.Value, approvalChannels, "")))
		}
		a.Channels = append(a.Channels, c.Value)
	}
	if api := slices.Contains(a.Channels, "api"); len(a.Channels) > 0 && api != slices.Contains(a.Channels, "cli") {
		l.add(e.Channels[0].Pos.Warning("a caller of the API says by itself whether it is the command line", "name both cli and api, or neither"))
	}
	l.stepUp(place, level, a)
}

func (l *loader) stepUp(place levelPlace, level backout.Level, a *backout.Approval) {
	e := place.entry.Approval.StepUp
	switch {
	case given(e.Pos) && e.Value > 0:
		a.StepUp = l.clock("step_up", e, 0)
	case !given(e.Pos) && level.Destructive && place.last && a.Mode == backout.ApprovalRequired && l.signIn():
		a.StepUp = defaultStepUp
	}
	if a.StepUp == 0 {
		return
	}
	at := e.Pos
	if !given(at) {
		at = place.entry.Pos
	}
	if l.clean && !l.signIn() {
		l.add(at.Problem("step_up: a token proves no login, and nobody can sign in", "add auth.oidc or auth.users to "+l.cfg.Path+", or remove the key"))
	}
	// A click in Slack proves no login either.
	if len(a.Channels) > 0 && !slices.ContainsFunc(a.Channels, func(c string) bool { return c != "slack" }) {
		l.add(at.Problem(fmt.Sprintf("%s takes a fresh login, and an approval may come by slack only, which proves none", level.Name), "add dashboard to channels, or write step_up: 0s"))
	}
}

// signIn tells whether people can prove who they are, rather than hold a token.
func (l *loader) signIn() bool {
	for _, section := range l.root.Entries() {
		if section.Key.Value != "auth" {
			continue
		}
		for _, e := range section.Value.Entries() {
			if e.Key.Value == "oidc" || e.Key.Value == "users" {
				return true
			}
		}
	}
	return false
}

// heard warns of a silence that never counts, since nobody who could act is ever told.
func (l *loader) heard(e approvalEntry, plan backout.Plan, level backout.Level, a backout.Approval) {
	told := slices.Concat(level.Audience, plan.Audience)
	if a.OnChannelDown == backout.ChannelDownProceed || l.acts(told) {
		return
	}
	if len(told) > 0 {
		l.add(e.Pos.Warning(fmt.Sprintf("of %s only audiences are told who can do nothing, so its clock stands still and it never starts by itself: %s", level.Name, strings.Join(told, ", ")), "add one of the kind deciders or responders, or write on_channel_down: proceed"))
		return
	}
	l.add(e.Pos.Warning(fmt.Sprintf("nobody is told of %s, so its clock stands still and it never starts by itself", level.Name), "give it an audience, or write on_channel_down: proceed"))
}

// oneMore checks that a further vote can be asked for and given.
func (l *loader) oneMore(place levelPlace, plan backout.Plan, level backout.Level, a backout.Approval) {
	if !a.KnownExploitedVote {
		return
	}
	at := place.entry.Approval.KnownExploitedVote.Pos
	if l.clean && l.cfg.Exposure.KnownExploited == "" {
		l.add(at.Problem("known_exploited_vote: nobody knows what is exploited", "add exposure: {known_exploited: FILE} to "+l.cfg.Path+", or remove the key"))
	}
	if len(a.Groups) == 0 {
		l.add(at.Problem("known_exploited_vote: "+level.Name+" names no group, so nobody could give the vote", "add groups"))
		return
	}
	a.Votes++
	l.enough(a, plan.Author, level.Name+" with known_exploited_vote", at)
}
