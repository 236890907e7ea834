// Package alertwire reads alerts as they come over the wire: Alertmanager's
// webhook (version 4), Grafana's, which is shaped like it, and the body of its own POST /api/v2/alerts.
//
// # What it promises
//
// It is one strict pass over the body: what encoding/json refuses is refused
// here, with the byte where it went wrong; what encoding/json reads is read to
// the same values, invalid UTF-8 and lone surrogates replaced by U+FFFD
// included. Unknown fields are skipped without keeping anything of them, so the
// memory used is in proportion to the alerts, whatever else the body holds.
// Every alert has its own copy of its text: keeping one keeps no body alive.
//
// Fingerprints are always computed, never believed. Every error is an [*Error]
// and wraps [backout.ErrInvalid].
//
// # What it may not do
//
// It has no clock, no I/O, no goroutine and no log.
package alertwire
