// Package trigger decides what follows from a verdict: nothing, a record of it,
// further evidence for a rollback that runs, or a rollback.
//
// The server, the unit tests of rules, the replay of the past and the explanation
// of an alert all ask here, so what one of them says the others say too.
//
// # What stands between a match and a rollback
//
// In this order, the first that applies:
//
//  1. the change is not live: nothing;
//  2. the rule may only record (mode shadow, or not promoted further): record;
//  3. the target is being rolled back: evidence;
//  4. the target was rolled back before: nothing, a person may start another;
//  5. the throttle: fewer alerts than at_least, or acted within once_within: record;
//  6. the rollback opens, and waits for an approval (AskFirst) where the rule is in
//     mode ask, wants a level that the plan lacks, or its latch is closed.
//
// # What this package may not do
//
// It has no clock, no I/O, no goroutine and no log: times are inputs. A [Book] is
// not safe for two goroutines; who owns it locks it.
package trigger
