package rules

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func itoa(i int) string { return strconv.Itoa(i) }

func TestExplainShowsEachPartWithItsValue(t *testing.T) {
	w := worldOf(change("CHG1", "web-1", "web-2"))
	w.evidence["CHG1"] = backout.Evidence{RedSharePatched: 0.1, RedShareUnpatched: 0.1}
	a := alert("alertname", "WebErrors", "node", "web-1:9100", "severity", "info", "team", "web")

	got := load(t, whole).Explain(a, w, opened.Add(13*time.Minute))

	want := []Explanation{
		{
			Rule: "WebErrorsAfterPatch", Group: "web-tier", Mode: backout.ModeAuto, Target: "web-1", ChangeID: "CHG1",
			Parts: []Part{
				{Kind: "match", Text: `severity=~"critical|page" ("info")`, Failed: true},
				{Kind: "match", Text: `team="web"`, Held: true},
				{Kind: "when", Text: "evidence.red_share_patched > 2 * evidence.red_share_unpatched (evidence.red_share_patched = 0.1, evidence.red_share_unpatched = 0.1)"},
				{Kind: "when", Text: `alert.age > duration("2m") (alert.age = 3m0s)`, Held: true},
			},
		},
		{
			Rule: "Down", Group: "rest", Mode: backout.ModeShadow, Guard: "the alert has no label instance that names a target",
			Parts: []Part{{Kind: "match", Text: `alertname="Down" ("WebErrors")`, Failed: true}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	if got[0].Misses() != 2 || got[1].Misses() != 2 {
		t.Errorf("misses %d and %d, want 2 and 2", got[0].Misses(), got[1].Misses())
	}
}

func TestExplainCoversEveryChangeOnTheTarget(t *testing.T) {
	early := change("CHG2", "web-1")
	late := change("CHG1", "web-1")
	late.OpenedAt = opened.Add(time.Hour)
	got := load(t, down).Explain(alert("alertname", "Down", "instance", "web-1"), worldOf(early, late), opened.Add(2*time.Hour))
	if len(got) != 2 || got[0].ChangeID != "CHG1" || got[0].Matched || got[0].Guard == "" || got[1].ChangeID != "CHG2" || !got[1].Matched || got[1].Guard != "" {
		t.Errorf("explained %+v", got)
	}
	if got[0].Verdict != nil || got[1].Verdict == nil || got[1].Verdict.ChangeID != "CHG2" {
		t.Errorf("verdicts %+v and %+v", got[0].Verdict, got[1].Verdict)
	}
}

// lines draws parts as a tree: + held, - did not, ? not known, ! is the one that
// failed.
func lines(parts []Part, indent string) (out []string) {
	for _, p := range parts {
		mark := "-"
		switch {
		case p.Held:
			mark = "+"
		case p.Unknown != "":
			mark = "?"
		}
		if p.Failed {
			mark += "!"
		}
		text := p.Text
		if p.Error != "" {
			text += ": " + p.Error
		}
		out = append(out, indent+mark+" "+text)
		out = append(out, lines(p.Parts, indent+"  ")...)
	}
	return out
}

// TestExplainShowsTheSidesOfAnOr: each with its own truth, and of a false "and" the
// side that made it so.
func TestExplainShowsTheSidesOfAnOr(t *testing.T) {
	w := worldOf(change("CHG1", "web-1"))
	w.evidence["CHG1"] = backout.Evidence{RedTargets: 1}
	set := load(t, one(
		`when: not (alert.labels.team == "web" or change.patched) or (evidence.red_targets > 0 and target.os == "sles" and alert.name == "Up")`,
	))
	got := set.Explain(alert("alertname", "Down", "instance", "web-1", "team", "db"), w, opened.Add(13*time.Minute))
	want := []string{
		`-! not (alert.labels.team == "web" or change.patched) or (evidence.red_targets > 0 and target.os == "sles" and alert.name == "Up")`,
		`  - not (alert.labels.team == "web" or change.patched)`,
		`    + alert.labels.team == "web" or change.patched`,
		`      - alert.labels.team == "web" (alert.labels.team = "db")`,
		`      + change.patched (change.patched = true)`,
		`  - evidence.red_targets > 0 and target.os == "sles" and alert.name == "Up"`,
		`    + evidence.red_targets > 0 (evidence.red_targets = 1)`,
		`    -! target.os == "sles" (target.os = "debian-12")`,
		`    - alert.name == "Up" (alert.name = "Down")`,
	}
	if diff := cmp.Diff(want, lines(got[0].Parts, "")); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

// TestExplainSaysWhatItCanWithoutAChange: what the alert alone decides is decided,
// the rest is not known, and only the guard counts as a miss for that.
func TestExplainSaysWhatItCanWithoutAChange(t *testing.T) {
	set := load(t, one(
		`match: [severity="page"]`,
		`when: alert.age > duration("2m") and evidence.red_targets > 1 and (change.patched or alert.name == "Down") and target.os == "debian-12"`,
	))
	w := worldOf()
	w.targets["web-1"] = backout.Target{Name: "web-1", OS: "debian-12"}
	for name, c := range map[string]struct {
		instance, guard string
		want            []string
		misses          int
	}{
		"no live change": {"web-1:9100", "no live change has target web-1", []string{
			`+ severity="page"`, `+ alert.age > duration("2m") (alert.age = 3m0s)`, `?! evidence.red_targets > 1`,
			`+ change.patched or alert.name == "Down"`, `  ? change.patched`, `  + alert.name == "Down" (alert.name = "Down")`,
			`+ target.os == "debian-12" (target.os = "debian-12")`,
		}, 1},
		"no target": {"", "the alert has no label instance that names a target", []string{
			`+ severity="page"`, `+ alert.age > duration("2m") (alert.age = 3m0s)`, `?! evidence.red_targets > 1`,
			`+ change.patched or alert.name == "Down"`, `  ? change.patched`, `  + alert.name == "Down" (alert.name = "Down")`,
			`? target.os == "debian-12"`,
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := set.Explain(alert("alertname", "Down", "instance", c.instance, "severity", "page"), w, opened.Add(13*time.Minute))
			if len(got) != 1 || got[0].Guard != c.guard || got[0].ChangeID != "" || got[0].Misses() != c.misses {
				t.Fatalf("explained %+v", got)
			}
			if diff := cmp.Diff(c.want, lines(got[0].Parts, "")); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExplainNamesEachGuard: the words are what a person reads.
func TestExplainNamesEachGuard(t *testing.T) {
	in := func(state backout.ChangeState) func(*backout.Alert, *backout.Change) {
		return func(_ *backout.Alert, c *backout.Change) { c.State = state }
	}
	cases := map[string]func(*backout.Alert, *backout.Change){
		"":                      func(*backout.Alert, *backout.Change) {},
		"the alert is resolved": func(a *backout.Alert, _ *backout.Change) { a.Firing = false },
		"alerts about backout itself never count":                                func(a *backout.Alert, _ *backout.Change) { a.Labels["alertname"] = "BackoutDown" },
		"the change is planned, not open or watching":                            in(backout.ChangePlanned),
		"the change is ready, not open or watching":                              in(backout.ChangeReady),
		"the change is closed, not open or watching":                             in(backout.ChangeClosed),
		"the change is backed_out, not open or watching":                         in(backout.ChangeBackedOut),
		"the change is backout_failed, not open or watching":                     in(backout.ChangeBackoutFailed),
		"the change is cancelled, not open or watching":                          in(backout.ChangeCancelled),
		"the change's window has not opened":                                     func(_ *backout.Alert, c *backout.Change) { c.OpenedAt = time.Time{} },
		"the alert was firing before the window opened, at 2026-03-01T22:00:00Z": func(a *backout.Alert, _ *backout.Change) { a.StartsAt = opened.Add(-1) },
		"the change does not have target web-1":                                  func(_ *backout.Alert, c *backout.Change) { c.Targets = []string{"web-2"} },
	}
	set := load(t, one(`match: [severity="page"]`))
	for want, bend := range cases {
		a, c := alert("alertname", "Down", "instance", "web-1:9100", "severity", "page"), change("CHG1", "web-1")
		w := worldOf(c)
		bend(a, c)
		got := set.Explain(a, w, opened.Add(13*time.Minute))
		if len(got) != 1 || got[0].Guard != want || got[0].Matched != (want == "") || !got[0].Parts[0].Held {
			t.Errorf("explained %+v, want the guard %q", got, want)
		}
	}
}

func TestExplainTellsFailures(t *testing.T) {
	set := load(t, one(`when: change.id == "CHG1" and change.target_count % evidence.red_targets == 0`))
	got := set.Explain(alert("instance", "web-1"), worldOf(change("CHG1", "web-1")), opened.Add(13*time.Minute))
	if got[0].Matched || !strings.Contains(got[0].Error, "divide by zero") || !strings.Contains(got[0].Parts[1].Error, "divide by zero") || !got[0].Parts[1].Failed {
		t.Errorf("explained %+v", got[0])
	}
}

// TestExplainSaysWhatWasNotAsked: a query costs somebody else something, and is asked
// only where Match would ask it.
func TestExplainSaysWhatWasNotAsked(t *testing.T) {
	const query = `prom("up") > 0.5`
	notAsked := "it is not asked: what comes before it does not hold"
	for name, c := range map[string]struct {
		when   string
		bend   func(*backout.Alert, *backout.Change, *world)
		asked  bool
		part   Part
		guard  string
		failed string
	}{
		"known":                            {query, func(_ *backout.Alert, _ *backout.Change, w *world) { w.queries = map[string]float64{"up on web-1": 1} }, true, Part{Held: true}, "", ""},
		"low":                              {query, func(_ *backout.Alert, _ *backout.Change, w *world) { w.queries = map[string]float64{"up on web-1": 0} }, true, Part{Failed: true}, "", ""},
		"waits":                            {query, nil, true, Part{Failed: true, Unknown: "not asked yet"}, "", ""},
		"fails":                            {query, func(_ *backout.Alert, _ *backout.Change, w *world) { w.failing = errors.New("down") }, true, Part{Failed: true, Error: "prom: down"}, "", "prom: down"},
		"behind a side that does not hold": {query + ` and alert.name == "Up"`, nil, false, Part{Unknown: notAsked}, "", ""},
		"behind a guard":                   {query, func(a *backout.Alert, _ *backout.Change, _ *world) { a.Firing = false }, false, Part{Unknown: notAsked}, "the alert is resolved", ""},
		"without a change":                 {query, func(_ *backout.Alert, _ *backout.Change, w *world) { w.changes = nil }, false, Part{Failed: true, Unknown: "there is no change to hold it against"}, "no live change has target web-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, ch := alert("alertname", "Down", "instance", "web-1"), change("CHG1", "web-1")
			w := worldOf(ch)
			w.queried = new(int)
			if c.bend != nil {
				c.bend(a, ch, &w)
			}
			e := load(t, one("when: '"+c.when+"'")).Explain(a, w, opened.Add(time.Hour))[0]
			got := e.Parts[0]
			if got.Held != c.part.Held || got.Failed != c.part.Failed || got.Unknown != c.part.Unknown || got.Error != c.part.Error || e.Guard != c.guard || e.Error != c.failed {
				t.Errorf("explained %+v", e)
			}
			if (*w.queried > 0) != c.asked {
				t.Errorf("asked %d times", *w.queried)
			}
		})
	}
}

func TestExplainSaysThatAlertmanagerWasNotAsked(t *testing.T) {
	w := worldOf(change("CHG1", "web-1"))
	set := load(t, one(`when: not alert.silenced and alert.flaps == 0`))
	a := alert("alertname", "Down", "instance", "web-1")
	explain := func() []string { return lines(set.Explain(a, w, opened.Add(time.Hour))[0].Parts, "") }
	want := []string{
		"+ not alert.silenced", "  - alert.silenced (alert.silenced = false): Alertmanager has not been asked about the alert yet",
		"+ alert.flaps == 0 (alert.flaps = 0)",
	}
	if diff := cmp.Diff(want, explain()); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	w.signals = map[string]backout.Signals{"CHG1/web-1/00000000000000aa": {Asked: true, Silenced: true}}
	want = []string{"-! not alert.silenced", "  + alert.silenced (alert.silenced = true)", "+ alert.flaps == 0 (alert.flaps = 0)"}
	if diff := cmp.Diff(want, explain()); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestExplainOnlyNamedRules(t *testing.T) {
	got := load(t, whole).Explain(alert("instance", "web-1"), worldOf(), opened, "Down")
	if len(got) != 1 || got[0].Rule != "Down" {
		t.Errorf("explained %+v", got)
	}
}

func TestRankPutsTheNearestMissFirst(t *testing.T) {
	miss := func(rule, kind string, n int) Explanation {
		e := Explanation{Rule: rule, ChangeID: "CHG1"}
		for i := range n {
			e.Parts = append(e.Parts, Part{Kind: kind, Failed: i == 0})
		}
		return e
	}
	list := []Explanation{
		miss("two", KindWhen, 2), miss("matcher", KindMatch, 1), miss("expression", KindWhen, 1),
		{Rule: "guard", Guard: "no", ChangeID: "CHG1"},
		{Rule: "matched", Matched: true},
		miss("later", KindWhen, 1),
	}
	Rank(list)
	var got []string
	for _, e := range list {
		got = append(got, e.Rule)
	}
	if want := "matched guard expression later matcher two"; strings.Join(got, " ") != want {
		t.Errorf("ranked %v, want %s", got, want)
	}
}

// TestExplainAgreesWithMatch: whatever the rules, the changes and the alert are.
func TestExplainAgreesWithMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawRules(t)
		text := "groups:\n"
		for _, d := range drawn {
			text += d.yaml()
		}
		set, _ := Load(map[string][]byte{"r.yaml": []byte(text)}) // what cannot match is refused, the rest stays
		_, w := drawWorld(t)
		a := drawAlert(t)
		now := opened.Add(15 * time.Minute)

		type said struct{ Matched, Failed []string }
		var got, want said
		for _, e := range set.Explain(a, w, now) {
			name := e.Rule + " " + e.ChangeID
			if e.Matched {
				got.Matched = append(got.Matched, name)
				if e.Misses() > 0 || e.Failed() != nil || e.Verdict == nil {
					t.Fatalf("%s matched and misses something: %+v", name, e)
				}
			} else if e.Misses() == 0 && e.Error == "" {
				t.Fatalf("%s did not match and misses nothing: %+v", name, e)
			}
			if e.Error != "" && e.Guard == "" && !slicesHaveMatchMiss(e.Parts) {
				got.Failed = append(got.Failed, name)
			}
		}
		result := set.Match(a, w, now)
		for _, v := range result.Verdicts {
			want.Matched = append(want.Matched, v.Rule+" "+v.ChangeID)
		}
		for _, e := range result.Errors {
			want.Failed = append(want.Failed, e.Rule+" "+e.ChangeID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Explain differs from Match (-match +explain):\n%s\n%s", diff, text)
		}
	})
}

func slicesHaveMatchMiss(parts []Part) bool {
	for _, p := range parts {
		if p.Kind == KindMatch && !p.Held {
			return true
		}
	}
	return false
}
