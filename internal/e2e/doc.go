// Package e2e holds whole stories with real parts: the binary as a process of
// its own, a real Prometheus, Alertmanager, sshd, mail server, identity provider, NATS and
// Chromium; Slack, ServiceNow and Jira are simulators. Each test is named after the
// promise it shows, and nothing in it reaches inside the product; only the chaos run
// holds what was logged against the laws.
//
// # Chaos
//
// TestChaos… are trials, one after the other on parts that live long: a change, an
// alert, a rollback on real targets, and in the middle of it, at a drawn moment, a
// fault: kill -9, a power cut, a cut link. At the end the targets' files show each
// step's effect once, or the attempt is in doubt and a person was asked. Ordinary
// runs take a few trials from a random seed, "make chaos" as many as it is told;
// a failed trial says how to draw it again.
//
// A part that is missing here skips its tests with the package that brings it;
// with BACKOUT_E2E=require it fails them.
package e2e
