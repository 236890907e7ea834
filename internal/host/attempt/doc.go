// Package attempt is the protocol by which a target keeps an attempt: which
// files stand for it, which shell text starts, watches, stops and removes it,
// and what those files say. It is text and its reading only; package local and
// package ssh carry the text to a shell.
//
// # What stands on the target
//
// One directory for each attempt, mode 0700, named by the attempt's id, below
// /var/lib/backout/attempts for root and $HOME/.local/state/backout/attempts for
// anybody else:
//
//	claim    boot id, process id and start time of the supervisor
//	pid      process id and start time of the command, leader of its own group
//	out      stdout and stderr of the command, in the order written
//	unused   exists when it is known that the command never began
//	rc       exit code and end (seconds since 1970), by write, sync and rename;
//	         alone where the attempt was stopped before it began
//
// # What it promises
//
//   - Making the directory is the claim, and it is atomic: of any number of
//     starts one runs the command, whatever the others see. The claim is on disk
//     before the command begins, so a power cut cannot undo it.
//   - Stopping what nobody has claimed claims it, as finished: a start that was
//     held up on its way runs nothing.
//   - A directory is never reused. A start that was cut between the claim and the
//     command leaves an attempt that is unknown, never one that runs later.
//   - Supervisor and command have sessions of their own, so neither the end of
//     the connection nor the end of backout reaches them.
//   - A process counts as alive only when its start time is the recorded one, so
//     a reused process id deceives nobody.
//
// The supervisor is the only thing that waits for the command; what launches the
// supervisor (a new session here) is one line of the start text, and replaceable.
//
// The text is for a POSIX shell on Linux: /proc(5) gives the boot id and field 22
// of /proc/PID/stat the start time. setsid(1) is part of util-linux and busybox.
package attempt
