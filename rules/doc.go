// Package rules turns rule files into a [Set] that says which changes an alert
// speaks against.
//
// # A rule
//
// A rule has Alertmanager matchers (match) and one expression (when) over the
// facts that [Facts] lists. Both must hold for one alert and one live change;
// then the set gives a [backout.Verdict]. What the verdict may do is the rule's
// mode: shadow, ask or auto.
//
// # Guards
//
// No rule can switch these off, they stand in [Set.Match] itself: only firing
// alerts count; only changes that are open, watching or backing out count; an
// alert that fired before the change's window opened is never evidence against
// it; alerts about backout itself ([OwnAlertPrefix]) are ignored.
//
// # Cost
//
// Rules hang in an index by the equalities they demand, changes are looked up by
// target in the [World]; the expression runs on the remaining pairs only, without
// the equalities that were compared before. The index saves work and never changes
// an answer. An expression has no loops and at most 200 nodes, what searches texts
// sees their first 2 KiB, and a rule whose patterns could take too many steps over
// them is refused. A PromQL query is the world's to ask: a rule never waits for it.
//
// # What this package may not do
//
// It knows no clock, no network and no log. It reads files through io/fs only,
// in [LoadFS].
package rules
