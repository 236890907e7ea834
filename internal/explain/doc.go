// Package explain puts together what a person reads who asks why a rule did, or did
// not, fire: what [rules.Set.Explain] says of the conditions, and what
// [trigger.Decide] says follows, in words.
//
// The server and the command line answer through it, so that both say the same of
// the same alert. It decides nothing itself, and has no clock, no I/O and no log.
package explain
