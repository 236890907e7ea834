package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// render writes a page as of now.
func render(t *testing.T, f Frame, c Content) string {
	t.Helper()
	f.Now = now
	var out strings.Builder
	if err := Write(&out, f, c); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func plan(levels int) backout.FrozenPlan {
	return backout.FrozenPlan{Plan: backout.Plan{Levels: []backout.Level{{Name: "L1"}, {Name: "L2"}, {Name: "L3"}}[:levels]}}
}

// wants fails for each part that the page lacks.
func wants(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
}

// TestNowIsOrderedByWhatIsDueFirst: what needs a person stands first, then what is due
// first.
func TestNowIsOrderedByWhatIsDueFirst(t *testing.T) {
	cards := []Card{
		{Rollback: backout.Rollback{ID: "late", Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Hour)}},
		{Rollback: backout.Rollback{ID: "soon", Status: backout.RollbackVerifying, Frozen: plan(3), Level: 1, LevelDeadline: now.Add(4*time.Minute + 10*time.Second)}},
		{Rollback: backout.Rollback{ID: "asking", Status: backout.RollbackAwaiting, Frozen: plan(3), Level: -1, Ask: &backout.Ask{Deadline: now.Add(time.Minute), Policy: backout.Approval{Votes: 2, Groups: []string{"sre"}}}}},
		{Rollback: backout.Rollback{ID: "stuck", Status: backout.RollbackHeld, HeldReason: "limit reached", Frozen: plan(3), LevelDeadline: now.Add(time.Second)}},
	}
	SortCards(cards)
	page := render(t, Frame{}, Now{Rollbacks: cards})
	order := []string{`id="stuck"`, `id="asking"`, `id="soon"`, `id="late"`}
	at := make([]int, len(order))
	for i, id := range order {
		at[i] = strings.Index(page, id)
	}
	if slices.Contains(at, -1) || !slices.IsSorted(at) {
		t.Errorf("order %v", at)
	}
	wants(t, page, ">04:10<", "nothing happens until somebody acts", "limit reached", "0 of 2 approvals by sre", "(4) RED", "did not help")
}

// TestAnotherQuestionIsAnotherForm: an open page replaces the form, and does not put the
// new question under what somebody is typing for the old one.
func TestAnotherQuestionIsAnotherForm(t *testing.T) {
	forms := func(level int, ask string) []string {
		c := Card{Rollback: backout.Rollback{ID: "r", Frozen: plan(3), Level: level, Ask: &backout.Ask{ID: ask, Level: level + 1}}}
		var offers []Offer
		for _, answer := range []string{"hold", "approve", "deny", "escalate", "break_glass"} {
			offers = append(offers, Offer{Answer: answer, AskID: ask})
		}
		c.Offer(offers)
		var keys []string
		for _, a := range c.Actions {
			keys = append(keys, a.Key)
		}
		return keys
	}
	first, second := forms(0, "q1"), forms(1, "q2")
	for _, key := range second {
		if len(second) != 5 || slices.Contains(first, key) {
			t.Errorf("%v and %v share %s", first, second, key)
		}
	}
}

// TestAPausedRollbackHasNoClock: a deadline that does not run is no deadline.
func TestAPausedRollbackHasNoClock(t *testing.T) {
	page := render(t, Frame{}, Now{Rollbacks: []Card{{Rollback: backout.Rollback{
		ID: "r", Status: backout.RollbackRunning, PausedAt: now, PausedBy: "ann", LevelDeadline: now.Add(time.Minute), Frozen: plan(1),
		Targets: []backout.TargetState{{Name: "a", Phase: backout.TargetRecovered}, {Name: "b"}},
	}}}})
	wants(t, page, "no clock", "paused by ann", "1 of 2 targets back")
	if strings.Contains(page, "in 1m") || strings.Contains(page, "01:00") {
		t.Error("it shows a clock that stands still")
	}
}

// TestQuietIsSaidOnlyWhenItIsKnown: blind monitoring is not quiet.
func TestQuietIsSaidOnlyWhenItIsKnown(t *testing.T) {
	wants(t, render(t, Frame{}, Now{Watched: true, LastSeen: now.Add(-12 * time.Second)}), "All quiet", "12s ago", "all quiet · backout")
	wants(t, render(t, Frame{}, Now{}), "nothing would show that monitoring is down")
	blind := render(t, Frame{Blind: &Blind{Since: now}}, Now{Watched: true, Blind: true})
	wants(t, blind, "Monitoring is blind", "BLIND")
	if strings.Contains(blind, "All quiet") || strings.Contains(blind, "Nothing is red") {
		t.Error("a blind page says that all is quiet")
	}
}

// TestBannersStandOnEveryPage: what is wrong with the server is seen wherever one looks.
func TestBannersStandOnEveryPage(t *testing.T) {
	f := Frame{NotReady: "no storage", Paused: &Pause{By: "alice", Reason: "storm", At: now.Add(-90 * time.Second)}, Problem: "too late", MayResume: true}
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			wants(t, render(t, f, content("x")), "no storage", "Everything is paused", "alice", "1m30s ago", "storm", "too late", `value="resume"`)
		})
	}
}

// TestALivePageIsTheSameAsLongAsNothingHappens: or every page would be sent every time.
func TestALivePageIsTheSameAsLongAsNothingHappens(t *testing.T) {
	for name, content := range contents {
		var before, after strings.Builder
		f := Frame{Now: now, Nonce: "one", Paused: &Pause{At: now}}
		if err := WriteLive(&before, f, content("x")); err != nil {
			t.Fatal(err)
		}
		f.Now, f.Nonce = now.Add(time.Hour), "two"
		if err := WriteLive(&after, f, content("x")); err != nil {
			t.Fatal(err)
		}
		if before.String() != after.String() {
			t.Errorf("%s changes with the clock:\n%s\n%s", name, before.String(), after.String())
		}
	}
}

// TestThePolicyAllowsNothingByDefault: and no page has what its policy forbids.
func TestThePolicyAllowsNothingByDefault(t *testing.T) {
	for _, part := range []string{"default-src 'none'", "script-src 'nonce-n0nce'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(Policy("n0nce"), part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if strings.Contains(Policy("n"), "unsafe") {
		t.Error("the policy allows something unsafe")
	}
	for name, content := range contents {
		page := render(t, Frame{Nonce: "n0nce", Live: "/live"}, content("x"))
		// The name of the language of pictures is no address.
		page = strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, bad := range []string{" style=", "<style", " onclick=", " onload=", "javascript:", "http://", "https://"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		if scripts := strings.Count(page, "<script"); scripts == 0 || scripts != strings.Count(page, `<script nonce="n0nce" src="`) {
			t.Errorf("%s has a script without its nonce, or none at all", name)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailingWriterIsReported(t *testing.T) {
	if err := Write(brokenWriter{}, Frame{}, Now{}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// TestNoControlCharacters: what moves the cursor of a terminal, or turns the direction of
// reading, is on no page.
func TestNoControlCharacters(t *testing.T) {
	page := render(t, Frame{Problem: "a\x1b[2Jb\u202ec"}, Now{})
	if at := strings.IndexFunc(page, unfit); at >= 0 {
		t.Errorf("it holds %q", page[max(0, at-20):at+4])
	}
}
