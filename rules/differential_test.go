package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// drawn is a rule as the test draws it, before any of our code has seen it.
type drawn struct {
	name, group, label string
	match              []string
	// when is the expression but for what asks a query; that comes before it or
	// after it.
	when, asks string
	asksFirst  bool
	throttle   string
	annotated  bool
}

func (d drawn) expression() string {
	switch {
	case d.asks == "" || d.when == "":
		return d.asks + d.when
	case d.asksFirst:
		return d.asks + " and (" + d.when + ")"
	}
	return "(" + d.when + ") and " + d.asks
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
	if when := d.expression(); when != "" {
		fmt.Fprintf(&b, "        when: %s\n", strconv.Quote(when))
	}
	if d.throttle != "" {
		fmt.Fprintf(&b, "        throttle: %s\n", d.throttle)
	}
	if d.annotated {
		b.WriteString("        annotations: {x: \"{{ .Change.ID }} {{ .Target.Site }} {{ .Evidence.RedTargets }}\"}\n")
	}
	return b.String()
}

// long is more than what searches texts sees of one.
var long = strings.Repeat("a", maxText+10)

var (
	drawLabel = rapid.SampledFrom([]string{"team", "severity", "alertname", "odd", "instance", "node"})
	// Most of what is drawn is alike: else nothing would ever match.
	drawValue = rapid.SampledFrom([]string{"", "a", "a", "a", "a", "a", "b", "b", "ab", "h1", "h1", "BackoutX"})
	drawOp    = rapid.SampledFrom([]string{"=", "=", "!=", "=~", "=~", "!~"})
	drawRegex = rapid.SampledFrom([]string{
		"a|b", "a|", "a|h1", "(a|b)?", "a?b", "[ab]", "[^a]", ".*", ".+", "(?i)A", "a)|(b", "h[12]", "Backout.*", "a{2}", "", "\\x{FFFD}", "^a$", "a*", "(a|ab)(|b)", "a|a|b",
	})
	drawHost = rapid.SampledFrom([]string{"h1", "h1", "h1:9100", "h1", "h2", "h3", ""})
	drawAtom = rapid.SampledFrom([]string{
		`alert.labels.team == "a"`, `"b" == alert.labels.team`, `alert.labels["severity"] in ["a", ""]`, `alert.name == "ab"`, `alert.labels.odd == ""`,
		`alert.name in ["a", "BackoutX"]`, `"team" in alert.labels`, `alert.labels.team == change.labels.team`, `alert.labels.team == alert.labels.odd`, `evidence.red_targets > 1`,
		`alert.age > duration("10m")`, `change.target_count % evidence.red_targets == 0`, `change.id == "C1"`, `target.name == "h2"`, `change.patched`, `true`, `1 > 2`,
		`label("team") == "a"`, `label("severity") in ["b", "a", "a"]`, `has_label("odd")`, `not has_label("node")`, `same_label("team")`,
		`alert.name matches "^a+$"`, `alert.labels.team contains "a"`, `len(alert.labels.odd) > 1`, `lower(alert.name) == "backoutx"`, `alert.labels.node in ["h1"]`,
		`alert.flaps > 0`, `alert.silenced or alert.labels.team == "a"`, `target.patched`, `target.site == "fra"`, `since(target.patched_at) > duration("9m")`,
		`share(evidence.red_targets, change.target_count) >= 0.5`, `2 * evidence.red_targets > change.target_count`, `in_window(alert.starts_at)`, `label("team") != "b"`,
	})
	drawAsks     = rapid.SampledFrom([]string{`prom("up") > 0.5`, `2 * prom("up{instance='{target}'}") >= change.target_count`, `prom("down") == 1`})
	drawThrottle = rapid.SampledFrom([]string{"", "", "", "{at_least: 2, within: 10m}", "{once_within: 1h, per: rule}", "{latch: true}"})
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
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
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
			name: fmt.Sprintf("r%02d", i), group: fmt.Sprintf("g%02d", i), throttle: drawThrottle.Draw(t, "throttle"), annotated: rapid.Bool().Draw(t, "annotated"),
			label: rapid.SampledFrom([]string{"instance", "instance", "team", "node"}).Draw(t, "target label"),
		}
		for range rapid.SampledFrom([]int{0, 1, 1, 2, 3}).Draw(t, "matchers") {
			list[i].match = append(list[i].match, drawMatcher(t))
		}
		if rapid.Bool().Draw(t, "has when") {
			list[i].when = drawWhen(t, 2)
		}
		if rapid.IntRange(0, 2).Draw(t, "asks") == 0 {
			list[i].asks, list[i].asksFirst = drawAsks.Draw(t, "query"), rapid.Bool().Draw(t, "first")
		}
	}
	return list
}

