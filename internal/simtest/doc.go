// Package simtest runs the whole server in virtual time: real JetStream on disk,
// the real engine, rules, cores, runner, outbox and HTTP intake. Only what lies
// outside of the server is simulated: targets ([Host]), people's channels
// ([Inbox]) and Alertmanager ([World.Fire]).
//
// A story is one test:
//
//	simtest.Story(t, simtest.Setup{Rules: auto}, func(w *simtest.World) {
//		w.Host("web-1").On("L1", simtest.Script{})
//		w.OpenChange("CHG1", "web-1")
//		w.Fire("WebErrors", "web-1")
//		w.Advance(30 * time.Minute)
//		...
//	})
//
// Half an hour passes in milliseconds, and always in the same way. When the story
// is over, [CheckLaws] is run on everything it left in the logs.
//
// # Simulation
//
// [Simulate] tells the story of a seed. The seed draws a world (servers, targets,
// plans, rules), what happens in it turn by turn, and which operations go wrong;
// after every turn everything is held against the laws ([watcher]). In the end
// the world is healed, and every rollback must come to its end. "make sim" plays
// many seeds, "make sim SEEDS=1234" that one, and prints its story.
//
// Beside the faults of single operations there are servers that die for a while or
// for good, are not heard though they live, or do not reach a target that others
// reach; targets that reboot, as their plan says or not, and whose disk may come
// back without the attempt; starts that arrive minutes after their server was told
// that they were lost; and two people who do at once, on two servers, what only one
// may do.
//
// What is excused: a step in doubt whose target a person judges wrongly may overlap
// the next; a notice may be read twice when its channel's answer was lost or its
// server ended at that moment; a start that is on its way does not outlive a reboot
// of its target, as no connection does.
//
// Whether an operation goes wrong is a hash of the seed and of what the operation
// is, never of when it comes, so that a seed tells the same story again: the same
// rollbacks end in the same way nearly always. Which of two servers is first, and
// what the outbox does when, differs now and then.
//
// # What a host promises here
//
// A [Host] keeps [backout.Host]'s contract: an attempt starts at most once. What it
// counts are effects ([Host.Effects]), so that a test can tell whether the server
// asked for more than it may.
package simtest
