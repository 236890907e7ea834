package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/matcher/parse"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// drawn is a rule as the test draws it, before any of our code has seen it.
type drawn struct {
	name, group, label string
	match              []string
	when               string
}

func (d drawn) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %s\n    target_label: %s\n    rules:\n      - rule: %s\n", d.group, d.label, d.name)
	if len(d.match) > 0 {
		b.WriteString("        match:\n")
	}
	for _, m := range d.match {
		fmt.Fprintf(&b, "          - %s\n", strconv.Quote(m))
	}
	if d.when != "" {
		fmt.Fprintf(&b, "        when: %s\n", strconv.Quote(d.when))
	}
	return b.String()
}

var (
	drawLabel = rapid.SampledFrom([]string{"team", "severity", "alertname", "odd", "instance"})
	drawValue = rapid.SampledFrom([]string{"", "a", "b", "ab", "h1", "BackoutX"})
	drawOp    = rapid.SampledFrom([]string{"=", "=", "!=", "=~", "!~"})
	drawRegex = rapid.SampledFrom([]string{"a|b", "a|", "(a|b)?", "a?b", "[ab]", "[^a]", ".*", ".+", "(?i)A", "a)|(b", "h[12]", "Backout.*", "a{2}", "", "\\x{FFFD}", "^a$"})
	drawHost  = rapid.SampledFrom([]string{"h1", "h2", "h3", "h1:9100", ""})
	drawAtom  = rapid.SampledFrom([]string{
		`alert.labels.team == "a"`, `"b" == alert.labels.team`, `alert.labels["severity"] in ["a", ""]`, `alert.name == "ab"`, `alert.labels.odd == ""`,
		`alert.name in ["a", "BackoutX"]`, `"team" in alert.labels`, `alert.labels.team == change.labels.team`, `evidence.red_targets > 1`,
		`alert.age > duration("10m")`, `change.target_count % evidence.red_targets == 0`, `change.id == "C1"`, `target.name == "h2"`, `change.patched`, `true`, `1 > 2`,
	})
)

func drawMatcher(t *rapid.T) string {
	label, op := drawLabel.Draw(t, "label"), drawOp.Draw(t, "op")
	value := drawValue.Draw(t, "value")
	if strings.HasSuffix(op, "~") {
		value = drawRegex.Draw(t, "pattern")
	}
	return label + op + `"` + strings.ReplaceAll(value, `\`, `\\`) + `"`
}

func drawWhen(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 || kind < 2 {
		return drawAtom.Draw(t, "atom")
	}
	left := drawWhen(t, depth-1)
	switch kind {
	case 2:
		return "not (" + left + ")"
	case 3:
		return "(" + left + ") or (" + drawWhen(t, depth-1) + ")"
	}
	return "(" + left + ") and " + "(" + drawWhen(t, depth-1) + ")"
}

func drawRules(t *rapid.T) []drawn {
	list := make([]drawn, rapid.IntRange(0, 12).Draw(t, "rules"))
	for i := range list {
		list[i] = drawn{
			name: fmt.Sprintf("r%02d", i), group: fmt.Sprintf("g%02d", i),
			label: rapid.SampledFrom([]string{"instance", "instance", "team"}).Draw(t, "target label"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "matchers") {
			list[i].match = append(list[i].match, drawMatcher(t))
		}
		if rapid.Bool().Draw(t, "has when") {
			list[i].when = drawWhen(t, 2)
		}
	}
	return list
}

func drawWorld(t *rapid.T) ([]*backout.Change, world) {
	changes := make([]*backout.Change, rapid.IntRange(0, 4).Draw(t, "changes"))
	for i := range changes {
		c := change(fmt.Sprintf("C%d", i), rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"h1", "h2", "h3", "a"}), 1, 3, rapid.ID).Draw(t, "targets")...)
		c.State = rapid.SampledFrom([]backout.ChangeState{backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut, backout.ChangeClosed, backout.ChangePlanned}).Draw(t, "state")
		c.OpenedAt = opened.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "opened")) * time.Minute)
		c.Labels = map[string]string{"team": drawValue.Draw(t, "change team")}
		changes[i] = c
	}
	w := worldOf(changes...)
	for _, c := range changes {
		w.evidence[c.ID] = backout.Evidence{RedTargets: rapid.IntRange(0, 2).Draw(t, "red")}
	}
	return changes, w
}

func drawAlert(t *rapid.T) *backout.Alert {
	a := alert("instance", drawHost.Draw(t, "instance"))
	for _, label := range []string{"team", "severity", "alertname", "odd"} {
		if rapid.Bool().Draw(t, label+" there") {
			a.Labels[label] = rapid.OneOf(drawValue, rapid.Just("\xff")).Draw(t, label)
		}
	}
	a.Firing = rapid.IntRange(0, 9).Draw(t, "firing") > 0
	a.StartsAt = opened.Add(time.Duration(rapid.IntRange(-1, 20).Draw(t, "starts")) * time.Minute)
	return a
}

