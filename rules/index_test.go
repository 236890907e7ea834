package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestARuleIsTriedOnce: a value that stands twice in a list finds its rule once.
func TestARuleIsTriedOnce(t *testing.T) {
	set := load(t, one(`when: alert.labels.team in ["web", "db", "web"]`))
	res := set.Match(alert("alertname", "Down", "instance", "web-1", "team", "web"), worldOf(change("CHG1", "web-1")), opened.Add(time.Hour))
	if len(res.Verdicts) != 1 {
		t.Errorf("%d verdicts, want 1", len(res.Verdicts))
	}
}

// TestARuleThatSearchesCutsNothingForOthers: of two texts that begin alike, a rule
// that compares them sees the ends as well, whatever the rule before it did.
func TestARuleThatSearchesCutsNothingForOthers(t *testing.T) {
	long := strings.Repeat("a", maxText)
	set := load(t, one(`when: alert.labels.team contains "a"`)+"      - {rule: Same, when: 'alert.labels.team == alert.labels.other'}\n")
	a := alert("alertname", "Down", "instance", "web-1", "team", long+"1", "other", long+"2")
	res := set.Match(a, worldOf(change("CHG1", "web-1")), opened.Add(time.Hour))
	if len(res.Verdicts) != 1 || res.Verdicts[0].Rule != "R" {
		t.Errorf("verdicts %.300v, want one of R", res.Verdicts)
	}
}

// TestWhatIsAskedLaterIsSeen: the facts that one rule was run on lack what only a
// later one asks for.
func TestWhatIsAskedLaterIsSeen(t *testing.T) {
	set := load(t, one(`when: alert.age > duration("1m")`)+"      - {rule: Red, when: 'evidence.red_targets > 1'}\n      - {rule: Flapping, when: 'alert.flaps > 1'}\n")
	w := worldOf(change("CHG1", "web-1"), change("CHG2", "web-1"))
	w.signals = map[string]backout.Signals{}
	for _, id := range []string{"CHG1", "CHG2"} {
		w.evidence[id] = backout.Evidence{RedTargets: 2}
		w.signals[id+"/web-1/00000000000000aa"] = backout.Signals{Flaps: 2}
	}
	res := set.Match(alert("alertname", "Down", "instance", "web-1"), w, opened.Add(time.Hour))
	if len(res.Verdicts) != 6 {
		t.Errorf("%d verdicts, want of three rules on two changes", len(res.Verdicts))
	}
}

// TestAFailureComesBeforeALabel: what fails is told, as the expression stands, even
// where a label further behind would have turned the alert away.
func TestAFailureComesBeforeALabel(t *testing.T) {
	set := load(t, one(`when: change.target_count % evidence.red_targets == 0 and alert.labels.team == "web"`))
	res := set.Match(alert("alertname", "Down", "instance", "web-1"), worldOf(change("CHG1", "web-1")), opened.Add(time.Hour))
	if len(res.Errors) != 1 || len(res.Verdicts) != 0 {
		t.Errorf("errors %v, verdicts %v, want one error", res.Errors, res.Verdicts)
	}
}

// TestARuleIsFoundByWhatAnAlertLacks: more labels have rules than the alert has, so the
// index goes by the alert's.
func TestARuleIsFoundByWhatAnAlertLacks(t *testing.T) {
	text := one(`match: [team=""]`)
	for _, label := range []string{"a", "b", "c", "d"} {
		text += "      - {rule: Wants" + label + ", match: ['" + label + `="x"']}` + "\n"
	}
	set := load(t, text)
	w := worldOf(change("CHG1", "web-1"))
	for _, a := range []*backout.Alert{alert("instance", "web-1"), alert("instance", "web-1", "team", "")} {
		if got := set.Match(a, w, opened.Add(time.Hour)).Verdicts; len(got) != 1 || got[0].Rule != "R" {
			t.Errorf("labels %v: %+v", a.Labels, got)
		}
	}
	if got := set.Match(alert("instance", "web-1", "team", "web"), w, opened.Add(time.Hour)).Verdicts; len(got) != 0 {
		t.Errorf("with a team: %+v", got)
	}
}

// TestFactsAreThoseOfTheChangeAtHand: two changes are live on one target, and a rule
// speaks of the second only.
func TestFactsAreThoseOfTheChangeAtHand(t *testing.T) {
	set := load(t, one(`match: [alertname="Down"]`, `when: change.id != "CHG1" and not change.patched`))
	early, late := change("CHG1", "web-1"), change("CHG2", "web-1")
	late.PatchedAt = time.Time{}
	got := set.Match(alert("alertname", "Down", "instance", "web-1"), worldOf(early, late), opened.Add(time.Hour)).Verdicts
	if len(got) != 1 || got[0].ChangeID != "CHG2" {
		t.Errorf("verdicts %+v, want one of CHG2", got)
	}
}