// drawnWorld also has queries that fail.
type drawnWorld struct {
	world
	broken map[string]bool
}

func (w drawnWorld) Query(query, target string) (float64, error) {
	if w.broken[query+" on "+target] {
		return 0, errors.New("no such query")
	}
	return w.world.Query(query, target)
}

func drawWorld(t *rapid.T) ([]*backout.Change, drawnWorld) {
	changes := make([]*backout.Change, rapid.IntRange(0, 4).Draw(t, "changes"))
	for i := range changes {
		c := change(fmt.Sprintf("C%d", i), rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"h1", "h2", "h3", "a"}), 1, 4, rapid.ID).Draw(t, "targets")...)
		c.State = rapid.SampledFrom([]backout.ChangeState{backout.ChangeOpen, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeWatching, backout.ChangeBackingOut, backout.ChangeClosed, backout.ChangePlanned}).Draw(t, "state")
		c.OpenedAt = opened.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "opened")) * time.Minute)
		c.Window = backout.Window{Opens: opened, Closes: opened.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "closes")) * time.Minute)}
		c.Labels = map[string]string{"team": drawValue.Draw(t, "change team")}
		changes[i] = c
	}
	w := drawnWorld{worldOf(changes...), map[string]bool{}}
	w.signals, w.queries = map[string]backout.Signals{}, map[string]float64{}
	for _, c := range changes {
		w.evidence[c.ID] = backout.Evidence{RedTargets: rapid.IntRange(0, 2).Draw(t, "red")}
		for _, target := range c.Targets {
			s := backout.Signals{Flaps: rapid.IntRange(0, 1).Draw(t, "flaps"), Silenced: rapid.Bool().Draw(t, "silenced")}
			w.signals[c.ID+"/"+target+"/00000000000000aa"] = s
		}
	}
	for _, target := range []string{"h1", "h2", "h3", "a"} {
		for _, query := range []string{"up on " + target, "up{instance='" + target + "'} on " + target, "down on " + target} {
			switch rapid.IntRange(0, 3).Draw(t, "answer") {
			case 0:
			case 1:
				w.broken[query] = true
			default:
				w.queries[query] = float64(rapid.IntRange(0, 1).Draw(t, "value"))
			}
		}
	}
	return changes, w
}

func drawAlert(t *rapid.T) *backout.Alert {
	a := alert("instance", drawHost.Draw(t, "instance"))
	for _, label := range []string{"team", "severity", "alertname", "odd", "node"} {
		if rapid.IntRange(0, 3).Draw(t, label+" there") > 0 {
			a.Labels[label] = rapid.OneOf(drawValue, drawValue, drawValue, drawValue, rapid.SampledFrom([]string{"\xff", long, long + "b"})).Draw(t, label)
		}
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "more labels") {
		a.Labels[fmt.Sprintf("more%d", i)] = "x"
	}
	a.Firing = rapid.IntRange(0, 19).Draw(t, "firing") > 0
	a.StartsAt = opened.Add(time.Duration(rapid.IntRange(-1, 12).Draw(t, "starts")) * time.Minute)
	return a
}

// TestTheIndexChangesNoAnswer compares Match, and Explain, with the nested loop
// for any rules, changes and alerts. Rules that the loader calls impossible must
// match nothing there either.
func TestTheIndexChangesNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkIndexChangesNoAnswer(t, new(naive)) })
}

