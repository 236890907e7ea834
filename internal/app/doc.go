// Package app puts the parts together: config, bus, store, engine, outbox and
// HTTP become one server. It is used by the command line and by whole-system
// tests alike.
//
// # Order
//
// Start: config, bus, store, outbox, engine (which replays the logs), and last
// the listener, so that alerts are taken in only when everything behind them is
// ready. Close is the reverse.
//
// # Reload
//
// Everything that can fail is built first, then swapped. A bad file leaves the
// old config running and says so. What belongs to the process (addresses,
// data_dir, nats, TLS) is read at the start only; a reload that changes it says
// that a restart is needed.
package app
