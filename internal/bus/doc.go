// Package bus gives the store its NATS JetStream: embedded in this process, or
// the user's own.
//
// # What it promises
//
//   - Embedded: what JetStream acknowledged has been synced to disk. A killed
//     process or a power cut loses none of it, as far as the disk tells the truth
//     about its syncs.
//   - Embedded: nothing listens. No port is opened and no signal handler is set.
//   - One data directory belongs to one server: a lock, freed by the kernel when
//     the process ends, refuses a second.
//   - A store that is damaged, incomplete or made by something else is an error
//     that names the directory. It never starts empty in silence.
//   - What is kept in the data directory beside the streams, their names and how
//     far they reach, is replaced atomically and synced.
//   - External: a write is refused while the connection is down; nothing is
//     kept in a buffer and sent later. What an acknowledgement is worth is up to
//     the cluster's sync_interval; docs/reliability.md says what each setting
//     loses.
//
// # What it cannot promise
//
// JetStream does not detect every flipped bit. A disk that filled up stops the
// streams until the server is started again; [Bus.Health] says so meanwhile.
//
// Facts about JetStream come from the source of nats-server v2.15.2 (server/
// monitor.go healthz, server/filestore.go) and from measurements.
package bus
