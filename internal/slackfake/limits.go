package slackfake

import (
	"slices"
	"time"
)

// rates are how many calls a method takes in a minute, from the rate limits page and
// each method's own. Where Slack says "and more", the number itself is the limit;
// connections may be opened ten times instead of once, since a client that lost one has
// to.
var rates = map[string]int{
	"apps.connections.open": 10,
	"auth.test":             100,
	"chat.postEphemeral":    100,
	"chat.update":           50,
	"conversations.info":    50,
	"conversations.members": 100,
	"users.info":            100,
	"views.open":            100,
	"views.publish":         100,
}

// postBurst is how many messages a channel takes at once; after that it is one a
// second. Slack documents the second and "short bursts", not how short.
const postBurst = 5

// wait returns for how long a call is not to be repeated; zero takes it.
func (w *Workspace) wait(method, channel string, now time.Time) time.Duration {
	for _, key := range []string{method, ""} {
		if until := w.limited[key]; until.After(now) {
			return until.Sub(now)
		}
	}
	if w.o.Unlimited {
		return 0
	}
	if method == "chat.postMessage" {
		return w.spend(method+" "+channel, postBurst, postBurst*time.Second, now)
	}
	return w.spend(method, rates[method], time.Minute, now)
}

// spend counts a call against so many within a time.
func (w *Workspace) spend(key string, most int, within time.Duration, now time.Time) time.Duration {
	recent := slices.DeleteFunc(w.spent[key], func(at time.Time) bool { return now.Sub(at) >= within })
	w.spent[key] = recent
	if most > 0 && len(recent) >= most {
		return recent[0].Add(within).Sub(now)
	}
	w.spent[key] = append(recent, now)
	return 0
}
