// Package trigger decides what follows from a verdict: nothing, a record of it,
// further evidence for a rollback that runs, or a rollback. It also says how much a
// rule may do at all ([Earned]).
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
// A verdict that no mode would have made a rollback of (3, 4 and 5) is moot: it says
// nothing of how good the rule is.
//
// # Throttles
//
// once_within: a rule has acted when a rollback was opened for it, unless that was
// cancelled before it began anything: an alert that flaps does not disarm the rule.
// The rollbacks of the case's change tell, and the book what it was told with
// [Book.Acted]; with per: rule those of every change count. Who decides again on the
// newest change while it is appended to lets one of two servers pass, and a restart
// forgets nothing, since both are in the change's log.
//
// at_least: different alerts on targets are counted, of the change or with per: rule
// of all, each at the time when it first matched since it turned red, as long as that
// is not longer ago than within. The case's own counts always. A match that is not
// repeated for [Lapse] is forgotten, and a new one when it comes again. A match on a
// target that is being rolled back, or was, is never counted, and nothing that the rule
// matched while it said something else. The first match of an
// alert is in the change's log, as a verdict or as a rollback, so that
// [Book.Recall] makes after a restart what there was before it. Once the number is
// reached the rule acts on every alert that matches while it stays reached.
//
// latch: closed for a level of a change once a rollback of the change began with
// that level, whoever opened it, unless it was cancelled.
//
// # What this package may not do
//
// It has no clock, no I/O, no goroutine and no log: times are inputs. A [Book] is
// not safe for two goroutines; who owns it locks it. It holds at most [MaxMatches]
// matches of a rule and change, and after [Book.Forget] nothing that is of no use.
package trigger
