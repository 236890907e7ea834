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
//	unit     exists when the supervisor has a transient unit of its own
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
//   - Supervisor and command have sessions of their own, and over SSH where it can
//     be had a unit of their own, so neither the end of the connection nor the end
//     of backout reaches them.
//   - A process counts as alive only when its start time is the recorded one, so
//     a reused process id deceives nobody.
//
// # A unit of its own
//
// A session of its own (setsid) keeps the supervisor from the end of the
// connection, but it stays in the control group it was started in: that of the
// login's session, which logind ends at logout with KillUserProcesses=yes, or of
// the service that took the call, which systemd ends with it. So where systemd runs
// (/run/systemd/system, see sd_booted(3)) and the supervisor is root's, it asks
// systemd to move it into a transient scope, "backout-ID.scope", before it starts
// the command. A scope rather than a service: the supervisor stays the same
// process throughout, so a systemd that refuses, hangs or is restarted in between
// leaves a supervisor that was not moved, never a second one; systemd expands
// nothing of the command; and a process that the step leaves running is not killed
// when the supervisor ends, as it would be in a service. The scope is gone with its
// last process, so nothing must be freed but the mark of a failed one, and its name
// is a second fence: as long as it is active, a claim whose record somebody removed
// cannot be made again.
//
// busctl(1) calls StartTransientUnit of org.freedesktop.systemd1(5); tested with
// systemd 252, and where it fails the supervisor stays where it is. Systemd answers
// before it has moved the process, so the supervisor waits until /proc/self/cgroup
// says so.
//
// Who is not root stays in the session. Under KillUserProcesses=yes a logout then
// ends the step, and it is unknown; lingering does not help, KillExcludeUsers= in
// logind.conf does. All of this is tested in package ssh on machines with systemd.
//
// # What it does not bound
//
// The output of a step is kept whole: cutting it off would need a pipe, whose
// reader could be killed before the step and end it. A step that prints for ever
// fills the disk until its time-out stops it.
//
// The text is for a POSIX shell on Linux: /proc(5) gives the boot id and field 22
// of /proc/PID/stat the start time. setsid(1) is part of util-linux and busybox.
package attempt
