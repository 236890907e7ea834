package rules

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// FuzzWhen feeds any text as an expression. It must not panic, and what compiles
// must run, in bounded time, without a panic.
func FuzzWhen(f *testing.F) {
	for _, seed := range []string{
		`alert.age > duration("2m")`, `evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.labels.team == "web"`,
		`all(change.patch.ids, # != "x")`, `reduce(1..26, #acc + #acc, "x") == ""`, `alert.name matches "^web-"`, `alert.labels["a b"] in ["x", "y"]`,
		`let x = 1; x == 1`, `1 % 0 == 0`, `{"a": 1}.a == 1`, `not not true`, "\xff", `((((`, `map(`, `| map(`,
	} {
		f.Add(seed)
	}
	c := change("CHG1", "web-1")
	a := alert("alertname", "Down", "instance", "web-1", "team", "web")
	f.Fuzz(func(t *testing.T, when string) {
		compiled, err := newExpressions().compile(when)
		if err != nil {
			if err.what == "" || err.offset < 0 {
				t.Errorf("error without words or place: %+v", err)
			}
			return
		}
		m := &scratch{}
		m.facts.Now = opened
		m.facts.Alert.set(a, opened)
		m.facts.Change.set(c)
		start := time.Now()
		_, _ = m.run(compiled)
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		for _, p := range compiled.parts {
			_ = p.withValues(&m.facts)
		}
	})
}

// FuzzLoad feeds any text as a rule file, and matches with what loads.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(down))
	f.Add([]byte(one(`match: [a=~"(a|b)?[cd]", b!=""]`, `annotations: {x: "{{ printf \"%099999d\" 1 }}"}`)))
	f.Add([]byte("groups: [{name: a, rules: [{rule: b, when: '1..2'}]}]"))
	w := worldOf(change("CHG1", "web-1"))
	a := alert("alertname", "Down", "instance", "web-1", "team", "web")
	f.Fuzz(func(t *testing.T, data []byte) {
		set, problems := Load(map[string][]byte{"f.yaml": data})
		if (set == nil) != (problems.Fatal() != nil) {
			t.Fatalf("set %v, problems %v", set, problems)
		}
		for _, v := range set.Match(a, w, opened.Add(time.Hour)).Verdicts {
			if v.Mode != backout.ModeShadow && v.Mode != backout.ModeAsk && v.Mode != backout.ModeAuto {
				t.Errorf("mode %q", v.Mode)
			}
		}
		set.Explain(a, w, opened)
	})
}
