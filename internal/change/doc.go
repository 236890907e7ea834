// Package change is the life of a change: from its plan, through the gate and
// its window, to the end of the watch or of its last rollback.
//
// It is pure. [Decide] looks at a change and at what somebody wants or what the
// time is, and says which events follow; [Apply] folds an event into the change.
// Neither has a clock, does I/O, logs or starts a goroutine: time is an input.
//
// # States
//
//	              gate: yes           open             patch ended, close,
//	 planned ───────────────► ready ────────► open ───────────────────────► watching
//	    │  ◄───────────────────┘ │             │ ▲     or window over         │ ▲ │
//	    │         gate: no       │             │ │                            │ │ │
//	    │                        │   rollback  │ │ last active rollback       │ │ │ watch over,
//	    │ cancel                 │   requested ▼ │ ended, targets are left    ▼ │ │ or close
//	    ▼                        │          ┌──────────────────────────────────┐ │
//	cancelled ◄──────────────────┘          │           backing_out            │ │
//	                  cancel                └──────────────────────────────────┘ │
//	                                            │ last active one    │ every      │
//	                                            │ ended, and one     │ target     ▼
//	                                            ▼ failed             ▼ is back   closed
//	                                        backout_failed       backed_out ◄── (when some targets
//	                                                                             were taken back)
//
// closed, cancelled, backed_out and backout_failed are final: nothing moves a
// change out of them. A rollback that was cancelled before it started anything
// leaves no trace on the state: the change goes back to where it was.
//
// # Contract
//
//   - Apply is total: it folds every event onto every change, the same way for
//     ever, and decides nothing. It never writes to what it was given: the result
//     may share parts with it, so both are to be read only.
//   - Decide returns events or an error, never both. The error wraps
//     [backout.ErrInvalid] (the input is wrong), [backout.ErrRefused] (state, gate
//     or policy say no), [backout.ErrFinal], [backout.ErrExists],
//     [backout.ErrNotFound] or [backout.ErrConflict] (a target is being rolled
//     back already), and says why in words for people.
//   - The events of one decision belong into one record, appended with the
//     change's Revision as the expected sequence. Whoever loses reads again and
//     decides again. That is how a target comes to be in at most one active
//     rollback: this log decides who opens one.
//   - What Decide works out (a default, an end of the watch) is written into the
//     events, so that a newer version with other defaults reads an old log as it
//     was meant.
//   - A [Tick] at or after [NextDeadline] moves whatever is due; earlier or
//     repeated ticks do nothing.
//
// # Baselines
//
// Before the window opens one server at a time captures the targets: BeginCapture
// takes a lease, and what ends it must name its number, so that a capture that was
// given up counts no more. The opening ends the capture that was begun for it, in
// one record with the gate's yes and the baselines of every target. A capture makes
// an earlier yes stale; [Stale] says so, and nothing follows from it, since only the
// yes that comes with [Open] opens.
//
// What the patch changed is recorded once for each target and never replaced. That it
// is not captured after a rollback has begun on a target is the caller's promise:
// the rollback's log alone tells.
//
// While the change is live [Readiness] brings what the gate would say now. It is
// recorded when other checks say no than before, or when a person has asked.
//
// # What rules said
//
// Every verdict that is recorded, and every rollback that a verdict opened, goes into
// the record of its rule and the rule's content ([backout.RuleRecord]). [OutcomeOf]
// says from the change alone whether it agrees with the rule. Judgements are the only
// events that may follow the end of a change: they move nothing else.
//
// # Windows without times
//
// A window whose opens is zero may be opened at any time. One whose closes is
// zero is open for [DefaultWindow]: from opens when that is given, or else from
// the moment it is opened. A change whose window is over before it was opened
// stays as it is: a person extends it, or cancels it.
package change
