package notifier

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func forAudience(moment backout.Moment, level int, audience string) backout.Notice {
	n := Samples(moment)[level]
	n.Audience = audience
	return n
}

// TestStakeholdersReadPlainWords: what happens, when they hear again, and nothing
// that only those who act understand.
func TestStakeholdersReadPlainWords(t *testing.T) {
	words := Default()
	for _, moment := range backout.Moments() {
		if moment == backout.MomentTest {
			continue
		}
		for i := range Samples(moment) {
			m, err := words.Render(Style{}, forAudience(moment, i, "stakeholders"), nil)
			if err != nil {
				t.Errorf("%s, sample %d: %v", moment, i, err)
			}
			if !strings.Contains(m.Text, "Next update: ") && !strings.Contains(m.Text, "you hear again only if") {
				t.Errorf("%s, sample %d: nobody knows when they hear again:\n%s", moment, i, m.Text)
			}
			for _, odd := range []string{
				"backout rollback", "backout change", "backout gate", "--", "WebErrorsAfterPatch", "HTTPErrorsHigh", "To stop it",
				"<no value>", "0001-01-01", " .", " ,", "[]", "\n\n\n", "%!",
			} {
				if strings.Contains(m.Subject+"\n"+m.Text, odd) {
					t.Errorf("%s, sample %d: %q is not for stakeholders:\n%s\n%s", moment, i, odd, m.Subject, m.Text)
				}
			}
		}
	}
}

// TestStakeholdersReadThePersonsReason: not those that name rules, checks or attempts.
func TestStakeholdersReadThePersonsReason(t *testing.T) {
	for moment, want := range map[backout.Moment]bool{
		backout.MomentHeld: true, backout.MomentAborted: true, backout.MomentBreakGlass: true,
		backout.MomentRed: false, backout.MomentInDoubt: false, backout.MomentGateRefused: false, backout.MomentDrift: false,
	} {
		n := forAudience(moment, 0, "stakeholders")
		n.Reason = "rule WebErrors matched"
		m, _ := Default().Render(Style{}, n, nil)
		if strings.Contains(m.Text, n.Reason) != want {
			t.Errorf("%s: the reason is shown, or not:\n%s", moment, m.Text)
		}
	}
}

func TestStakeholdersHearOfEachLevelThatItStartedFailedAndWorked(t *testing.T) {
	for i, tc := range []struct{ started, failed, done string }{
		{
			"[CHG0030001] Repair under way on 3 systems: level 1 has started; next update by 02:33 UTC",
			"[CHG0030001] Not repaired yet: level 1 has failed, the next one follows; next update by 02:33 UTC",
			"by level 1 of the way back",
		},
		{
			"[CHG0030001] Repair under way on 3 systems: level 2 has started; next update by 03:03 UTC",
			"[CHG0030001] Not repaired yet: level 2 has failed, the next one follows; next update by 03:03 UTC",
			"by level 2 of the way back",
		},
		{
			"[CHG0030001] Repair under way on 3 systems: level 3 has started",
			"[CHG0030001] Not repaired yet: level 3 has failed",
			"by level 3 of the way back",
		},
	} {
		started, _ := Default().Render(Style{}, forAudience(backout.MomentLevelStarted, i, "stakeholders"), nil)
		failed, _ := Default().Render(Style{}, forAudience(backout.MomentEscalated, i, "stakeholders"), nil)
		done, _ := Default().Render(Style{}, forAudience(backout.MomentRecovered, i, "stakeholders"), nil)
		if started.Subject != tc.started || failed.Subject != tc.failed || !strings.Contains(done.Text, tc.done) {
			t.Errorf("level %d:\n%s\n%s\n%s", i+1, started.Subject, failed.Subject, done.Text)
		}
		if loses := Samples(backout.MomentLevelStarted)[i].Loses; loses != "" && !strings.Contains(started.Text, loses) {
			t.Errorf("level %d does not say what is lost:\n%s", i+1, started.Text)
		}
	}
}

// TestWordsAreThoseOfTheAudienceFirst: the audience's own, its kind's, those for
// all; each for the channel type first.
func TestWordsAreThoseOfTheAudienceFirst(t *testing.T) {
	order := []string{"slack.board.held.text", "board.held.text", "slack.stakeholders.held.text", "stakeholders.held.text", "slack.held.text", "held.text"}
	style := Style{Kind: "slack", Audience: Stakeholders}
	for i := range order {
		text := ""
		for _, name := range order[i:] {
			text += `{{ define "` + name + `" }}it is ` + name + `{{ end }}`
		}
		if i > 3 { // the built-in words for stakeholders would go before
			style.Audience = Responders
		}
		m, err := templates(t, text).Render(style, forAudience(backout.MomentHeld, 0, "board"), nil)
		if err != nil || m.Text != "it is "+order[i] {
			t.Errorf("with %s and below: %v, %s", order[i], err, m.Text)
		}
	}
}

func TestAudienceIsOfTheKindItIsCalledBy(t *testing.T) {
	for name, want := range map[string]AudienceKind{"stakeholders": Stakeholders, "record": Record, "deciders": Deciders, "ops": Responders, "": Responders} {
		if got := KindOf(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
	m, _ := Default().Render(Style{Audience: Stakeholders}, forAudience(backout.MomentHeld, 0, "board"), nil)
	if strings.Contains(m.Text, "backout rollback release") {
		t.Errorf("the config says stakeholders, and they read:\n%s", m.Text)
	}
}

func TestTemplateForNobodyIsAProblem(t *testing.T) {
	known := Known{Channels: []string{"slack", "email"}, Audiences: []string{"board", "ops"}}
	for name, want := range map[string]string{
		"bord.held.text":         `channel type or audience "bord"`,
		"slak.board.held.text":   `channel type "slak"`,
		"slack.bord.held.text":   `audience "bord"`,
		"board.slack.held.text":  `channel type "board"`,
		"a.slack.ops.held.text":  "is used by nothing",
		"board.hled.text":        "is used by nothing",
		"slack.board.held.words": "is used by nothing",
	} {
		_, problems := NewTemplatesFor(map[string]string{"own.tmpl": `{{ define "` + name + `" }}x{{ end }}`}, known)
		if len(problems) != 1 || !strings.Contains(problems[0].What, want) {
			t.Errorf("%s: %v", name, problems)
		}
	}
	for _, name := range []string{"board.held.text", "slack.board.held.text", "email.held.text", "record.held.text", "slack.stakeholders.held.subject", "held.text"} {
		if _, problems := NewTemplatesFor(map[string]string{"own.tmpl": `{{ define "` + name + `" }}x{{ end }}`}, known); problems != nil {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// TestTemplatesRunForEveryAudience: a mistake that only one audience would see
// shows at the check.
func TestTemplatesRunForEveryAudience(t *testing.T) {
	const text = `{{ define "held.text" }}{{ if eq .Audience "board" }}{{ index .Targets 99 }}{{ end }}x{{ end }}`
	if _, problems := NewTemplatesFor(map[string]string{"own.tmpl": text}, Known{Audiences: []string{"ops"}}); problems != nil {
		t.Error(problems)
	}
	_, problems := NewTemplatesFor(map[string]string{"own.tmpl": text}, Known{Audiences: []string{"ops", "board"}})
	if len(problems) != 1 || !strings.Contains(problems[0].What, "index out of range") {
		t.Errorf("problems %v", problems)
	}
}
