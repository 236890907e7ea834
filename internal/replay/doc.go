// Package replay runs a rule set over a history of alerts and changes in virtual
// time, and says what would have followed. Nothing can come of it: it knows no
// store, no runner and no host, and its only output is what it hands to its
// caller.
//
// It judges as the server does: the same evidence table, the same rules.Match and
// trigger.Decide, alerts at the time they came in, and whatever is red on a live
// change again at every pulse. The same history and the same set give the same
// events in the same order, always.
//
// # What it cannot know
//
// A rollback that would have been opened changes nothing in the history: the
// alerts that follow are those that came. It counts as running until its change
// ends, so a target is opened once a change, as the server would unless a person
// asked again. Which targets the inventory had, and which control group, is taken
// from the inventory given, not from that of the time.
package replay
