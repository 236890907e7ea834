// Package rollback is the state machine of a rollback: pure, total and without
// a clock.
//
// [Decide] looks at the folded state, the time and one [Input], and returns the
// events that become true, or an error: then nothing happened. [Apply] folds one
// event into the state and never decides. [Commands] says what a record of events
// asks the outside world to do. [NextDeadline] says when to come back with a
// [Tick].
//
// What the caller owes: append the events of one Decide as one record, with the
// expected sequence of the rollback's log, before carrying out any command; after
// a lost race, fold again and decide again.
//
// States, laws and crash points are told in DESIGN.md.
package rollback
