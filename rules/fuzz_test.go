package rules

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/expr-lang/expr/vm"

	"github.com/backout-io/backout"
)

// hostileWhens are expressions that have hurt somebody, or tried to.
var hostileWhens = []string{
	`len(filter(1..2000000, # > 1)) > 0`, `reduce(1..26, #acc + #acc, "x") == ""`, `repeat(repeat("x", 1000), 900000) == ""`,
	`all(change.patch.ids, all(change.patch.ids, all(change.patch.ids, # != "x")))`, `any(1..1000000000, # == 0)`, `1 in 1..1000000000`,
	`alert.name matches alert.labels.team`, `alert.name matches "((a{0,30}){0,30}){0,30}b"`, `alert.name matches "(.*a){200}b"`,
	`matches(alert.name, "(a|aa)+$") or matches(alert.name, "a?a?a?a?a?a?a?a?aaaaaaaa")`, `alert.name contains alert.labels.team`,
	`since(now - since(now - since(now))) > duration("1m")`, `share(share(1, 2), share(3, 4)) > 0`, `share(1 / 0, 0 % 1) == 0`,
	`in_window(now + duration("9999999h")) and in_window(now - duration("9999999h"))`, `prom("up") > 1 and prom("up") > 1`, `prom("{target}") == prom("up{a=")`,
	`1 < prom("up") < 3 < alert.flaps`, `label("a") == label("b") and same_label("c") and has_label("")`, `label("\x00") == "\xff"`, `matches`, `matches(`,
	`$matchs(alert.name, "a")`, `"matches(" matches "matches[(]"`, `lower(upper(lower(upper(alert.name)))) == "A"`, `$env["prom()"] > 1`,
	`alert[""] == 1`, `alert.labels[""] == ""`, `-(-(-(1))) > 0`, `alert.age * 1e308 > duration("1h")`, `9223372036854775807 + 1 > 0`, `1 % (1 - 1) == 0`,
}

// FuzzWhen feeds any text as an expression. It must not panic; what compiles must
// run on the longest texts without a loop, a panic or much memory, and come to an end.
func FuzzWhen(f *testing.F) {
	for _, seed := range append([]string{
		`alert.age > duration("2m")`, `evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.labels.team == "web"`,
		`all(change.patch.ids, # != "x")`, `alert.name matches "^web-"`, `alert.labels["a b"] in ["x", "y"]`,
		`let x = 1; x == 1`, `1 % 0 == 0`, `{"a": 1}.a == 1`, `not not true`, "\xff", `((((`, `map(`, `| map(`,
	}, hostileWhens...) {
		f.Add(seed)
	}
	for _, when := range worst() {
		f.Add(when)
	}
	w, a := worstWorld(hostile["two bytes"])
	c := w.changes["web-1"][0]
	f.Fuzz(func(t *testing.T, when string) {
		compiled, err := newExpressions().compile(when)
		if err != nil {
			if err.what == "" || err.offset < 0 {
				t.Errorf("error without words or place: %+v", err)
			}
			return
		}
		for _, p := range []*vm.Program{compiled.program, compiled.last} {
			if p != nil && (len(p.Bytecode) > 10*maxNodes || slices.Contains(p.Bytecode, vm.OpJumpBackward)) {
				t.Errorf("a program of %d instructions, or with a loop:\n%s", len(p.Bytecode), p.Disassemble())
			}
		}
		m := &scratch{}
		m.facts.Now = opened
		m.facts.Alert.set(a, opened)
		m.facts.Change.set(c)
		m.face(compiled, a)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, _, _ = m.holds(compiled, &named{target: "web-1", facts: w.targets["web-1"]}, w)
		took := time.Since(start)
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 || took > without {
			t.Errorf("took %v and %d KiB", took, (after.TotalAlloc-before.TotalAlloc)>>10)
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
