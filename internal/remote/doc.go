// Package remote lets runners near the targets carry out attempts for servers
// elsewhere, over messages of NATS that nothing keeps.
//
// A server has a [Hub] and from it a [Site] for each place; a runner is an
// [Agent]. The log stays the only truth, and only servers write it. A server
// offers a signed task to the runners of a site; one that is free takes it, and
// carries it out with the same code as the built-in runner. What that code has to
// ask (may I claim? may I start now?) and what it has to tell (output, the end)
// are the answers to the server's watching, which is asked for again and again. A
// runner never speaks first, but to say that it is there: it needs no inbox, no
// stream, and the right to publish one subject.
//
// # What it promises
//
//   - A runner does nothing that is not signed by a key it was given, fresh, for
//     its site and, where one runner is meant, for itself in this life. Whatever
//     it is to run stands in a plan whose hash is that of the gate, at that level;
//     the target is one of the gate's. There is no order to run anything else.
//   - Nothing starts on a target before the server has appended the claim and said
//     so, and each start is asked for once more right before.
//   - A message that is lost, late, doubled or out of order changes nothing: what
//     was not answered is asked again, what was answered twice counts once.
//   - A runner that is not heard of for ten seconds loses the attempt to another,
//     or to itself when it is back, by probing the target. It keeps nothing that
//     the target does not know.
//   - A runner that has not reached a target for 45 seconds lets another of its site
//     try, when there is one.
//   - What a runner answers is believed of its own attempts and targets only, and is
//     bounded: nothing that it says makes a server keep more than an honest one would.
//   - A runner carries out no step whose task names another baseline than its gate's
//     answer does for the target.
//   - A capture and what is tended for a step (prepared, cleaned up, released) may take
//     long: a runner begins it when it is first asked, and is asked again until the
//     answer has been fetched, in pieces. When it is gone, or leaves, another runner is
//     asked anew: a capture only looks, and the target runs an errand's attempt once.
//     What is tended stands in the plan, at its place, and its executor is allowed.
//   - Nobody at the site: a step waits, with the reason, as long as its level does.
//
// # What a recorded message can do when it is sent again
//
// It is refused once it is older than [lifetime], give or take [skew], and to send
// it at all takes the right to publish what only servers may. Within that time:
//
//   - offer: the runner says once more whether it is free. Nothing is kept.
//   - take: names a runner and its life, so no other one and no later start of the
//     same one takes it. This one has the attempt already, or had it: it keeps the
//     ended ones for longer than a message lives, and answers from memory. It makes
//     nobody the holder again from whom another has taken it meanwhile. One
//     whose claim failed is taken again, asks for its claim, and hears nothing.
//   - watch: shows output to whom it is answered, and acknowledges nothing that
//     was not. An answer in it counts for the one question whose number it has; a
//     stop was asked for by the server, and stays asked for.
//   - release: an attempt that has begun is only let go of when it has ended; one
//     that waits for its claim is dropped, and offered again.
//   - preflight and check look and change nothing.
//   - capture looks and changes nothing. tend: the runner knows its call, for longer
//     than a message lives, and tells how that ended; it begins nothing.
//   - forget: what a target keeps of ended attempts is removed once more. Their
//     ids are never used again.
//
// # Releases
//
// Messages have a version; another one is refused by name. What a runner of an earlier
// release does not know of the same version, it refuses (capture and tend: "is not an
// order", and the server adds which release the runner is of) or leaves out (a task's
// baseline, what was prepared, the patch delta). So between such releases, changes
// without a baseline go on as before, and of a change with one the gate says no before
// its window opens.
package remote
