package outbox

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/notifier"
)

// gone tells that a notice is for an audience that the config does not have any more, and
// that somebody else must be told: a rollback goes by the plan as it was frozen, whatever
// its audiences are called by now. Who could only have read it is replaced by nobody.
func (c *Config) gone(n backout.Notice) bool {
	return n.Audience != "" && len(c.Audiences[n.Audience]) == 0 && (n.RollbackID != "" || n.Moment.NeedsPerson()) &&
		c.kindOf(n.Audience).MayAct()
}

func (c *Config) kindOf(audience string) notifier.AudienceKind {
	return cmp.Or(c.Kinds[audience], notifier.KindOf(audience))
}

// instead adds where the notice goes for all who can act, by their routes.
func (c *Config) instead(table route.Table, d route.Decision, n backout.Notice, at time.Time) route.Decision {
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		if !c.kindOf(audience).MayAct() {
			continue
		}
		n.Audience = audience
		other := table.Decide(n, at)
		d.Steps = append(d.Steps, other.Steps...)
		for _, channel := range other.Channels {
			if !slices.Contains(d.Channels, channel) {
				d.Channels = append(d.Channels, channel)
			}
		}
	}
	return d
}

// saidToBeGone says in the message why its people get it.
func (c *Config) saidToBeGone(channel string, m backout.Message) backout.Message {
	if !c.gone(m.Notice) {
		return m
	}
	name := m.Notice.Audience
	if escape := c.Channels[channel].Style.Escape; escape != nil {
		name = escape(name)
	}
	said := "\n\nThis was for the audience " + notifier.Cut(notifier.OneLine(name), notifier.MaxSubject) + ", which the config does not have any more: it goes to all who can act."
	m.Text = notifier.Cut(m.Text, notifier.MaxText-len(said)) + said
	return m
}
