package rules

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// down matches alert Down on any changed target.
var down = one(`match: [alertname="Down"]`, "mode: auto")

func TestMatchGivesAWholeVerdict(t *testing.T) {
	c := change("CHG1", "web-1", "web-2")
	w := worldOf(c)
	w.evidence["CHG1"] = backout.Evidence{RedTargets: 1, RedSharePatched: 0.5, RedShareUnpatched: 0.1, DistinctAlerts: 1, MinutesSincePatch: 8}
	a := alert("alertname", "WebErrors", "node", "web-1:9100", "severity", "page", "team", "web")
	now := opened.Add(13 * time.Minute)

	got := load(t, whole).Match(a, w, now)

	want := Result{Target: "web-1", Verdicts: []backout.Verdict{{
		Rule: "WebErrorsAfterPatch", RuleHash: "d0d61b1bc5612f1f", Group: "web-tier", Mode: backout.ModeAuto, ChangeID: "CHG1", Target: "web-1",
		Scope: backout.ScopeChange, StartAt: "L2", For: backout.Duration(5 * time.Minute), Fingerprint: a.Fingerprint, AlertName: "WebErrors",
		Reasons: []string{
			"red on web-1 for 3m0s, since 10m0s after the window opened",
			`severity=~"critical|page" ("page")`,
			`team="web"`,
			"evidence.red_share_patched > 2 * evidence.red_share_unpatched (evidence.red_share_patched = 0.5, evidence.red_share_unpatched = 0.1)",
			`alert.age > duration("2m") (alert.age = 3m0s)`,
		},
		Annotations: map[string]string{"summary": "CHG1 turned WebErrors red on web-1, web-2"},
		At:          now,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// TestGuardsNoRuleCanSwitchOff breaks one guard at a time.
func TestGuardsNoRuleCanSwitchOff(t *testing.T) {
	always := load(t, one("mode: auto"))
	for name, test := range map[string]struct {
		spoil func(a *backout.Alert, c *backout.Change)
		guard string
	}{
		"none":                             {func(*backout.Alert, *backout.Change) {}, ""},
		"open":                             {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeOpen }, ""},
		"backing out":                      {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeBackingOut }, ""},
		"red at the very opening":          {func(a *backout.Alert, c *backout.Change) { a.StartsAt = c.OpenedAt }, ""},
		"resolved alert":                   {func(a *backout.Alert, _ *backout.Change) { a.Firing = false }, "the alert is resolved"},
		"own alert":                        {func(a *backout.Alert, _ *backout.Change) { a.Labels["alertname"] = "BackoutHeld" }, "about backout itself"},
		"planned":                          {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangePlanned }, "the change is planned"},
		"ready":                            {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeReady }, "the change is ready"},
		"closed":                           {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeClosed }, "the change is closed"},
		"cancelled":                        {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeCancelled }, "the change is cancelled"},
		"backed out":                       {func(_ *backout.Alert, c *backout.Change) { c.State = backout.ChangeBackedOut }, "the change is backed_out"},
		"a state of the future":            {func(_ *backout.Alert, c *backout.Change) { c.State = "paused" }, "the change is paused"},
		"window that never opened":         {func(_ *backout.Alert, c *backout.Change) { c.OpenedAt = time.Time{} }, "has not opened"},
		"red just before the window":       {func(a *backout.Alert, c *backout.Change) { a.StartsAt = c.OpenedAt.Add(-1) }, "was firing before the window opened"},
		"red since nobody knows":           {func(a *backout.Alert, _ *backout.Change) { a.StartsAt = time.Time{} }, "was firing before the window opened"},
		"no label that names a target":     {func(a *backout.Alert, _ *backout.Change) { delete(a.Labels, "instance") }, "no label instance"},
		"target that nobody is changing":   {func(a *backout.Alert, _ *backout.Change) { a.Labels["instance"] = "db-9" }, "no live change has target db-9"},
		"empty target, change without one": {func(a *backout.Alert, _ *backout.Change) { a.Labels["instance"] = "" }, "no label instance"},
	} {
		t.Run(name, func(t *testing.T) {
			c, a := change("CHG1", "web-1"), alert("alertname", "Down", "instance", "web-1:9100")
			test.spoil(a, c)
			w := worldOf(c)
			w.changes[""] = []*backout.Change{c}
			res := always.Match(a, w, opened.Add(time.Hour))
			if matched := len(res.Verdicts) > 0; matched != (test.guard == "") {
				t.Errorf("matched = %v, guard %q", matched, test.guard)
			}
			explained := always.Explain(a, w, opened.Add(time.Hour))
			if len(explained) != 1 || explained[0].Matched != (test.guard == "") || !strings.Contains(explained[0].Guard, test.guard) ||
				(explained[0].Guard == "") != (test.guard == "") {
				t.Errorf("explained %+v, want guard %q", explained, test.guard)
			}
		})
	}
}

