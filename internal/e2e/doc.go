// Package e2e holds whole stories with real parts: the binary as a process of
// its own, a real Prometheus, Alertmanager, sshd, mail server and NATS. Each test
// is named after the promise it shows, and nothing in it reaches inside the
// product.
//
// A part that is missing here skips its tests with the package that brings it;
// with BACKOUT_E2E=require it fails them.
package e2e
