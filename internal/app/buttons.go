package app

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// checkButtons warns of buttons in Slack that nobody could ever press: an account counts
// once its person, signed in, has opened a link to this server and confirmed. It looks
// at the channels that outboxConfig has built.
func (l *loaded) checkButtons(path string) (problems backout.Problems) {
	channels := l.slackChannels()
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		what, fix := "", ""
		switch {
		case !channels[name].Interactive():
			continue
		case !l.config.Auth.SignIn():
			what = "nobody can sign in to link their Slack account, so every press would be refused"
			fix = "add auth.oidc or auth.users, see docs/slack.md"
		case onlyHere(l.config.ExternalURL):
			what = fmt.Sprintf("whoever presses one is sent to %s to link their account, which only this machine reaches", l.config.ExternalURL)
			fix = "set external_url to the address that people open"
		default:
			continue
		}
		problems = append(problems, backout.Problem{File: path, What: fmt.Sprintf("channel %s has buttons, and %s", name, what), Fix: fix, Warning: true})
	}
	return problems
}

// onlyHere tells whether an address is one that other machines cannot open.
func onlyHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false // told elsewhere
	}
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
