// Package store keeps what must outlive the process: the logs, the alerts, the
// outbox, small documents and large ones. DESIGN.md tells the reasons.
//
// # What it promises
//
//   - A write that returned nil is on disk, or on a majority of the user's
//     cluster: killing any process loses none of it.
//   - A log has one history for each id: an append names the sequence it follows,
//     and of two that name the same one, one wins and the other gets
//     [backout.ErrConflict].
//   - A write with no clear answer is asked for again under the same identity. It
//     is never stored twice. If it stays unclear, [backout.ErrUnavailable] says
//     so, and the write may or may not have happened.
//   - Reads come from the stream's leader and are never cached.
//   - Order: a log is followed in the order it was written; a channel of the
//     outbox is delivered in the order it was filled.
//   - A notice is delivered at least once, and as a rule once: a receipt is
//     stored before the acknowledgement, and a stored receipt ends the matter.
//   - A record that this release cannot read, a history with a hole in it, and a
//     stream that has lost its end is an error that names the stream and the
//     sequence; nothing is skipped.
//   - A backup is the store at one moment, while it is in use; a store filled from
//     it has the same logs under the same sequences.
//
// # What it does not promise
//
// It keeps nothing in memory on behalf of the caller, has no opinion on what
// events mean, and does not detect every flipped bit.
package store