func TestMatchersReadAMissingLabelAsEmpty(t *testing.T) {
	w := worldOf(change("CHG1", "web-1"))
	for matcher, want := range map[string]bool{
		`team=""`: true, `team!=""`: false, `team=~"|web"`: true, `team=~"web"`: false, `team!~".+"`: true, `team!="web"`: true,
		`alertname=~"(?i)DOWN"`: true, `alertname=~"Dow"`: false, `alertname=~"Dow[mn]"`: true, `instance="web-1:9100"`: true,
	} {
		set := load(t, one("match: ['"+matcher+"']"))
		res := set.Match(alert("alertname", "Down", "instance", "web-1:9100"), w, opened.Add(time.Hour))
		if got := len(res.Verdicts) == 1; got != want {
			t.Errorf("%s matched = %v, want %v", matcher, got, want)
		}
	}
}

func TestWhen(t *testing.T) {
	c := change("CHG1", "web-1", "web-2")
	w := worldOf(c)
	w.evidence["CHG1"] = backout.Evidence{RedTargets: 1, RedSharePatched: 0.5, DistinctAlerts: 2}
	a := alert("alertname", "Down", "instance", "web-1:9100", "team", "web", "odd-name", "1")
	a.Annotations = map[string]string{"runbook": "r"}
	for when, want := range map[string]bool{
		`alert.age > duration("2m")`:                                 true,
		`alert.age > duration("1h")`:                                 false,
		`now - alert.starts_at == alert.age`:                         true,
		`alert.starts_at - change.opened_at <= duration("10m")`:      true,
		`alert.starts_at < change.opened_at + duration("1d")`:        true,
		`alert.name == "Down" and not (alert.labels.team == "db")`:   true,
		`alert.name in ["Up", "Down"]`:                               true,
		`alert.name not in ["Up"] && !(alert.name contains "x")`:     true,
		`lower(alert.name) startsWith "do" and len(alert.name) == 4`: true,
		`alert.name matches "^D.*n$"`:                                true,
		`alert.labels["odd-name"] == "1"`:                            true,
		`alert.labels.nowhere == ""`:                                 true,
		`"team" in alert.labels and "x" not in alert.labels`:         true,
		`alert.annotations.runbook != ""`:                            true,
		`"CVE-2026-0001" in change.patch.cves`:                       true,
		`change.patch.kind == "packages" and change.patched`:         true,
		`change.labels.team == alert.labels.team`:                    true,
		`evidence.red_targets * 2 >= change.target_count`:            true,
		`evidence.red_share_patched >= 0.5 or false`:                 true,
		`1 < evidence.distinct_alerts < 3`:                           true,
		`target.site == "fra" and target.labels.role == "web"`:       true,
		`target.os startsWith "windows"`:                             false,
		`-evidence.red_targets < 0`:                                  true,
		`change.state == "watching" and change.id endsWith "1"`:      true,
		`upper(change.plan) == "WEB"`:                                true,
	} {
		res := load(t, one("when: '"+strings.ReplaceAll(when, "'", "''")+"'")).Match(a, w, opened.Add(15*time.Minute))
		if got := len(res.Verdicts) == 1; got != want || res.Errors != nil {
			t.Errorf("%s = %v, want %v (errors %v)", when, got, want, res.Errors)
		}
	}
}

