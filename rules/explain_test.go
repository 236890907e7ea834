package rules

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
				{Kind: "match", Text: `severity=~"critical|page" ("info")`},
				{Kind: "match", Text: `team="web"`, Held: true},
				{Kind: "when", Text: "evidence.red_share_patched > 2 * evidence.red_share_unpatched (evidence.red_share_patched = 0.1, evidence.red_share_unpatched = 0.1)"},
				{Kind: "when", Text: `alert.age > duration("2m") (alert.age = 3m0s)`, Held: true},
			},
		},
		{
			Rule: "Down", Group: "rest", Mode: backout.ModeShadow, Guard: "the alert has no label instance that names a target",
			Parts: []Part{{Kind: "match", Text: `alertname="Down" ("WebErrors")`}},
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
}
