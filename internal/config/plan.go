package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

const (
	defaultEscalateAfter = backout.Duration(30 * time.Minute)
	defaultEvery         = backout.Duration(15 * time.Second)
	defaultHoldFor       = backout.Duration(2 * time.Minute)
	defaultExpires       = backout.Duration(30 * time.Minute)
	// shortest bounds the clocks of a plan from below: the demo lives in seconds.
	shortest  = backout.Duration(100 * time.Millisecond)
	maxLevels = 9
)

func (l *loader) plans() {
	for _, name := range l.glob("plans", l.cfg.PlanGlobs) {
		l.planFile(name)
	}
}

func (l *loader) planFile(name string) {
	doc, ok := l.parse(name)
	if !ok {
		return
	}
	var file planFile
	problems := doc.Decode(&file)
	l.add(problems...)
	l.whole = len(problems) == 0
	if l.whole && len(file.Plans) == 0 {
		l.add(doc.At("plans").Problem("the file has no plan", "add one, or remove the file"))
	}
	for _, p := range file.Plans {
		l.plan(p)
	}
}

// author warns of an author who is nearly somebody that signs in: under the other name
// they could approve their own plan. Whom an identity provider knows is not known here.
func (l *loader) author(who text, plan backout.Plan) {
	asks := slices.ContainsFunc(plan.Levels, func(level backout.Level) bool { return level.Approval.Mode == backout.ApprovalRequired })
	if !asks || !given(who.Pos) || !l.clean || l.cfg.Auth.OIDC.On() {
		return
	}
	var known []string
	for _, t := range l.cfg.Auth.Tokens {
		known = append(known, t.Name)
	}
	for _, u := range l.cfg.Auth.Users {
		known = append(known, u.Name)
	}
	if near := strictyaml.Nearest(who.Value, known); near != "" && !slices.Contains(known, who.Value) {
		l.add(who.Pos.Warning(fmt.Sprintf("author %q is nobody who signs in here, and %q could approve the plan", who.Value, near),
			fmt.Sprintf("write author: %s if that is who wrote it", near)))
	}
}

func (l *loader) plan(p planEntry) {
	plan := backout.Plan{
		Name: p.Name.Value, Summary: p.Summary, Author: p.Author.Value,
		DataMigration: backout.DataMigration(p.DataMigration.Value),
		Audience:      l.audience(p.Audience),
		Limits:        l.limits(p.Limits),
		Verify:        l.verify(p.Verify),
		Baseline:      l.baseline(p.Baseline),
		Cleanup:       l.besides(p.Cleanup, "cleanup"),
	}
	if plan.DataMigration == "" {
		plan.DataMigration = backout.DataMigrationNone
	}
	if l.whole && len(p.Levels) == 0 || len(p.Levels) > maxLevels {
		l.add(p.Pos.Problem(fmt.Sprintf("the plan has %d levels", len(p.Levels)), "a plan has 1 to 9"))
	}
	for i, entry := range p.Levels {
		level := l.level(entry, i)
		place := levelPlace{entry: entry, index: i, last: i == len(p.Levels)-1, only: len(p.Levels) == 1}
		level.Approval = l.approval(place, plan, level)
		l.fits(entry, level, plan.Verify, p.Verify)
		plan.Levels = append(plan.Levels, level)
	}
	l.author(p.Author, plan)
	l.holdsHeard(p, plan)
	if p.Name.Value == "" {
		if given(p.Name.Pos) {
			l.add(p.Name.Pos.Problem("the plan has no name", planNameFix))
		}
		return
	}
	if !l.name("a plan", p.Name.Value, planName, planNameFix, p.Name.Pos) {
		return
	}
	if first, taken := l.plansAt[plan.Name]; taken {
		l.add(p.Name.Pos.Problem(fmt.Sprintf("a second plan %q", plan.Name), fmt.Sprintf("rename one; the first is at %s:%d", first.File, first.Line)))
		return
	}
	l.plansAt[plan.Name] = p.Name.Pos
	l.cfg.Plans[plan.Name] = plan
}

