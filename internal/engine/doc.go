// Package engine is the shell round the pure cores: it takes inputs in, lets a
// core decide, appends what it decided, and carries out what follows.
//
// # The order of things
//
// An effect never comes before its append. The append carries the expected
// sequence of its log, so of any number of servers that decide at once one wins;
// the others fold what happened and decide again. Everything carried out after an
// append is found again after a crash:
//
//   - a step that was requested or claimed stands in the rollback's state, and is
//     started or probed when the server comes back;
//   - a deadline is part of the state, and armed from it;
//   - a rollback that its change's log names and that has no log of its own is
//     opened from that record;
//   - a capture of baselines that this server began and did not end is ended when
//     it comes back, and what it had made is removed; that of a server that is gone
//     ends with its lease;
//   - what the patch changed is captured as long as it is owed, and what was made for
//     a change that has ended is removed for a day;
//   - a notice is derived from the log by the relay, which remembers how far it
//     has come; a notice derived twice has the same identity and goes out once.
//
// # A start that stays short
//
// The tables hold the fold of both logs. What ended more than an hour ago is at
// rest there: packed, and opened when somebody asks for it. Now and then the relay
// has the fold stored as it stands at the last record whose notices are handed
// over: a snapshot. The next start of any server reads it and then what came
// since. It is a cache: in any doubt the logs are read from their beginning. A
// change of what a fold makes of a log must raise foldSchema, and a test says so.
//
// Very many deadlines may be due at once, after a night without a server. They are
// handled a few at a time, those of rollbacks apart from those of changes, and what
// came due last before the rest, so that an escalation is not held up by a gate
// nor by the heap.
//
// # Who owns which goroutine
//
// Queries of rules are asked by at most 4 goroutines; a rule never waits for one.
// [Engine.Start] starts one follower for each log, the relay, the deadline loop,
// the pulse that judges rules again, the one that calls whoever watches for news, the
// sweep that finds what nobody looks after, the one that keeps targets of open windows
// connected, the cleaner of attempts and the tidier of what was made for the way back;
// steps, verification, comparisons with baselines, openings, captures and looks at
// readiness have one each while they last.
// [Engine.Close] ends all and waits. Work on targets is left running: it is
// attached to again.
//
// # Back to the baseline
//
// A look never waits for a comparison of a target with its baseline, which takes
// seconds, or minutes with AIDE: a green look that wants one begins it, and the look
// after its end uses it, once. What was found is nobody's after a restart: it is
// compared again.
//
// # Several servers on one store
//
// All are equal and nobody leads. What is decided is decided by the log, and what
// runs on a target by the target, so two that do the same thing do it once. Who
// does what by default only saves work: the server that appended a record carries
// out its commands; the one that [Engine.owns] says verifies and cleans up; what a
// server that is gone has left is found by the sweep and taken over by another,
// which asks the target and never starts anything blindly.
package engine
