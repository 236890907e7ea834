// Package ruletest runs unit tests of rules that are written in YAML, in the
// spirit of promtool's: series of alerts over virtual time, changes, and the
// verdicts and rollbacks that are expected.
//
// A test runs what the server runs: the rules themselves, and what follows from
// their verdicts, in virtual time through internal/replay. Nothing is reached but
// the rule files that a test file names, and the same files give the same report.
//
// # What is expected
//
// An expectation looks at everything up to its moment: the verdicts given by then,
// the rollbacks opened by then and not cancelled, the verdicts that were stopped.
// What it lists must be exactly what there is, one for one; what an entry leaves
// out (a target, a mode) is not looked at, and neither is a list that it leaves
// out.
//
// # Coverage
//
// A rule is covered when tests saw each of its conditions both hold and fail; see
// [rules.Coverage].
package ruletest
