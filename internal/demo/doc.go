// Package demo is backout's main job in half a minute, on one machine, with
// nothing but the binary: a small web service runs as a process of its own, a
// patch breaks it, the probe that fails becomes Alertmanager webhooks, L1 does
// not help, the clock escalates to L2, which restores the snapshot, and the
// service answers again.
//
// Everything in it is the real thing with short times: the server with its
// store, intake, rules, executors, checks and notices. The config is made from
// the same templates as deploy/example.
package demo
