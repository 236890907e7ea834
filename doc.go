// Package backout holds the nouns of automatic patch rollback and the
// contracts of its plug-ins.
//
// # What stands here
//
// A [Change] is one patch going to some targets in one [Window] under one
// [Plan]. An [Alert] that turns a target red while the window is open, or being
// watched, may yield a [Verdict]; a verdict may open a [Rollback], which climbs
// the plan's levels until its targets have recovered. Everything that happens
// to a rollback is an [Event] in its log, the state is the fold of that log, and
// a [Command] is what an event asks the outside world to do.
//
// # Plug-ins
//
// An [Executor] puts something back on one [Host]; a [Notifier] carries a
// [Notice] to people. Both can be written outside this module: no signature
// here speaks of an internal package.
//
// # What this package may not do
//
// It has no clock, no I/O, no goroutine and no log, and imports the standard
// library only. Times are inputs.
package backout
