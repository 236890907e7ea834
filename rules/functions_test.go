package rules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// windowed is a change that opened at opened, 5 minutes early, closes 2 hours
// later, and has web-1 patched after 3 minutes.
func windowed() *backout.Change {
	c := change("CHG1", "web-1", "web-2")
	c.Window = backout.Window{Opens: opened.Add(5 * time.Minute), Closes: opened.Add(2 * time.Hour)}
	c.PatchedAt = time.Time{}
	c.PatchedTargets = map[string]time.Time{"web-1": opened.Add(3 * time.Minute)}
	return c
}

func TestFunctions(t *testing.T) {
	c := windowed()
	w := worldOf(c)
	w.evidence["CHG1"] = backout.Evidence{RedTargets: 1, RedUnpatched: 2, ControlTargets: 8}
	w.signals = map[string]backout.Signals{"CHG1/web-1/00000000000000aa": {
		Flaps: 3, Asked: true, Silenced: true, FirstRed: opened.Add(10 * time.Minute), RedBeforePatch: true,
	}}
	a := alert("alertname", "WebErrors", "instance", "web-1:9100", "team", "web", "odd-name", "1", "void", "")
	for when, want := range map[string]bool{
		`since(alert.starts_at) == duration("5m")`:                                    true,
		`since(alert.starts_at) == alert.age`:                                         true,
		`since(change.patched_at) == duration("0s") and not change.patched`:           true,
		`since(target.patched_at) == duration("12m") and target.patched`:              true,
		`target.first_red_at - target.patched_at == duration("7m")`:                   true,
		`target.red_before_patch and alert.flaps == 3`:                                true,
		`alert.suppression_known and alert.silenced and not alert.inhibited`:          true,
		`share(evidence.red_targets, change.target_count) == 0.5`:                     true,
		`share(evidence.red_unpatched, evidence.control_targets) == 0.25`:             true,
		`share(evidence.red_targets, 0) == 0`:                                         true,
		`share(evidence.red_targets, evidence.red_share_patched) == 0`:                true,
		`matches(alert.name, "^Web")`:                                                 true,
		`not matches(alert.name, "^web")`:                                             true,
		`matches(lower(alert.name), "^web") and alert.name matches "rrors$"`:          true,
		`alert.name matches ("Err") and matches(label("team"), "w") == true`:          true,
		`in_window(alert.starts_at) and in_window(now)`:                               true,
		`in_window(change.window_opens) and in_window(change.window_closes)`:          true,
		`in_window(change.window_closes + duration("1s"))`:                            false,
		`in_window(change.opened_at - duration("1s"))`:                                false,
		`change.window_opens == change.opened_at`:                                     true,
		`label("team") == "web" and label("odd-name") == "1" and label("none") == ""`: true,
		`has_label("team") and not has_label("none") and not has_label("void")`:       true,
		`same_label("team")`: true,
		`same_label("none") or same_label("void") or same_label("odd-name")`:                      false,
		`duration("1m") < since(alert.starts_at) + duration("0s") < duration("1h")`:               true,
		`duration("1m") < since(alert.starts_at) < duration("2m")`:                                false,
		`evidence.control_targets > 0 and evidence.red_unpatched * 4 <= evidence.control_targets`: true,
	} {
		res := load(t, one("when: '"+when+"'")).Match(a, w, opened.Add(15*time.Minute))
		if got := len(res.Verdicts) == 1; got != want || res.Errors != nil {
			t.Errorf("%s = %v, want %v (errors %v)", when, got, want, res.Errors)
		}
	}
}

func TestWindowWithoutAnEnd(t *testing.T) {
	c := change("CHG1", "web-1")
	for when, want := range map[string]bool{
		`in_window(now)`: true, `in_window(change.opened_at)`: true, `in_window(change.opened_at - duration("1s"))`: false,
	} {
		res := load(t, one("when: '"+when+"'")).Match(alert("alertname", "A", "instance", "web-1"), worldOf(c), opened.Add(time.Hour))
		if got := len(res.Verdicts) == 1; got != want {
			t.Errorf("%s = %v, want %v", when, got, want)
		}
	}
}

