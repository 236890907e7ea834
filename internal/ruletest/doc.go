// Package ruletest runs unit tests of rules that are written in YAML, in the
// spirit of promtool's: series of alerts over virtual time, changes, and the
// verdicts and rollbacks that are expected.
package ruletest
