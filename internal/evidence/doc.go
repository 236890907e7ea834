// Package evidence keeps the table of who is red: which alerts are firing on
// which targets, since when, and what that says about a change.
//
// # What counts once
//
// The same alert comes many times: from several Alertmanagers, by retries, by
// the webhook and by the v2 API. The table knows an alert by its target and
// fingerprint, and one firing of it by its start. Deliveries of the same firings
// and endings may come in any order and any number of times; the table ends up
// the same. An ending clears what started before it; a firing that started
// later stays.
//
// # What has been
//
// An alert that has ended leaves two things behind. How often it came back lately
// is kept for an hour, see [Table.Flaps]. When the first alert began after a moment
// that somebody watches is kept until nobody does, see [Table.Watch]: an alert that
// was red for a minute after the patch has been red after the patch for ever. Both
// are the same in whatever order and how often the deliveries come, and both are
// bounded.
//
// # Patched and unpatched
//
// A change's red share is compared with that of a control group: targets that no
// live change touches. Where patching is told of single targets, those of the change
// whose turn has not come yet are the best control group there is, and count to it:
// same service, same night, no patch. How many targets are red at all, and by how
// many alerts, counts all targets of the change all the same: one that goes down
// while it is being patched is told by nobody.
//
// # What goes stale
//
// A firing alert that nobody confirms any more expires: at its own end, when it
// names one (the v2 API), otherwise after [Options].StaleAfter. Where both ways
// tell of the same alert, the later end holds.
//
// # What this package may not do
//
// It has no clock, no I/O, no goroutine and no log: times are inputs. A [Table]
// is not safe for two goroutines; who owns it locks it.
package evidence
