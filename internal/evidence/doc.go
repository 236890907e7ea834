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
