package slack

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/notifiertest"
)

var updateCards = flag.Bool("update", false, "write what the cards look like now; read the difference before you commit it")

var red = time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)

func sampleRollback() backout.Rollback {
	steps := []backout.Step{{Name: "undo the patch", Uses: "dnf.undo"}, {Name: "restart nginx", Uses: "systemd.restart"}}
	return backout.Rollback{
		ID: "CHG0031-r1", ChangeID: "CHG0031", ChangeTitle: "openssl 3.0.14 on web", Patch: backout.Patch{CVEs: []string{"CVE-2026-0001"}},
		Frozen: backout.FrozenPlan{Hash: "sha256:7f3a9c0d1e2b", Plan: backout.Plan{Name: "web-openssl", Levels: []backout.Level{
			{Name: "L1", Summary: "uninstall the patch", Steps: steps},
			{Name: "L2", Summary: "restore the snapshot", Steps: steps[1:], Loses: "everything written since 01:30 UTC"},
		}}},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{AlertName: "HTTP5xx"}}, OpenedAt: red, Level: -1,
		Targets: []backout.TargetState{{Name: "web-01"}, {Name: "web-02", Phase: backout.TargetRecovered}, {Name: "web-03"}},
	}
}

// cards are rollbacks at every place where a card looks different.
func cards() map[string]View {
	all := map[string]View{}
	add := func(name string, after time.Duration, change func(*backout.Rollback)) {
		r := sampleRollback()
		change(&r)
		all[name] = View{Rollback: r, Now: red.Add(after), URL: "https://backout.example/rollbacks/CHG0031-r1"}
	}
	veto := &backout.Ask{
		ID: "ask-1", AskedAt: red, Deadline: red.Add(9 * time.Minute), Policy: backout.Approval{Mode: backout.ApprovalVeto, Groups: []string{"sre-leads"}},
	}
	votes := &backout.Ask{
		ID: "ask-2", Level: 1, AskedAt: red, Deadline: red.Add(30 * time.Minute), Excluded: []string{"ana"}, Why: "L1 did not help",
		Policy: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre-leads"}, OnExpiry: backout.ExpiryDeny},
		Votes:  []backout.Vote{{User: "ben", Choice: backout.ChoiceApprove, Via: "slack", At: red.Add(time.Minute)}},
	}
	add("pending", 0, func(r *backout.Rollback) { r.Status, r.StartAfter = backout.RollbackPending, red.Add(2*time.Minute) })
	add("veto", 0, func(r *backout.Rollback) { r.Status, r.Ask = backout.RollbackPending, veto })
	add("veto-soon", 8*time.Minute, func(r *backout.Rollback) { r.Status, r.Ask = backout.RollbackPending, veto })
	add("votes", time.Minute, func(r *backout.Rollback) { r.Status, r.Level, r.Ask = backout.RollbackAwaiting, 0, votes })
	add("exploited", time.Minute, func(r *backout.Rollback) {
		r.Status, r.Level, r.Ask, r.Exploited = backout.RollbackAwaiting, 0, votes, r.Patch.CVEs
	})
	add("running", time.Minute, func(r *backout.Rollback) {
		r.Status, r.Level, r.LevelDeadline = backout.RollbackRunning, 0, red.Add(30*time.Minute)
	})
	add("verifying", time.Minute, func(r *backout.Rollback) { r.Status, r.Level = backout.RollbackVerifying, 0 })
	add("held", time.Minute, func(r *backout.Rollback) {
		r.Status, r.HeldReason = backout.RollbackHeld, "held by ana: the load balancer is the cause"
	})
	add("paused", time.Minute, func(r *backout.Rollback) {
		r.Status, r.Ask, r.PausedAt, r.PausedBy = backout.RollbackPending, veto, red.Add(time.Minute), "ana"
	})
	add("recovered", time.Hour, func(r *backout.Rollback) { r.Status, r.EndedAt = backout.RollbackRecovered, red.Add(20*time.Minute) })
	add("exhausted", time.Hour, func(r *backout.Rollback) {
		r.Status, r.Level, r.EndedAt = backout.RollbackExhausted, 1, red.Add(50*time.Minute)
	})
	return all
}

