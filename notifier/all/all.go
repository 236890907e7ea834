// Package all is the list of the channel types that come with backout.
package all

import (
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/alertmanager"
	"github.com/backout-io/backout/notifier/email"
	"github.com/backout-io/backout/notifier/jira"
	"github.com/backout-io/backout/notifier/pagerduty"
	"github.com/backout-io/backout/notifier/servicenow"
	"github.com/backout-io/backout/notifier/slack"
	"github.com/backout-io/backout/notifier/teams"
	"github.com/backout-io/backout/notifier/webhook"
)

// Registry returns a registry of every channel type.
func Registry() (*notifier.Registry, error) {
	return notifier.NewRegistry(
		alertmanager.Kind(),
		email.Kind(),
		pagerduty.Kind(),
		jira.Kind(),
		servicenow.Kind(),
		slack.Kind(),
		teams.Kind(),
		webhook.Kind(),
	)
}