// oracle says the same as Match in the plainest way: every rule, every change,
// nothing looked up, nothing kept.
func oracle(t *rapid.T, list []drawn, changes []*backout.Change, w world, a *backout.Alert, now time.Time) (matched, failed []string) {
	for _, d := range list {
		host := Host(a.Labels[d.label])
		for _, c := range changes {
			before := a.StartsAt.Before(c.OpenedAt)
			live := c.State == backout.ChangeOpen || c.State == backout.ChangeWatching || c.State == backout.ChangeBackingOut
			if !a.Firing || before || !live || host == "" || !slices.Contains(c.Targets, host) || strings.HasPrefix(a.Labels["alertname"], "Backout") {
				continue
			}
			if !holdsAll(t, d.match, a) {
				continue
			}
			held, err := holdsWhen(t, d.when, a, c, w, host, now)
			switch {
			case err != nil:
				failed = append(failed, d.name+" "+c.ID)
			case held:
				matched = append(matched, d.name+" "+c.ID)
			}
		}
	}
	return matched, failed
}

func holdsAll(t *rapid.T, match []string, a *backout.Alert) bool {
	for _, text := range match {
		m, err := parse.Matcher(text)
		if err != nil {
			t.Fatalf("matcher %s: %v", text, err)
		}
		if !m.Matches(a.Labels[m.Name]) {
			return false
		}
	}
	return true
}

func holdsWhen(t *rapid.T, when string, a *backout.Alert, c *backout.Change, w world, host string, now time.Time) (bool, error) {
	if when == "" {
		return true, nil
	}
	var f facts
	f.Now = now
	f.Alert.set(a, now)
	f.Change.set(c)
	f.Target.set(w.targets[host])
	f.Target.Name = host
	f.Evidence = w.evidence[c.ID]
	program, err := expr.Compile(when, expr.Env(facts{}), expr.Optimize(false))
	if err != nil {
		t.Fatalf("when %s: %v", when, err)
	}
	value, err := expr.Run(program, f)
	if err != nil {
		return false, err
	}
	return value.(bool), nil
}

// TestTheIndexChangesNoAnswer compares Match, and Explain, with the nested loop
// for any rules, changes and alerts. Rules that the loader calls impossible must
// match nothing there either.
func TestTheIndexChangesNoAnswer(t *testing.T) {
	rapid.Check(t, checkIndexChangesNoAnswer)
}

// FuzzTheIndexChangesNoAnswer is the same, led by coverage.
func FuzzTheIndexChangesNoAnswer(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkIndexChangesNoAnswer)) }

func checkIndexChangesNoAnswer(t *rapid.T) {
	all := drawRules(t)
	changes, w := drawWorld(t)
	a, now := drawAlert(t), opened.Add(15*time.Minute)
	text := "groups:\n"
	var kept, refused []drawn
	for _, d := range all {
		_, problems := Load(map[string][]byte{"one.yaml": []byte("groups:\n" + d.yaml())})
		switch fatal := problems.Fatal(); {
		case fatal == nil:
			kept = append(kept, d)
			text += d.yaml()
		case strings.Contains(fatal.Error(), "never match"), strings.Contains(fatal.Error(), "when fails"):
			refused = append(refused, d)
		default:
			t.Fatalf("load %s: %v", d.yaml(), fatal)
		}
	}
	if len(kept) == 0 {
		text = ""
	}
	set, problems := Load(map[string][]byte{"all.yaml": []byte(text)})
	if problems.Fatal() != nil {
		t.Fatalf("load %s: %v", text, problems)
	}

	res := set.Match(a, w, now)

	var matched, failed, explained []string
	for _, v := range res.Verdicts {
		matched = append(matched, v.Rule+" "+v.ChangeID)
	}
	for _, e := range res.Errors {
		failed = append(failed, e.Rule+" "+e.ChangeID)
	}
	for _, e := range set.Explain(a, w, now) {
		if e.Matched {
			explained = append(explained, e.Rule+" "+e.ChangeID)
		}
		if e.Matched != (e.Misses() == 0 && e.Error == "" && e.ChangeID != "") {
			t.Errorf("explanation does not add up: %+v", e)
		}
	}
	wantMatched, wantFailed := oracle(t, kept, changes, w, a, now)
	if diff := cmp.Diff(wantMatched, matched); diff != "" {
		t.Errorf("matched (-loop +set):\n%s\n%s\n%+v", diff, text, a)
	}
	if diff := cmp.Diff(wantFailed, failed); diff != "" {
		t.Errorf("failed (-loop +set):\n%s\n%s", diff, text)
	}
	if diff := cmp.Diff(wantMatched, explained); diff != "" {
		t.Errorf("explained (-loop +set):\n%s\n%s", diff, text)
	}
	if never, _ := oracle(t, refused, changes, w, a, now); len(never) > 0 {
		t.Errorf("called impossible, yet matched: %v", never)
	}
}
