package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func hostileRules(t *testing.T, s string) {
	t.Helper()
	p := &handlers.Promoted{Mode: backout.Mode(s), By: s, Reason: s, Hash: "01"}
	wantHarmless(t, Rules([]handlers.RuleStatus{
		{Rule: s, Mode: backout.Mode(s), FileMode: backout.Mode(s), Why: s, Hash: "01", Promotion: p}, {Rule: s, Hash: "01", Promotion: p}, {Rule: s, Why: s},
	}, Style{}, t0), true)
	wantHarmless(t, Said(&backout.Change{ChangeSpec: backout.ChangeSpec{ID: s}, Rules: []backout.RuleRecord{
		{Rule: s, Mode: backout.Mode(s), Targets: []string{s}, Judged: &backout.Judgement{By: s, Reason: s}},
	}}, Style{}, t0), true)
}

func TestRulesSayWhatTheyMayDoAndWhy(t *testing.T) {
	got := Rules([]handlers.RuleStatus{
		{
			Rule: "Red", Mode: backout.ModeAuto, FileMode: backout.ModeAuto, Hash: "01", Score: handlers.RuleScore{Agreed: 21, Disagreed: 1, Open: 2, Precision: 21.0 / 22},
			LastVerdict: t0.Add(-time.Hour),
			Promotion: &handlers.Promoted{
				Mode: backout.ModeAuto, By: "ann", Reason: "always right", At: t0.Add(-24 * time.Hour), Hash: "01", Score: handlers.RuleScore{Agreed: 20, Precision: 1},
			},
		},
		{
			Rule: "Loud", Mode: backout.ModeShadow, FileMode: backout.ModeAuto, Hash: "02", Why: "bob lets it do no more than shadow",
			Promotion: &handlers.Promoted{Mode: backout.ModeShadow, Lowered: true, By: "bob", Reason: "fires on reboots", At: t0.Add(-time.Minute), Hash: "02"},
		},
		{Rule: "New", Mode: backout.ModeShadow, FileMode: backout.ModeAsk, Hash: "03", Why: "nobody has promoted it: it only records"},
	}, Style{}, t0)
	want := `RULE  MAY       FILE  AGREED                  LAST    WHY
Red   * auto    auto  21 of 22 (95%), 2 open  1h ago  promoted to auto by ann 24h ago when 20 of 20 (100%) changes agreed: always right
Loud  o shadow  auto  0 of 0                  -       bob lets it do no more than shadow, 1m ago: fires on reboots
New   o shadow  ask   0 of 0                  -       nobody has promoted it: it only records
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSaidShowsWhoJudged(t *testing.T) {
	got := Said(&backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1"}, Rules: []backout.RuleRecord{
		{Rule: "Red", Mode: backout.ModeShadow, Last: t0.Add(-time.Minute), Targets: []string{"web-1", "web-2"}, Judged: &backout.Judgement{Agree: true, By: "ann", Reason: "it broke"}},
		{Rule: "Loud", Mode: backout.ModeAsk, Last: t0.Add(-time.Minute)},
	}}, Style{}, t0)
	want := `RULE  COULD     LAST    TARGETS       JUDGED
Red   o shadow  1m ago  web-1, web-2  right by ann: it broke
Loud  ! ask     1m ago                -
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := Said(&backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1"}}, Style{}, t0); got != "CHG1: no rule has said anything\n" {
		t.Errorf("%q", got)
	}
}