func (l *loader) audience(entries []text) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Value)
		if _, ok := l.cfg.Audiences[e.Value]; !ok && l.names("audiences") {
			l.add(e.Pos.Problem(fmt.Sprintf("no audience %q in %s", e.Value, l.cfg.Path),
				strictyaml.DidYouMean(e.Value, slices.Collect(maps.Keys(l.cfg.Audiences)), "")))
		}
	}
	return out
}

func (l *loader) limits(e limitsEntry) backout.Limits {
	l.atLeastAt("active_rollbacks", e.ActiveRollbacks, 1)
	l.atLeastAt("targets_per_hour", e.TargetsPerHour, 1)
	return backout.Limits{
		ActiveRollbacks: e.ActiveRollbacks.Value, TargetsPerHour: e.TargetsPerHour.Value, ShareOfChange: int(e.ShareOfChange.Value),
	}
}

// atLeastAt checks a number that the file gives.
func (l *loader) atLeastAt(key string, n number, least int) {
	if given(n.Pos) && n.Value < least {
		l.add(n.Pos.Problem(fmt.Sprintf("%s: %d is too small", key, n.Value), fmt.Sprintf("give at least %d, or remove the key", least)))
	}
}

// clock returns the duration that the file gives, or the default.
func (l *loader) clock(key string, d duration, otherwise backout.Duration) backout.Duration {
	if !given(d.Pos) {
		return otherwise
	}
	if d.Value < shortest {
		l.add(d.Pos.Problem(fmt.Sprintf("%s: %s is too short", key, d.Value), fmt.Sprintf("give at least %s, or remove the key", shortest)))
	}
	return d.Value
}

func (l *loader) verify(e verifyEntry) backout.Verify {
	v := backout.Verify{
		Every: l.clock("every", e.Every, defaultEvery), HoldFor: l.clock("hold_for", e.HoldFor, defaultHoldFor), IgnoreAlerts: e.IgnoreAlerts.Value,
	}
	for _, s := range e.Checks {
		if check, ok := l.check(s); ok {
			v.Checks = append(v.Checks, check)
		}
	}
	if v.IgnoreAlerts && len(e.Checks) == 0 {
		l.add(e.IgnoreAlerts.Pos.Problem("nothing would verify a recovery: alerts are ignored and there is no check", "add a check, or remove ignore_alerts"))
	}
	return v
}

// check reads {name, <kind>: section}.
func (l *loader) check(s strictyaml.Section) (backout.Check, bool) {
	var known []string
	if l.kinds.Checks != nil {
		known = l.kinds.Checks.Names()
	}
	var name string
	var kinds []strictyaml.Entry
	for _, e := range s.Entries() {
		if e.Key.Value != "name" {
			kinds = append(kinds, e)
			continue
		}
		if err := e.Value.Decode(&name); err != nil {
			_, _ = l.section(func(func(any) error) (rawJSON, error) { return nil, err }, e.Value, e.Key.Pos)
		}
	}
	if len(kinds) == 0 {
		l.add(s.Pos().Problem("a check of no kind", "write it as KIND: {...}, KIND one of "+strings.Join(known, ", ")))
		return backout.Check{}, false
	}
	for _, extra := range kinds[1:] {
		l.add(extra.Key.Pos.Problem(fmt.Sprintf("%q besides %q in one check", extra.Key.Value, kinds[0].Key.Value), "make it a check of its own"))
	}
	uses := kinds[0].Key
	if !slices.Contains(known, uses.Value) {
		l.add(uses.Pos.Problem(fmt.Sprintf("no check kind %q", uses.Value), strictyaml.DidYouMean(uses.Value, known, "")))
		return backout.Check{}, false
	}
	kind, _ := l.kinds.Checks.Lookup(uses.Value)
	with, ok := l.section(kind.Decode, kinds[0].Value, uses.Pos)
	if name == "" {
		name = uses.Value
	}
	return backout.Check{Name: name, Uses: uses.Value, With: with}, ok
}