func TestCardsLookAsTheyDid(t *testing.T) {
	for name, v := range cards() {
		data, err := json.MarshalIndent(Draw(v), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "card-"+name+".json")
		if *updateCards {
			if err := os.WriteFile(file, append(data, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(data)+"\n"); d != "" {
			t.Errorf("%s (-file +now):\n%s", name, d)
		}
	}
}

func TestOnlyWhatCanBeDecidedHasAButton(t *testing.T) {
	for name, want := range map[string]string{
		"pending": "hold", "veto": "approve hold deny", "votes": "approve hold deny", "running": "hold escalate", "verifying": "hold escalate",
		"held": "", "paused": "", "recovered": "", "exhausted": "",
	} {
		if got := strings.Join(buttonsIn(t, Draw(cards()[name])), " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	doubted := cards()["held"]
	doubted.Rollback.HeldCause = backout.HoldDoubt
	if got := strings.Join(buttonsIn(t, Draw(doubted)), " "); got != "hold" {
		t.Errorf("held for a doubt: %q", got)
	}
	empty := cards()["votes"]
	empty.Rollback.Ask = &backout.Ask{ID: "a", Level: 1, Policy: backout.Approval{Mode: backout.ApprovalRequired, Votes: 1}}
	if got := strings.Join(buttonsIn(t, Draw(empty)), " "); got != "hold deny" {
		t.Errorf("with nobody to approve: %q", got)
	}
}

// TestTheDialogNamesDataLossFirst: what it says of data loss is what the card says.
func TestTheDialogNamesDataLossFirst(t *testing.T) {
	long := strings.Repeat("everything that was written ", 20)
	for name, c := range map[string]struct {
		spoil func(*backout.Rollback)
		begin string
	}{
		"named":            {func(*backout.Rollback) {}, "Data loss: everything written since 01:30 UTC. "},
		"destructive only": {func(r *backout.Rollback) { l := &r.Frozen.Plan.Levels[1]; l.Loses, l.Destructive = "", true }, "Data loss: yes; the plan does not say what. "},
		"none":             {func(r *backout.Rollback) { r.Frozen.Plan.Levels[1].Loses = "" }, "L2 of CHG0031 begins "},
		"long":             {func(r *backout.Rollback) { r.Frozen.Plan.Levels[1].Loses = long }, "Data loss: everything that was written "},
	} {
		v := cards()["votes"]
		c.spoil(&v.Rollback)
		text := confirm(&v.Rollback, v.Now).Text.Text
		if !strings.HasPrefix(text, c.begin) || !strings.Contains(text, "L2 of CHG0031") || !strings.Contains(text, "plan 7f3a9c0") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func buttonsIn(t *testing.T, c Card) (out []string) {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var m slackfake.Message
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, id := range m.Buttons() {
		if id != actionOpen {
			out = append(out, strings.TrimPrefix(id, "backout_"))
		}
	}
	return out
}

// poisoned puts a text wherever a rollback has one.
func poisoned(text string) []View {
	var out []View
	for _, v := range cards() {
		r := v.Rollback
		r.ID, r.ChangeID, r.ChangeTitle, r.Reason, r.HeldReason, r.PausedBy = text, text, text, text, text, text
		r.Patch.CVEs, r.Exploited = []string{text, text}, []string{text}
		r.Trigger.Verdict = &backout.Verdict{AlertName: text}
		r.Targets = nil
		for range 40 {
			r.Targets = append(r.Targets, backout.TargetState{Name: text})
		}
		steps := make([]backout.Step, 30)
		for i := range steps {
			steps[i] = backout.Step{Name: text, Uses: text}
		}
		level := backout.Level{Name: text, Summary: text, Loses: text, Steps: steps}
		r.Frozen = backout.FrozenPlan{Hash: text, Plan: backout.Plan{Name: text, Levels: []backout.Level{level, level}}}
		if r.Ask != nil {
			ask := *r.Ask
			ask.ID, ask.Why, ask.Excluded, ask.Policy.Groups = text, text, []string{text, text}, []string{text}
			ask.Votes = nil
			for range 30 {
				ask.Votes = append(ask.Votes, backout.Vote{User: text, Reason: text, Via: text, Choice: backout.ChoiceApprove})
			}
			r.Ask = &ask
		}
		out = append(out, View{Rollback: r, Now: v.Now})
	}
	return out
}

func TestCardsAreTakenWhateverIsInThem(t *testing.T) {
	for i, text := range notifiertest.Hostile() {
		text = text[:min(len(text), 8<<10)] // more is cut before anything looks at it
		for _, v := range poisoned(text) {
			// Ids have a length of their own; the longest texts are no ids.
			if len(v.Rollback.ID) > 200 {
				v.Rollback.ID = clipTo(v.Rollback.ID, 200)
				if v.Rollback.Ask != nil {
					v.Rollback.Ask.ID = clipTo(v.Rollback.Ask.ID, 200)
				}
			}
			card := Draw(v)
			data, err := json.Marshal(card)
			if err != nil {
				t.Fatalf("text %d: %v", i, err)
			}
			var m struct{ Blocks json.RawMessage }
			if err := json.Unmarshal(data, &m); err != nil {
				t.Fatal(err)
			}
			if problems := slackfake.Check(string(m.Blocks)); len(problems) > 0 {
				t.Errorf("text %d (%.30q) at %s: %v", i, text, v.Rollback.Status, problems)
			}
			for _, c := range controlsIn(data) {
				if !strings.HasPrefix(c, "!date^") || strings.Contains(c, "now|then") {
					t.Errorf("text %d (%.30q): the card says <%s>", i, text, c)
				}
			}
			if strings.ContainsAny(card.Text, "<>\n") {
				t.Errorf("text %d: the first line is %q", i, card.Text)
			}
		}
	}
}

// controlsIn lists what stands between angle brackets in texts that Slack reads as
// markup.
func controlsIn(data []byte) (out []string) {
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if text, ok := v["text"].(string); ok && v["type"] == "mrkdwn" {
				for _, m := range control.FindAllStringSubmatch(text, -1) {
					out = append(out, m[1])
				}
			}
			for _, one := range v {
				walk(one)
			}
		case []any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	var all any
	_ = json.Unmarshal(data, &all)
	walk(all)
	return out
}

func TestCountdownChangesWhenItIsNear(t *testing.T) {
	r := cards()["veto"].Rollback
	now := red
	var at []string
	for range 5 {
		next := NextChange(&r, now)
		if next.IsZero() {
			break
		}
		before, after := Draw(View{Rollback: r, Now: now}), Draw(View{Rollback: r, Now: next})
		if before.Digest() == after.Digest() {
			t.Errorf("nothing is different at %v", next)
		}
		at = append(at, strconv.Itoa(int(r.Ask.Deadline.Sub(next).Minutes())))
		now = next
	}
	if got := strings.Join(at, " "); got != "5 2 1" {
		t.Errorf("it changes at %s minutes before", got)
	}
	done := cards()["recovered"].Rollback
	if !NextChange(&done, red).IsZero() {
		t.Error("a card that has ended changes")
	}
}

func TestDataLossIsNeverCalledNone(t *testing.T) {
	v := cards()["votes"]
	level := &v.Rollback.Frozen.Plan.Levels[1]
	level.Loses, level.Destructive = "", true
	data, err := json.Marshal(Draw(v))
	if err != nil || !strings.Contains(string(data), `*Data loss*\nyes`) {
		t.Errorf("%v %s", err, data)
	}
}

func TestClipsFit(t *testing.T) {
	for _, text := range []string{strings.Repeat("&", 500), strings.Repeat("é", 500), "short", "", strings.Repeat("<", 499)} {
		for _, most := range []int{20, 75, 300} {
			got := escapedClip(text, most)
			if utf8.RuneCountInString(got) > most || strings.Count(got, "&") != strings.Count(got, ";") {
				t.Errorf("clip(%.10q, %d) = %q", text, most, got)
			}
		}
	}
}

func TestSubjectsComeBack(t *testing.T) {
	for _, s := range []Subject{{"CHG1-r1", "CHG1-r1.ask.2", 0}, {"CHG1-r1", "", 0}, {"CHG1-r1", "", 1}} {
		if got := ParseSubject(s.String()); got != s {
			t.Errorf("%+v became %+v", s, got)
		}
	}
}

// TestACardWhoseClockStandsStillSaysSo: a countdown that does not run is none.
func TestACardWhoseClockStandsStillSaysSo(t *testing.T) {
	v := cards()["veto"]
	v.Now = red
	ask := *v.Rollback.Ask
	ask.DownAt, ask.DownReason = red, "mail: <!channel> is down"
	v.Rollback.Ask = &ask
	card := Draw(v)
	data, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(card.Text, "its clock stands still") || strings.Contains(card.Text, "unless held") {
		t.Errorf("the first line is %q", card.Text)
	}
	if text := string(data); strings.Contains(text, "If nobody acts") || !strings.Contains(text, "stands still since") || slices.Contains(controlsIn(data), "!channel") {
		t.Error(text)
	}
	if at := NextChange(&v.Rollback, red); !at.IsZero() {
		t.Errorf("it counts down until %s", at)
	}
}
