// Package all is the list of the channel types that come with backout.
package all

import (
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/email"
	"github.com/backout-io/backout/notifier/slack"
	"github.com/backout-io/backout/notifier/webhook"
)

// Registry returns a registry of every channel type.
func Registry() (*notifier.Registry, error) {
	return notifier.NewRegistry(
		email.Kind(),
		slack.Kind(),
		webhook.Kind(),
	)
}