func TestARuleThatFailsAtRunTimeCountsAsNotMatched(t *testing.T) {
	set := load(t, one(`match: [alertname="Down"]`, "when: change.target_count % evidence.red_targets == 0")+
		"      - rule: Sound\n        match: [alertname=\"Down\"]\n")
	w := worldOf(change("CHG1", "web-1"))
	a := alert("alertname", "Down", "instance", "web-1")
	res := set.Match(a, w, opened.Add(time.Hour))
	if len(res.Verdicts) != 1 || res.Verdicts[0].Rule != "Sound" {
		t.Errorf("verdicts %+v, want one of Sound", res.Verdicts)
	}
	if len(res.Errors) != 1 || res.Errors[0].Rule != "R" || res.Errors[0].ChangeID != "CHG1" || !strings.Contains(res.Errors[0].Error(), "run rule R: when: change CHG1: runtime error: integer divide by zero") {
		t.Errorf("errors %v", res.Errors)
	}
	for _, e := range set.Explain(a, w, opened.Add(time.Hour)) {
		if failed := e.Error != ""; failed != (e.Rule == "R") || e.Matched == failed {
			t.Errorf("explained %+v", e)
		}
	}
}

func TestEvidenceIsAskedForOnlyWhenNeededAndOnceAChange(t *testing.T) {
	w := worldOf(change("CHG1", "web-1"), change("CHG2", "web-1"))
	asked := 0
	w.asked = &asked
	a := alert("alertname", "Down", "instance", "web-1")
	load(t, one(`match: [alertname="Down"]`)).Match(a, w, opened)
	if asked != 0 {
		t.Errorf("asked %d times for a rule that reads none", asked)
	}
	text := one(`match: [alertname="Down"]`, "when: evidence.red_targets == 0") +
		"      - {rule: S, match: [alertname=\"Down\"], annotations: {x: \"{{ .Evidence.RedTargets }}\"}}\n"
	if got := len(load(t, text).Match(a, w, opened).Verdicts); got != 4 || asked != 2 {
		t.Errorf("%d verdicts, asked %d times, want 4 and 2", got, asked)
	}
}

