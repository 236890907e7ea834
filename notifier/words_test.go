package notifier

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// asTold is a notice as the server sends it, which is less than a sample holds.
func asTold(moment backout.Moment, audience string, fill func(*backout.Notice)) backout.Notice {
	n := backout.Notice{
		ID: "n1", Moment: moment, Audience: audience, ChangeID: "CHG1", RollbackID: "CHG1-r1", Level: "L1", NextLevel: "L2",
		Targets: []string{"web-1"}, At: time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC),
	}
	if fill != nil {
		fill(&n)
	}
	return n
}

// TestOneLineIsEnoughAtNight: of notices as they are sent, the subject says what is
// happening, and the first line what happens if nobody acts.
func TestOneLineIsEnoughAtNight(t *testing.T) {
	ended := func(o backout.ChangeState) func(*backout.Notice) {
		return func(n *backout.Notice) { n.Outcome, n.RollbackID, n.Level, n.NextLevel = o, "", "", "" }
	}
	last := func(n *backout.Notice) { n.Level, n.NextLevel = "L3", "" }
	for _, tc := range []struct {
		name           string
		n              backout.Notice
		subject, first string
	}{
		{"closed", asTold(backout.MomentWindowClosed, "ops", ended(backout.ChangeClosed)), "The window is closed: nothing had to be taken back", "nothing had to be taken back."},
		{"backed out", asTold(backout.MomentWindowClosed, "ops", ended(backout.ChangeBackedOut)), "The window is closed: the patch was taken back", "the patch was taken back."},
		{"failed", asTold(backout.MomentWindowClosed, "ops", ended(backout.ChangeBackoutFailed)), "COULD NOT BE TAKEN BACK EVERYWHERE", "COULD NOT BE TAKEN BACK EVERYWHERE."},
		{"red, at once", asTold(backout.MomentRed, "ops", nil), "RED on web-1", "The next notice says what is done about it."},
		{"escalated", asTold(backout.MomentEscalated, "ops", nil), "L1 did not help on web-1; next: L2", "the rollback goes on to L2."},
		{"overdue", asTold(backout.MomentOverdue, "ops", func(n *backout.Notice) { n.IfNobodyActs = "L2 starts when they have ended" }), "if nobody acts: L2 starts when they have ended", "If nobody acts: L2 starts when they have ended."},
		{"in doubt", asTold(backout.MomentInDoubt, "ops", nil), "IN DOUBT", "Nothing happens by itself."},
		{"ready again", asTold(backout.MomentReadyAgain, "ops", nil), "would work again", "Nobody has to act."},
		{"recovered", asTold(backout.MomentRecovered, "ops", nil), "RECOVERED by L1", "The rollback is over, and the patch is not installed any more."},
		{"cancelled", asTold(backout.MomentCancelled, "ops", nil), "CANCELLED", "Nobody has to act."},
		{"aborted", asTold(backout.MomentAborted, "ops", nil), "ABORTED", "what is red stays red. Nothing happens by itself."},
		{"exhausted", asTold(backout.MomentExhausted, "ops", last), "people must take over", "people must take over. Nothing happens by itself."},
		{"drift", asTold(backout.MomentDrift, "ops", nil), "DRIFT", "stays as it is until somebody looks."},
		{"reopened", asTold(backout.MomentReopened, "ops", func(n *backout.Notice) { n.CVEs = []string{"CVE-2026-1"} }), "OPEN AGAIN: CVE-2026-1", "CVE-2026-1, until it is installed again."},
		{"stakeholders, backed out", asTold(backout.MomentWindowClosed, "stakeholders", ended(backout.ChangeBackedOut)), "The patch is finished with: it was taken back", "it was taken back."},
		{"stakeholders, red", asTold(backout.MomentRed, "stakeholders", nil), "Trouble after a patch on 1 system", "1 system. Those in charge have been told; you hear next whether and when it is taken back."},
		{"stakeholders, asked", asTold(backout.MomentApproval, "stakeholders", func(n *backout.Notice) { n.IfNobodyActs = "L2 starts" }), "Waiting for a decision on level 2", "If they do not answer: level 2 starts."},
		{"stakeholders, last call", asTold(backout.MomentLastCall, "stakeholders", func(n *backout.Notice) { n.IfNobodyActs = "L2 starts" }), "Still waiting for a decision on level 2", "If they do not answer: level 2 starts."},
		{"stakeholders, unreachable", asTold(backout.MomentUnreachable, "stakeholders", func(n *backout.Notice) { n.NextLevel, n.Level = "", "" }), "cannot be reached", "about the way back of the patch CHG1 cannot"},
	} {
		// Whatever a channel must escape.
		m, err := Default().Render(Style{Escape: func(v string) string { return strings.ReplaceAll(v, "_", `\_`) }}, tc.n, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		first, _, _ := strings.Cut(m.Text, "\n")
		if !strings.Contains(m.Subject, tc.subject) || !strings.Contains(first, tc.first) {
			t.Errorf("%s:\nwant %q in %s\nwant %q in %s", tc.name, tc.subject, m.Subject, tc.first, first)
		}
	}
}

// TestDecidersReadWhoDecidesUntilWhenAndWhatIsLost, in one line.
func TestDecidersReadWhoDecidesUntilWhenAndWhatIsLost(t *testing.T) {
	n := asTold(backout.MomentApproval, "deciders", func(n *backout.Notice) {
		n.Deadline, n.IfNobodyActs, n.Loses = n.At.Add(30*time.Minute), "the rollback is held", "everything written since 01:30 UTC"
		n.Groups, n.Excluded, n.VotesNeeded = []string{"leads"}, []string{"ana"}, 2
	})
	last := n
	last.Moment, last.Deadline, last.VotesGiven = backout.MomentLastCall, n.At.Add(2*time.Minute), 1
	m, _ := Default().Render(Style{}, last, nil)
	if want := "[CHG1] LAST CALL, decide by 02:05 UTC: may L2 start on web-1? LOSES DATA. If nobody decides: the rollback is held"; m.Subject != want || !strings.Contains(m.Text, "Votes: 1 of 2.") {
		t.Errorf("last call\n got %s\n%s\nwant %s", m.Subject, m.Text, want)
	}
	m, _ = Default().Render(Style{}, n, nil)
	if want := "[CHG1] DECIDE by 02:33 UTC: may L2 start on web-1? LOSES DATA. If nobody decides: the rollback is held"; m.Subject != want {
		t.Errorf("subject\n got %s\nwant %s", m.Subject, want)
	}
	want := "Decide by 02:33 UTC: may L2 of CHG1 start on web-1? Lost for good if it starts: everything written since 01:30 UTC. If nobody decides: the rollback is held, at 2026-03-14 02:33 UTC (30m after this notice).\n"
	if !strings.HasPrefix(m.Text, want) {
		t.Errorf("text\n%s\ndoes not begin with\n%s", m.Text, want)
	}
	for _, part := range []string{"Votes: 0 of 2.", "Who may say yes: leads, but not ana. Anyone on duty may say no.", "backout rollback approve CHG1-r1 --level L2", "backout rollback deny CHG1-r1 --level L2"} {
		if !strings.Contains(m.Text, part) {
			t.Errorf("%q is not in\n%s", part, m.Text)
		}
	}
	n.Deadline, n.IfNobodyActs, n.Loses = time.Time{}, "", ""
	if m, _ := Default().Render(Style{}, n, nil); !strings.Contains(m.Text, "start on web-1? Nothing happens until somebody decides.\n") {
		t.Errorf("without a deadline:\n%s", m.Text)
	}
}

// TestTheRecordIsFacts: what is kept has the digest of the plan and times in UTC, and no
// command that somebody would try a year later.
func TestTheRecordIsFacts(t *testing.T) {
	for _, moment := range backout.Moments() {
		if moment == backout.MomentTest {
			continue
		}
		for i, sample := range Samples(moment) {
			sample.Audience = "record"
			m, err := Default().Render(Style{}, sample, nil)
			if err != nil {
				t.Errorf("%s, sample %d: %v", moment, i, err)
			}
			wants := []string{"At: " + utc(sample.At), sample.PlanHash, sample.RollbackID, sample.Reason, sample.Loses, strings.Join(sample.CVEs, ", ")}
			if !sample.Deadline.IsZero() {
				wants = append(wants, utc(sample.Deadline))
			}
			for _, want := range wants {
				if !strings.Contains(m.Text, want) {
					t.Errorf("%s, sample %d: %q is not in\n%s", moment, i, want, m.Text)
				}
			}
			for _, odd := range []string{"backout rollback", "backout change", "backout gate", "--", "<no value>", "0001-01-01", "\n\n\n", "%!", ": \n"} {
				if strings.Contains(m.Text, odd) {
					t.Errorf("%s, sample %d: %q is in\n%s", moment, i, odd, m.Text)
				}
			}
		}
	}
}

// TestOwnWordsForAllGoBeforeBuiltInOnesForSome: who has rewritten a notice for everybody
// does not find the built-in words again for those who decide.
func TestOwnWordsForAllGoBeforeBuiltInOnesForSome(t *testing.T) {
	for file, want := range map[string]map[string]string{
		`{{ define "approval_needed.text" }}all{{ end }}`:                                                            {"deciders": "all", "record": "all", "ops": "all", "stakeholders": "Before level 2"},
		`{{ define "slack.approval_needed.text" }}slack{{ end }}`:                                                    {"deciders": "slack", "record": "slack", "ops": "slack", "stakeholders": "Before level 2"},
		`{{ define "approval_needed.text" }}all{{ end }}{{ define "deciders.approval_needed.text" }}decide{{ end }}`: {"deciders": "decide", "record": "all", "ops": "all"},
		``: {"deciders": "Decide", "record": "Approval of L2 is asked for.", "ops": "CHG1 needs a decision"},
	} {
		words, problems := NewTemplates(map[string]string{"own.tmpl": file})
		if problems != nil {
			t.Fatal(problems)
		}
		for audience, begins := range want {
			m, err := words.Render(Style{Kind: "slack"}, asTold(backout.MomentApproval, audience, nil), nil)
			if err != nil || !strings.HasPrefix(m.Text, begins) {
				t.Errorf("%s: %s reads %q, %v; want %q", file, audience, m.Text, err, begins)
			}
		}
	}
}
