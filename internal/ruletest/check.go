package ruletest

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/strictyaml"
)

func (l *loader) targets(list []targetSpec) {
	seen := map[string]bool{}
	for _, t := range list {
		l.named(t.Name, "a target", seen)
	}
}

// named checks a name that must be there, once.
func (l *loader) named(name text, what string, seen map[string]bool) {
	switch {
	case !given(name.Pos):
	case name.Value == "":
		l.problem(name.Pos, what+" has no name", "give it one")
	case seen[name.Value]:
		l.problem(name.Pos, fmt.Sprintf("%s %q stands twice", what, short(name.Value)), "remove one")
	}
	seen[name.Value] = true
}

func (l *loader) changes(list []changeSpec) {
	seen := map[string]bool{}
	for i := range list {
		c := &list[i]
		l.named(c.ID, "a change", seen)
		targets := map[string]bool{}
		for _, t := range c.Targets {
			l.named(t, "a target", targets)
		}
		if given(c.Pos) && c.Targets != nil && len(c.Targets) == 0 {
			l.problem(c.Pos, fmt.Sprintf("the change %q has no target", short(c.ID.Value)), "name what the patch goes to")
		}
		if n := c.Levels; given(n.Pos) && (n.Value < 1 || n.Value > 9) {
			l.problem(n.Pos, fmt.Sprintf("levels: %d", n.Value), "a plan has 1 to 9 levels")
		}
		if !given(c.Levels.Pos) {
			c.Levels.Value = 3
		}
		l.lifetime(c, targets)
	}
}

// lifetime checks that what happens to a change happens in order.
func (l *loader) lifetime(c *changeSpec, targets map[string]bool) {
	l.bounded(c.Opens)
	l.after(c.Closes, c.Opens.Value, "closes", "it opens")
	l.after(c.Patched, c.Opens.Value, "patched", "it opens")
	l.after(c.Ends, max(c.Opens.Value, c.Patched.Value), "ends", "it opens and is patched")
	for _, name := range sortedKeys(c.PatchedTargets) {
		at := c.PatchedTargets[name]
		l.after(at, c.Opens.Value, "patched_targets", "it opens")
		if !targets[name] {
			l.problem(at.Pos, fmt.Sprintf("%q is no target of the change", short(name)), strictyaml.DidYouMean(name, sortedKeys(targets), ""))
		}
	}
}

func (l *loader) after(d duration, than backout.Duration, what, when string) {
	l.bounded(d)
	if given(d.Pos) && d.Value < than {
		l.problem(d.Pos, fmt.Sprintf("%s: %s is before %s, at %s", what, d.Value, when, than), "times are counted from the start of the test")
	}
}

func (l *loader) bounded(d duration) {
	if time.Duration(d.Value) > longest {
		l.problem(d.Pos, fmt.Sprintf("%s is longer than a test may take", d.Value), "keep to 366d")
	}
}

// maxDeliveries bounds what one test may cost.
const maxDeliveries = 1_000_000

func (l *loader) alerts(t *test) {
	seen := map[string]strictyaml.Pos{}
	for _, a := range t.spec.Alerts {
		s := series{
			alert: backout.Alert{Fingerprint: alertwire.Fingerprint(a.Labels), Labels: a.Labels, Annotations: a.Annotations},
			known: a.Silenced != nil || a.Inhibited != nil, every: time.Minute,
		}
		switch first, twice := seen[s.alert.Fingerprint]; {
		case len(a.Labels) == 0:
			l.problem(a.Pos, "an alert has no labels", "add labels: {alertname: …, instance: …}")
		case a.Labels["alertname"] == "":
			l.problem(a.Pos, "an alert has no label alertname", "add it: Prometheus sets it on every alert")
		case twice:
			l.problem(a.Pos, "a second alert with the same labels", fmt.Sprintf("list its times under firing of the one in line %d", first.Line))
		}
		seen[s.alert.Fingerprint] = a.Pos
		if a.Firing != nil && len(a.Firing) == 0 {
			l.problem(a.Pos, "the alert never fires", "add a stretch of time to firing, such as 10m-40m")
		}
		if given(a.Every.Pos) {
			if s.every = time.Duration(a.Every.Value); s.every < time.Second {
				l.problem(a.Every.Pos, "every is too small", "give at least 1s")
				s.every = time.Second
			}
		}
		s.firing, s.silenced, s.inhibited = l.spans(a.Firing, "firing"), l.spans(a.Silenced, "silenced"), l.spans(a.Inhibited, "inhibited")
		t.alerts = append(t.alerts, s)
	}
}

// spans checks that stretches of time stand in order and do not overlap.
func (l *loader) spans(list []strictyaml.At[span], what string) []span {
	var out []span
	for i, s := range list {
		if s.Value == (span{}) {
			continue // refused already
		}
		if s.Value.last() > longest {
			l.problem(s.Pos, fmt.Sprintf("%s: longer than a test may take", what), "keep to 366d")
		}
		if i > 0 {
			if before := list[i-1].Value; before.open || s.Value.from < before.to {
				l.problem(s.Pos, fmt.Sprintf("%s: begins before the one in front of it has ended", what), "list them in order, without overlaps")
			}
		}
		out = append(out, s.Value)
	}
	return out
}