// FuzzTheIndexChangesNoAnswer is the same, led by coverage. The drawing needs some
// thousand bytes, so it begins with as many.
func FuzzTheIndexChangesNoAnswer(f *testing.F) {
	for seed := range uint64(24) {
		random := rand.NewPCG(seed, 1)
		var data []byte
		for range 600 {
			data = binary.LittleEndian.AppendUint64(data, random.Uint64())
		}
		f.Add(data)
	}
	loop := new(naive)
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkIndexChangesNoAnswer(t, loop) }))
}

func checkIndexChangesNoAnswer(t *rapid.T, loop *naive) {
	all := drawRules(t)
	changes, w := drawWorld(t)
	now := opened.Add(15 * time.Minute)
	kept, refused, alone := loadOneByOne(t, all)
	text := ""
	for i, d := range kept {
		if i == 0 {
			text = "groups:\n"
		}
		text += d.yaml()
	}
	set, problems := Load(map[string][]byte{"all.yaml": []byte(text)})
	if problems.Fatal() != nil {
		t.Fatalf("load %s: %v", text, problems)
	}
	for range rapid.IntRange(1, 3).Draw(t, "alerts") {
		a := drawAlert(t)
		want := loop.match(t, kept, changes, w, a, now)
		got := set.Match(a, w, now)
		if diff := cmp.Diff(want, outcomeOf(got)); diff != "" {
			t.Errorf("(-loop +set):\n%s\n%s\n%+v", diff, text, a)
		}
		if diff := cmp.Diff(want.Matched, explained(t, set, a, w, now)); diff != "" {
			t.Errorf("explained (-loop +set):\n%s\n%s", diff, text)
		}
		var verdicts []backout.Verdict
		for _, one := range alone {
			verdicts = append(verdicts, one.Match(a, w, now).Verdicts...)
		}
		if diff := cmp.Diff(verdicts, got.Verdicts); diff != "" {
			t.Errorf("verdicts (-of each rule alone +of all):\n%s\n%s", diff, text)
		}
		if never := loop.match(t, refused, changes, w, a, now); len(never.Matched)+len(never.Waiting) > 0 {
			t.Errorf("called impossible, yet matched: %v", never)
		}
	}
}

// loadOneByOne tells the rules that can be loaded from those that can never match.
func loadOneByOne(t *rapid.T, all []drawn) (kept, refused []drawn, alone []*Set) {
	for _, d := range all {
		one, problems := Load(map[string][]byte{"one.yaml": []byte("groups:\n" + d.yaml())})
		switch fatal := problems.Fatal(); {
		case fatal == nil:
			kept, alone = append(kept, d), append(alone, one)
		case slices.ContainsFunc([]string{"never match", "when fails", "cannot both", "never be true"}, func(words string) bool { return strings.Contains(fatal.Error(), words) }):
			refused = append(refused, d)
		default:
			t.Fatalf("load %s: %v", d.yaml(), fatal)
		}
	}
	return kept, refused, alone
}

func outcomeOf(res Result) (o outcome) {
	for _, v := range res.Verdicts {
		o.Matched = append(o.Matched, v.Rule+" "+v.ChangeID)
	}
	for _, e := range res.Errors {
		o.Failed = append(o.Failed, e.Rule+" "+e.ChangeID)
	}
	for _, x := range res.Waiting {
		o.Waiting = append(o.Waiting, x.Rule+" "+x.ChangeID+" "+x.Query)
	}
	return o
}

func explained(t *rapid.T, set *Set, a *backout.Alert, w World, now time.Time) (matched []string) {
	for _, e := range set.Explain(a, w, now) {
		if e.Matched {
			matched = append(matched, e.Rule+" "+e.ChangeID)
		}
		if e.Matched != (e.Misses() == 0 && e.Error == "" && e.ChangeID != "") {
			t.Errorf("explanation does not add up: %+v", e)
		}
	}
	return matched
}
