// Package demo is backout's main job in a minute or two, on one machine, with
// nothing but the binary: a small web service runs as a process of its own, a
// patch breaks it, the probe that fails becomes Alertmanager webhooks, L1 does
// not help, the clock escalates to L2, which restores the snapshot, and the
// service answers again.
//
// It is told in two paces. Somebody who looks gets a link to the dashboard that signs them
// in (door.go), and time to read and to stop it; with [Options.Exit] it takes ten seconds
// and asks nobody.
//
// Everything in it is the real thing with short times: the server with its
// store, intake, rules, executors, checks and notices. The config is made from
// the same templates as deploy/example.
package demo