func (l *loader) queries(t *test) {
	for _, q := range t.spec.Queries {
		l.bounded(q.At)
		if given(q.Query.Pos) && q.Query.Value == "" {
			l.problem(q.Query.Pos, "the query is empty", "write it as the rule has it")
		}
		if _, ok := t.inventory[q.Target.Value]; given(q.Target.Pos) && !ok {
			l.problem(q.Target.Pos, fmt.Sprintf("unknown target %q", short(q.Target.Value)), strictyaml.DidYouMean(q.Target.Value, sortedKeys(t.inventory), ""))
		}
	}
}

// expectations checks that what is expected can be: an unknown name would make a
// test that can never pass, or one that always does.
func (l *loader) expectations(i int, t *test) {
	at := l.root.At("tests", i)
	if l.root.Has("tests", i, "expect") && len(t.spec.Expect) == 0 {
		l.problem(at, fmt.Sprintf("the test %q expects nothing", short(t.spec.Name.Value)), "add an expectation: without one it would always pass")
	}
	var before backout.Duration
	for j, e := range t.spec.Expect {
		l.bounded(e.At)
		if e.At.Value < before {
			l.problem(e.At.Pos, fmt.Sprintf("at: %s is before the expectation in front of it, at %s", e.At.Value, before), "put them in order")
		}
		before = max(before, e.At.Value)
		l.lists(i, j, e)
		for _, v := range e.Verdicts {
			l.names(t, v.Rule, v.Change, v.Target)
		}
		for _, s := range e.Stopped {
			l.names(t, s.Rule, s.Change, s.Target)
		}
		for _, r := range e.Rollbacks {
			l.names(t, r.Rule, r.Change, r.Targets...)
			l.level(t, r)
		}
	}
	if n := t.deliveries(); n > maxDeliveries {
		l.problem(at, fmt.Sprintf("the alerts of the test come in %d times", n), "let them come in less often (every), or shorten the test")
	}
}

// lists refuses a list without a value, which might mean none or any, and an
// expectation without a list.
func (l *loader) lists(i, j int, e expectSpec) {
	none := true
	for name, missing := range map[string]bool{"verdicts": e.Verdicts == nil, "rollbacks": e.Rollbacks == nil, "stopped": e.Stopped == nil} {
		if !l.root.Has("tests", i, "expect", j, name) {
			continue
		}
		none = false
		if missing && l.root.At("tests", i, "expect", j, name).Line > 0 && !l.broken(i, j, name) {
			l.problem(l.root.KeyAt("tests", i, "expect", j, name), name+" has no value", "write [] for none, or remove the key")
		}
	}
	if none {
		l.problem(e.Pos, "the expectation expects nothing", "add verdicts, rollbacks or stopped")
	}
}

// broken tells whether the value was refused already.
func (l *loader) broken(i, j int, name string) bool {
	at := l.root.At("tests", i, "expect", j, name)
	return slices.ContainsFunc(l.problems, func(p backout.Problem) bool { return p.Line == at.Line && p.Column == at.Column })
}

func (l *loader) names(t *test, rule, change text, targets ...text) {
	l.ruleNamed(rule.Value, rule.Pos)
	var ids []string
	of := map[string]bool{}
	for _, c := range t.changes {
		ids = append(ids, c.ID.Value)
		if change.Value == "" || change.Value == c.ID.Value {
			for _, name := range c.Targets {
				of[name.Value] = true
			}
		}
	}
	if given(change.Pos) && !slices.Contains(ids, change.Value) {
		l.problem(change.Pos, fmt.Sprintf("unknown change %q", short(change.Value)), suggest(change.Value, ids, "the test has no change"))
		return
	}
	for _, target := range targets {
		if given(target.Pos) && !of[target.Value] {
			l.problem(target.Pos, fmt.Sprintf("unknown target %q", short(target.Value)), suggest(target.Value, sortedKeys(of), "the test has no change"))
		}
	}
}

// suggest is [strictyaml.DidYouMean] where there may be nothing to mean.
func suggest(name string, known []string, none string) string {
	if len(known) == 0 {
		return none
	}
	return strictyaml.DidYouMean(name, known, "")
}

// ruleNamed refuses the name of a rule that is not under test.
func (l *loader) ruleNamed(name string, at strictyaml.Pos) {
	set := l.file.set
	if set == nil || !given(at) {
		return
	}
	if _, ok := set.Rule(name); ok {
		return
	}
	var known []string
	for _, r := range set.Rules() {
		known = append(known, r.Name)
	}
	l.problem(at, fmt.Sprintf("unknown rule %q", short(name)), strictyaml.DidYouMean(name, known, ""))
}

func (l *loader) level(t *test, r rollbackSpec) {
	if !given(r.StartAt.Pos) {
		return
	}
	for _, c := range t.changes {
		if c.ID.Value == r.Change.Value && !slices.Contains(levelNames(c.Levels.Value), r.StartAt.Value) {
			l.problem(r.StartAt.Pos, fmt.Sprintf("unknown level %q", short(r.StartAt.Value)), fmt.Sprintf("the plan of %s has L1 to L%d", short(c.ID.Value), c.Levels.Value))
		}
	}
}
