package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// watched loads one file and watches it.
func watched(t *testing.T, text string) (*Set, *Coverage) {
	t.Helper()
	files := map[string][]byte{"rules.yaml": []byte(text)}
	set := loadAll(t, files)
	return set, NewCoverage(set, files)
}

// seen lists the branches as "line:column kind text", with + for what held and -
// for what failed.
func seen(c *Coverage) []string {
	var list []string
	for _, b := range c.Branches() {
		line := fmt.Sprintf("%d:%d %s %s", b.Line, b.Column, b.Kind, b.Text)
		if b.Held {
			line += " +"
		}
		if b.Failed {
			line += " -"
		}
		list = append(list, line)
	}
	return list
}

func TestCoverageListsTheConditionsOfARule(t *testing.T) {
	_, c := watched(t, one(
		`match: [alertname="A", team=~"web|db"]`,
		"when: |",
		`  (alert.labels.x == "1" or alert.labels.y == "2" or`,
		`   not (alert.labels.z in ["3"] and true)) and`,
		`  alert.name not in ["B"] && not alert.silenced`,
	))
	want := []string{
		"4:15 rule R",
		`5:17 match alertname="A"`,
		`5:32 match team=~"web|db"`,
		`7:12 when alert.labels.x == "1" or alert.labels.y == "2" or not (alert.labels.z in ["3"] and true)`,
		`7:12 when alert.labels.x == "1"`,
		`7:37 when alert.labels.y == "2"`,
		`8:12 when not (alert.labels.z in ["3"] and true)`,
		`8:17 when alert.labels.z in ["3"]`,
		`9:11 when not (alert.name in ["B"])`,
		`9:38 when not alert.silenced`,
	}
	if diff := cmp.Diff(want, seen(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCoverageCountsWhatDecides: what stands behind a condition that settled the
// matter was not looked at.
func TestCoverageCountsWhatDecides(t *testing.T) {
	ch := change("CHG1", "web-1")
	for name, test := range map[string]struct {
		labels []string
		want   []string
	}{
		"the first matcher fails":  {[]string{"alertname", "B"}, []string{"rule R -", `match alertname="A" -`, `match team="web"`, "x", "y", "z"}},
		"the second matcher fails": {[]string{"alertname", "A"}, []string{"rule R -", `match alertname="A" +`, `match team="web" -`, "x", "y", "z"}},
		"the left of and fails":    {[]string{"alertname", "A", "team", "web"}, []string{"rule R -", `match alertname="A" +`, `match team="web" +`, "x -", "y", "z"}},
		"the left of or holds":     {[]string{"alertname", "A", "team", "web", "x", "1", "y", "1"}, []string{"rule R +", `match alertname="A" +`, `match team="web" +`, "x +", "y +", "z"}},
		"the right of or holds":    {[]string{"alertname", "A", "team", "web", "x", "1", "z", "1"}, []string{"rule R +", `match alertname="A" +`, `match team="web" +`, "x +", "y -", "z +"}},
		"both of or fail":          {[]string{"alertname", "A", "team", "web", "x", "1"}, []string{"rule R -", `match alertname="A" +`, `match team="web" +`, "x +", "y -", "z -"}},
		"another target":           {[]string{"alertname", "A", "instance", "db-1"}, []string{"rule R", `match alertname="A"`, `match team="web"`, "x", "y", "z"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := watched(t, one(`match: [alertname="A", team="web"]`, `when: alert.labels.x == "1" and (alert.labels.y == "1" or alert.labels.z == "1")`))
			a := alert(append([]string{"instance", "web-1"}, test.labels...)...)
			c.Observe(a, worldOf(ch), opened.Add(time.Hour))
			var got []string
			for _, line := range seen(c) {
				_, line, _ = strings.Cut(line, " ")
				if strings.Contains(line, " or ") {
					continue
				}
				got = append(got, strings.NewReplacer(`when alert.labels.`, "", ` == "1"`, "").Replace(line))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCoverageHeedsTheGuards: what Match does not look at is not seen.
func TestCoverageHeedsTheGuards(t *testing.T) {
	over := change("CHG1", "web-1")
	over.State = backout.ChangeClosed
	early := alert("alertname", "A", "instance", "web-1")
	early.StartsAt = opened.Add(-time.Minute)
	resolved := alert("alertname", "A", "instance", "web-1")
	resolved.Firing = false
	for name, test := range map[string]struct {
		alert  *backout.Alert
		change *backout.Change
	}{
		"resolved":          {resolved, change("CHG1", "web-1")},
		"before the window": {early, change("CHG1", "web-1")},
		"not live":          {alert("alertname", "A", "instance", "web-1"), over},
		"its own":           {alert("alertname", "BackoutDown", "instance", "web-1"), change("CHG1", "web-1")},
		"no target":         {alert("alertname", "A"), change("CHG1", "web-1")},
	} {
		_, c := watched(t, one(`match: [alertname="A"]`))
		c.Observe(test.alert, worldOf(test.change), opened.Add(time.Hour))
		if diff := cmp.Diff([]string{"4:15 rule R", `5:17 match alertname="A"`}, seen(c)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestCoverageAgreesWithMatch: a rule is seen to hold when it matches and else to
// fail, over every label set of a few rules of all shapes.
func TestCoverageAgreesWithMatch(t *testing.T) {
	labels := []string{"x", "y", "z"}
	for _, when := range []string{
		`alert.labels.x == "1"`,
		`alert.labels.x == "1" and alert.labels.y == "1" or alert.labels.z == "1"`,
		`not (alert.labels.x == "1" or alert.labels.y == "1") and alert.labels.z != "1"`,
		`!(alert.labels.x == "1" && !(alert.labels.y == "1" || alert.labels.z == "1"))`,
		`not not (alert.labels.x == "1")`,
		`alert.labels.x in ["1"] and (alert.labels.y not in ["1"] or false)`,
		`prom("up") > 0.5 and alert.labels.x == "1"`,
		`(alert.labels.x == "1") == (alert.labels.y == "1" and alert.labels.z == "1")`,
	} {
		for bits := range 1 << len(labels) {
			set, c := watched(t, one(`match: [x=~"|1"]`, "when: '"+when+"'"))
			pairs := []string{"alertname", "A", "instance", "web-1"}
			for i, l := range labels {
				if bits>>i&1 == 1 {
					pairs = append(pairs, l, "1")
				}
			}
			a, w := alert(pairs...), worldOf(change("CHG1", "web-1"))
			w.queries = map[string]float64{"up on web-1": float64(bits >> 1 & 1)}
			c.Observe(a, w, opened.Add(time.Hour))
			matched := len(set.Match(a, w, opened.Add(time.Hour)).Verdicts) == 1
			if b := c.Branches()[0]; b.Held != matched || b.Failed == matched {
				t.Errorf("%s with %v: matched %v, seen %+v", when, pairs, matched, b)
			}
		}
	}
}

// TestCoverageAsksAQueryLast: only where the rest holds, as the rule does.
func TestCoverageAsksAQueryLast(t *testing.T) {
	_, c := watched(t, one(`match: [alertname="A"]`, `when: prom("up") > 0 and alert.labels.x == "1"`))
	w := worldOf(change("CHG1", "web-1"))
	c.Observe(alert("alertname", "A", "instance", "web-1"), w, opened.Add(time.Hour))
	want := []string{"4:15 rule R -", `5:17 match alertname="A" +`, `6:34 when alert.labels.x == "1" -`, `6:15 when prom("up") > 0`}
	if diff := cmp.Diff(want, seen(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Not known yet: it counts neither way.
	c.Observe(alert("alertname", "A", "instance", "web-1", "x", "1"), w, opened.Add(time.Hour))
	want[2] = `6:34 when alert.labels.x == "1" + -`
	if diff := cmp.Diff(want, seen(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCoverageOfNothing(t *testing.T) {
	set, _ := Load(nil)
	for _, c := range []*Coverage{NewCoverage(set, nil), NewCoverage(nil, nil)} {
		c.Observe(alert("alertname", "A"), worldOf(), opened)
		c.Throttled("R", "at_least", true)
		if len(c.Branches()) != 0 {
			t.Error("branches of no rules")
		}
	}
}

// TestCoverageOfThrottles: each key that can stop a rule is a condition of its own,
// at its place.
func TestCoverageOfThrottles(t *testing.T) {
	set, _ := watched(t, one(`match: [alertname="A"]`))
	set.rules[0].Throttle = backout.Throttle{AtLeast: 3, OnceWithin: 1, Latch: true}
	c := NewCoverage(set, map[string][]byte{"rules.yaml": []byte(one(`match: [alertname="A"]`, "throttle:", "  once_within: 30m", "  at_least: 3", "  latch: true"))})
	c.Throttled("R", "at_least", false)
	c.Throttled("R", "latch", true)
	c.Throttled("Other", "latch", false)
	c.Throttled("R", "per", false)
	want := []string{"4:15 rule R", `5:17 match alertname="A"`, "8:11 throttle at_least -", "7:11 throttle once_within", "9:11 throttle latch +"}
	if diff := cmp.Diff(want, seen(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