// TestLabelFunctionsAreFoundByTheIndex: label("x") == "y" is an equality like any
// other.
func TestLabelFunctionsAreFoundByTheIndex(t *testing.T) {
	for when, want := range map[string][]demand{
		`label("team") == "web"`:                                {{"team", []string{"web"}}},
		`"web" == label("team") and alert.age > duration("1m")`: {{"team", []string{"web"}}},
		`label("odd-name") in ["a", "b"]`:                       {{"odd-name", []string{"a", "b"}}},
		`label("alertname") == "A" and label("x") == "1"`:       {{"alertname", []string{"A"}}, {"x", []string{"1"}}},
		`prom("up") > 1 and label("team") == "web"`:             {{"team", []string{"web"}}},
		`label("team") == change.labels.team`:                   nil,
		`label("team") != "web" or label("x") == "1"`:           nil,
		`not has_label("team")`:                                 nil,
	} {
		e, err := newExpressions().compile(when)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if diff := cmp.Diff(want, e.demands, cmp.AllowUnexported(demand{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
}

func TestSignalsAreAskedForOnlyWhenReadAndOnceAChange(t *testing.T) {
	w := worldOf(change("CHG1", "web-1"), change("CHG2", "web-1"))
	heard := 0
	w.heard = &heard
	a := alert("alertname", "Down", "instance", "web-1")
	load(t, one(`match: [alertname="Down"]`, "when: evidence.red_targets == 0 and target.patched")).Match(a, w, opened)
	if heard != 0 {
		t.Errorf("asked %d times for a rule that reads none", heard)
	}
	text := one(`match: [alertname="Down"]`, "when: alert.flaps == 0") +
		"      - {rule: S, match: [alertname=\"Down\"], when: 'not target.red_before_patch'}\n"
	if got := len(load(t, text).Match(a, w, opened).Verdicts); got != 4 || heard != 2 {
		t.Errorf("%d verdicts, asked %d times, want 4 and 2", got, heard)
	}
}

const asking = `prom("rate(errors{host={target}, at=\"{address}:9100\"}[5m])") > 0.5`

// filled is the query of asking for web-1.
const filled = `rate(errors{host="web-1", at="10.0.0.1:9100"}[5m])`

// asks is a rule with a query, on a world that counts what is asked.
func asks(t *testing.T, when string) (*Set, world, *int) {
	t.Helper()
	w := worldOf(change("CHG1", "web-1"))
	w.targets["web-1"] = backout.Target{Name: "web-1", Address: "10.0.0.1:22"}
	w.queries, w.queried = map[string]float64{}, new(int)
	return load(t, one(`match: [alertname="Down"]`, "when: '"+when+"'")), w, w.queried
}

func TestAQueryIsAskedOnlyWhenAllElseHolds(t *testing.T) {
	a := alert("alertname", "Down", "instance", "web-1:9100")
	for when, want := range map[string]int{
		asking: 1,
		asking + ` and alert.age > duration("2m")`: 1,
		`alert.age > duration("2m") and ` + asking: 1,
		asking + ` and alert.age > duration("2h")`: 0,
		`alert.age > duration("2h") and ` + asking: 0,
	} {
		set, w, queried := asks(t, when)
		if set.Match(a, w, opened.Add(15*time.Minute)); *queried != want {
			t.Errorf("%s: asked %d times, want %d", when, *queried, want)
		}
	}
	set, w, queried := asks(t, asking)
	if set.Match(alert("alertname", "Up", "instance", "web-1"), w, opened.Add(time.Hour)); *queried != 0 {
		t.Error("asked though a matcher does not hold")
	}
}

func TestAQueryThatNobodyKnowsYetWaits(t *testing.T) {
	set, w, _ := asks(t, asking+` and evidence.red_targets == 0`)
	a, now := alert("alertname", "Down", "instance", "web-1:9100"), opened.Add(15*time.Minute)

	res := set.Match(a, w, now)
	want := []Wait{{Rule: "R", ChangeID: "CHG1", Target: "web-1", Query: filled}}
	if diff := cmp.Diff(want, res.Waiting); diff != "" || len(res.Verdicts)+len(res.Errors) != 0 {
		t.Errorf("waiting (-want +got):\n%s%+v", diff, res)
	}
	e := set.Explain(a, w, now)[0]
	if e.Matched || !e.Waiting || e.Error != "" || e.Parts[1].Unknown != "not asked yet" {
		t.Errorf("explained %+v", e)
	}

	w.queries[filled+" on web-1"] = 0.75
	res = set.Match(a, w, now)
	if len(res.Verdicts) != 1 || res.Waiting != nil || !strings.HasSuffix(res.Verdicts[0].Reasons[2], `> 0.5 (prom() = 0.75)`) {
		t.Errorf("result %+v", res)
	}
	if e := set.Explain(a, w, now)[0]; !e.Matched || e.Error != "" || !e.Parts[1].Held {
		t.Errorf("explained %+v", e)
	}
	w.queries[filled+" on web-1"] = 0.25
	if res := set.Match(a, w, now); len(res.Verdicts)+len(res.Waiting)+len(res.Errors) != 0 {
		t.Errorf("result %+v", res)
	}
}

func TestAQueryThatCannotBeKnownFailsTheRule(t *testing.T) {
	set, w, _ := asks(t, asking)
	a := alert("alertname", "Down", "instance", "web-1:9100")
	w.failing = errors.New("Prometheus is down")
	res := set.Match(a, w, opened.Add(time.Hour))
	if len(res.Verdicts)+len(res.Waiting) != 0 || len(res.Errors) != 1 || !errors.Is(res.Errors[0].Err, w.failing) {
		t.Errorf("result %+v", res)
	}
	if e := set.Explain(a, w, opened.Add(time.Hour))[0]; e.Matched || !strings.Contains(e.Error, "Prometheus is down") {
		t.Errorf("explained %+v", e)
	}
	// A name that is none never reaches a query.
	set, w, queried := asks(t, asking)
	hostile := `web-1"} or vector(1) #`
	w.changes[hostile] = w.changes["web-1"]
	w.targets[hostile] = backout.Target{Name: hostile, Address: "10.0.0.1"}
	res = set.Match(alert("alertname", "Down", "instance", hostile), w, opened.Add(time.Hour))
	if len(res.Errors) != 1 || *queried != 0 {
		t.Errorf("result %+v, asked %d", res, *queried)
	}
}