func TestVerdictsComeInAFixedOrder(t *testing.T) {
	set := load(t, one(`match: [alertname="Down"]`)+"      - {rule: A, match: [severity=\"page\"]}\n      - {rule: Z, match: [alertname=~\"Do.*\"]}\n")
	w := worldOf(change("CHG3", "web-1"), change("CHG1", "web-1"), change("CHG2", "web-1"))
	w.changes["web-1"] = append(w.changes["web-1"], w.changes["web-1"][0])
	var got []string
	for _, v := range set.Match(alert("alertname", "Down", "severity", "page", "instance", "web-1"), w, opened.Add(time.Hour)).Verdicts {
		got = append(got, v.Rule+" "+v.ChangeID)
	}
	want := []string{"R CHG1", "R CHG2", "R CHG3", "A CHG1", "A CHG2", "A CHG3", "Z CHG1", "Z CHG2", "Z CHG3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestGroupsNameTheirTargetLabel(t *testing.T) {
	set := load(t, `groups:
  - {name: a, rules: [{rule: ByInstance, match: [alertname="Down"]}]}
  - {name: b, target_label: node, rules: [{rule: ByNode, match: [alertname="Down"]}]}
`)
	w := worldOf(change("CHG1", "web-1"), change("CHG2", "2001:db8::7"))
	res := set.Match(alert("alertname", "Down", "instance", "web-1:9100", "node", "[2001:db8::7]:443"), w, opened.Add(time.Hour))
	var got []string
	for _, v := range res.Verdicts {
		got = append(got, v.Rule+" "+v.ChangeID+" "+v.Target)
	}
	if diff := cmp.Diff([]string{"ByInstance CHG1 web-1", "ByNode CHG2 2001:db8::7"}, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	for _, test := range []struct{ instance, node, want string }{{"db-1", "", "db-1"}, {"", "db-2:1", "db-2"}, {"db-1", "2001:db8::7", "2001:db8::7"}, {"", "", ""}} {
		if got := set.Match(alert("alertname", "Up", "instance", test.instance, "node", test.node), w, opened).Target; got != test.want {
			t.Errorf("target of %+v = %q", test, got)
		}
	}
}

// TestHostileLabelsAreDataOnly puts syntax of every kind into an alert and
// expects it back as text.
func TestHostileLabelsAreDataOnly(t *testing.T) {
	set := load(t, one(`match: [team!=""]`, `when: alert.labels.team != ""`, `annotations: {summary: "{{ .Alert.Labels.team }}"}`))
	for _, hostile := range []string{
		"$(reboot)", "`id`", "{{ .Change.ID }}", "<!channel>", "<script>alert(1)</script>", "a\nb\r\nfake log line", `" or true or "`, "\xff\xfe", strings.Repeat("é", 40_000),
	} {
		a := alert("alertname", "Down", "instance", "web-1", "team", hostile)
		res := set.Match(a, worldOf(change("CHG1", "web-1")), opened.Add(time.Hour))
		if len(res.Verdicts) != 1 || len(res.Errors) != 0 {
			t.Fatalf("%.40q: %+v", hostile, res.Errors)
		}
		v := res.Verdicts[0]
		text := v.Annotations["summary"]
		if want := strings.ToValidUTF8(hostile, "\uFFFD"); text != want && (len(want) <= maxAnnotation || !strings.HasPrefix(want, strings.TrimSuffix(text, "…"))) {
			t.Errorf("annotation of %.40q = %.80q", hostile, text)
		}
		if len(text) > maxAnnotation+len("…") || !utf8.ValidString(text) {
			t.Errorf("annotation has %d bytes, valid %v", len(text), utf8.ValidString(text))
		}
		for _, reason := range v.Reasons {
			if strings.ContainsAny(reason, "\n\r") || len(reason) > 1000 || !utf8.ValidString(reason) {
				t.Errorf("reason %.200q", reason)
			}
		}
	}
}

func TestATargetOutsideTheInventoryHasItsNameOnly(t *testing.T) {
	set := load(t, one(`match: [alertname="Down"]`, `when: target.name == "web-1" and target.os == ""`, `annotations: {x: "{{ .Target }} of {{ .Targets }}"}`))
	w := worldOf(change("CHG1", "web-1"))
	w.targets = nil
	res := set.Match(alert("alertname", "Down", "instance", "web-1:9100"), w, opened.Add(time.Hour))
	if len(res.Verdicts) != 1 || res.Verdicts[0].Annotations["x"] != "web-1 of web-1" {
		t.Errorf("result %+v", res)
	}
}

func TestAnnotationThatFailsLeavesTheVerdict(t *testing.T) {
	set := load(t, one(`match: [alertname="Down"]`, `annotations: {bad: "{{ slice .Alert.Labels.short 0 (len .Alert.Labels.long) }}", good: "ok"}`))
	res := set.Match(alert("alertname", "Down", "instance", "web-1", "short", "a", "long", "aaa"), worldOf(change("CHG1", "web-1")), opened)
	if len(res.Verdicts) != 1 || len(res.Errors) != 1 || res.Errors[0].Annotation != "bad" {
		t.Fatalf("result %+v", res)
	}
	if diff := cmp.Diff(map[string]string{"good": "ok"}, res.Verdicts[0].Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestASetIsSafeForManyGoroutines(t *testing.T) {
	set := loadAll(t, manyRules(50, 1))
	w := newBenchChanges(20)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				rule, host := (g+i)%50, i%20
				a := benchAlert("Alert"+itoa(rule), "host-"+itoa(host)+"-3:9100")
				res := set.Match(a, w, opened.Add(time.Hour))
				if len(res.Verdicts) != 1 || res.Verdicts[0].Rule != "Rule"+itoa(rule) || res.Verdicts[0].ChangeID != "CHG"+itoa(host) {
					t.Errorf("alert %d on %d: %+v", rule, host, res)
				}
			}
		})
	}
	wg.Wait()
}