func (l *loader) level(e levelEntry, index int) backout.Level {
	level := backout.Level{
		Name: fmt.Sprintf("L%d", index+1), Summary: e.Summary, EscalateAfter: l.clock("escalate_after", e.EscalateAfter, defaultEscalateAfter),
		Audience: l.audience(e.Audience), Loses: e.Loses, MaxParallel: e.MaxParallel.Value,
		StopAtFailures: int(e.StopAtFailures.Value), Destructive: e.Destructive.Value,
	}
	if e.Name.Value != "" && e.Name.Value != level.Name {
		l.add(e.Name.Pos.Problem(fmt.Sprintf("the level at this place is %s, not %q", level.Name, e.Name.Value), "levels are called by their position; write "+level.Name+" or remove the name"))
	}
	l.atLeastAt("max_parallel", e.MaxParallel, 0)
	if l.whole && len(e.Steps) == 0 {
		l.add(e.Pos.Problem("the level has no step", "add at least one"))
	}
	var loses []string
	for _, s := range e.Steps {
		step, destructive, what := l.step(s)
		if step.Reboots && step.Timeout == 0 {
			// A target that stays away must not be waited for without an end.
			step.Timeout = level.EscalateAfter
		}
		level.Steps = append(level.Steps, step)
		level.Destructive = level.Destructive || destructive
		if what != "" && !slices.Contains(loses, what) {
			loses = append(loses, what)
		}
		if destructive && given(e.Destructive.Pos) && !e.Destructive.Value {
			l.add(e.Destructive.Pos.Problem(fmt.Sprintf("destructive: false, but %s loses data", step.Uses), "remove the key"))
		}
	}
	if level.Loses != "" && !level.Destructive && !given(e.Destructive.Pos) && !given(e.Approval.Pos) {
		l.add(e.Pos.Warning(level.Name+" says what it loses, and starts without an approval: it does not say destructive: true",
			"write destructive: true, or, if that is what is meant, approval: none"))
	}
	if level.Loses == "" {
		level.Loses = strings.Join(loses, "; ")
	}
	return level
}

func (l *loader) step(e stepEntry) (step backout.Step, destructive bool, loses string) {
	step = backout.Step{Name: e.Name, Uses: e.Uses.Value, OnOverdue: backout.OverdueWait, Reboots: e.Reboots}
	if given(e.Timeout.Pos) {
		step.Timeout = l.clock("timeout", e.Timeout, 0)
	}
	if step.Name == "" {
		step.Name = step.Uses
	}
	if !given(e.Uses.Pos) {
		return step, false, ""
	}
	var known []string
	if l.kinds.Executors != nil {
		known = l.kinds.Executors.Names()
	}
	if !slices.Contains(known, step.Uses) {
		l.add(e.Uses.Pos.Problem(fmt.Sprintf("no executor %q", step.Uses), strictyaml.DidYouMean(step.Uses, known, "")))
		return step, false, ""
	}
	kind, _ := l.kinds.Executors.Lookup(step.Uses)
	step.OnOverdue = kind.OnOverdue
	step.Reboots = step.Reboots || kind.Reboots
	if l.whole || !e.With.IsZero() {
		step.With, _ = l.section(kind.Decode, e.With, e.Pos)
	}
	return step, kind.Destructive, kind.Loses
}

// fits refuses a level that could never be verified in its own time.
func (l *loader) fits(e levelEntry, level backout.Level, v backout.Verify, ve verifyEntry) {
	if v.HoldFor < level.EscalateAfter {
		return
	}
	at := e.Pos
	switch {
	case given(e.EscalateAfter.Pos):
		at = e.EscalateAfter.Pos
	case given(ve.HoldFor.Pos):
		at = ve.HoldFor.Pos
	}
	l.add(at.Problem(fmt.Sprintf("%s could never help: its time is up after %s, and verifying alone takes %s", level.Name, level.EscalateAfter, v.HoldFor),
		"make escalate_after longer than hold_for and the steps together"))
}
