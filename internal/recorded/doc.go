// Package recorded reads histories to be replayed: the server's own, a file of
// payloads as Alertmanager sent them, and Prometheus' ALERTS series; and replays them.
//
// A history is opened once for each run, and never held in memory whole. What it
// gives is in the order of time. Whatever is wrong with it is an error that names
// the place; nothing is left out in silence.
package recorded
