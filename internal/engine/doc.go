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
//   - a notice is derived from the log by the relay, which remembers how far it
//     has come; a notice derived twice has the same identity and goes out once.
//
// # Who owns which goroutine
//
// [Engine.Start] starts one follower for each log, the relay, the deadline loop,
// the pulse that judges rules again, the sweep that finds what nobody looks after,
// and the cleaner; steps and verification have one each while they last.
// [Engine.Close] ends all and waits. Work on targets is left running: it is
// attached to again.
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
