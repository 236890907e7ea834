package ui

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestTheNextDeadlineLeads: what is held stands first, and the clock in the browser's tab
// and the Hold under the thumb are those of what is due first.
func TestTheNextDeadlineLeads(t *testing.T) {
	held := Card{Rollback: backout.Rollback{ID: "held", Status: backout.RollbackHeld, Frozen: plan(3)}}
	asking := Card{Rollback: backout.Rollback{ID: "asking", Status: backout.RollbackAwaiting, Frozen: plan(3), Ask: &backout.Ask{Level: 1, Deadline: now.Add(time.Minute)}}}
	running := Card{Rollback: backout.Rollback{ID: "running", Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Hour)}}
	for want, cards := range map[string][]Card{"asking": {held, asking, running}, "running": {running}, "held": {held, held}} {
		page := render(t, Frame{}, Now{Rollbacks: cards})
		if strings.Count(page, "data-lead") != 1 || !regexp.MustCompile(`id="`+want+`" data-lead`).MatchString(page) {
			t.Errorf("with %d cards %s does not lead, or not alone:\n%s", len(cards), want, page)
		}
	}
}

// TestAButtonSaysWhichRollbackItIsOf: to who hears the page one Hold is like the other, and
// on a phone one stands away from its card. What is seen of a button is in its name.
func TestAButtonSaysWhichRollbackItIsOf(t *testing.T) {
	ids := []string{"CHG1-r1", "CHG2-r1"}
	var cards []Card
	for _, id := range ids {
		card := Card{Rollback: backout.Rollback{ID: id, Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Minute)}}
		card.Offer([]Offer{{Answer: "hold"}, {Answer: "abort"}})
		cards = append(cards, card)
	}
	one, two := render(t, Frame{}, Now{Rollbacks: cards[:1]}), render(t, Frame{}, Now{Rollbacks: cards})
	wants(t, one, `aria-label="Hold CHG1-r1">Hold</button>`)
	for _, id := range ids {
		wants(t, two, `aria-label="What you can do about `+id+`"`, `aria-label="Hold `+id+`">Hold<span class="which"> `+id+`</span></button>`, `aria-label="Abort… `+id+`">Abort…</summary>`)
	}
}

var (
	alertOpens = regexp.MustCompile(`<(\w+)[^>]* role="alert"[^>]*>`)
	textField  = regexp.MustCompile(`<(textarea|select|input (?:id|name|type="(?:search|checkbox)"))`)
)

// TestNoClockRunsInAnAlert: what changes in it is read aloud again, each second.
func TestNoClockRunsInAnAlert(t *testing.T) {
	f := Frame{Blind: &Blind{Since: now.Add(-time.Minute), LastSeen: now.Add(-2 * time.Minute)}, Paused: &Pause{By: "ann", Reason: "storm", At: now.Add(-time.Minute)}}
	for name, content := range contents {
		page := render(t, f, content("x"))
		wants(t, page, "Monitoring is blind", "Everything is paused", "1m ago", "2026-11-23 01:58:00 UTC")
		alerts := alertOpens.FindAllStringSubmatchIndex(page, -1)
		if len(alerts) < 2 {
			t.Errorf("%s has %d alerts, want both", name, len(alerts))
		}
		for _, at := range alerts {
			said, _, _ := strings.Cut(page[at[1]:], "</"+page[at[2]:at[3]]+">")
			if strings.Contains(said, "<time") {
				t.Errorf("%s counts in an alert: %s", name, said)
			}
		}
	}
}

// TestAPageOnWhichOneTypesIsNotLoadedAgain: without scripts that would take away what
// somebody is typing, or the no that they are reading.
func TestAPageOnWhichOneTypesIsNotLoadedAgain(t *testing.T) {
	acting := Card{Rollback: backout.Rollback{ID: "r", Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Minute)}}
	acting.Offer([]Offer{{Answer: "abort"}})
	pages := map[string]Content{
		"now, quiet": Now{}, "now, to look at": Now{Rollbacks: []Card{{Rollback: acting.Rollback}}}, "now, to act": Now{Rollbacks: []Card{acting}},
		"rollback, to look at": Rollback{Card: Card{Rollback: acting.Rollback}}, "rollback, to act": Rollback{Card: acting},
	}
	for name, content := range contents {
		pages[name] = content("x")
	}
	both := map[bool]int{}
	for name, content := range pages {
		f := Frame{Base: "/b", Path: "/page", Live: "/live", Nonce: "n"}
		page := render(t, f, content)
		typed := textField.MatchString(page)
		both[typed]++
		const refresh, says = `http-equiv="refresh" content="30; url=/b/page"`, "This page comes again every 30 s"
		if strings.Contains(page, refresh) == typed || strings.Contains(page, says) == typed {
			t.Errorf("%s: that something can be typed is %v, and that it comes again the same, or it says so", name, typed)
		}
		wants(t, page, `<a href="/b/page">load it now</a>`)
		f.Again = true
		wants(t, render(t, f, content), `content="30; url=/b/page?again=1"`, `<a href="/b/page">let it stand still</a>`)
		f.Problem = "too late"
		if page = render(t, f, content); strings.Contains(page, "refresh") || strings.Contains(page, says) {
			t.Errorf("%s: a no is loaded away", name)
		}
	}
	again := render(t, Frame{Path: "/rules?mode=auto", Live: "/live"}, pages["now, to act"])
	wants(t, again, `does not come again by itself: <a href="/rules?mode=auto">load it now</a>, or <a href="/rules?mode=auto&amp;again=1">every 30 s</a>`)
	if both[true] < 5 || both[false] < 4 {
		t.Errorf("pages by whether something can be typed: %v", both)
	}
	if page := render(t, Frame{Live: "/live", MayPause: true}, Now{}); strings.Contains(page, "refresh") {
		t.Error("the reason of a pause is loaded away")
	}
}

// TestEnterGivesNoneOfSeveralAnswers: a form is sent at Enter by its first button, and not
// at all when that is disabled.
func TestEnterGivesNoneOfSeveralAnswers(t *testing.T) {
	card := Card{Rollback: backout.Rollback{ID: "r", Status: backout.RollbackHeld, Frozen: plan(3)}}
	card.Offer([]Offer{{Answer: "hold"}, {Answer: "release"}, {Answer: "resolve", AttemptID: "a1", Target: "web-1"}})
	page := render(t, Frame{}, Now{Rollbacks: []Card{card}})
	button := regexp.MustCompile(`<button[^>]*>`)
	for _, form := range strings.Split(page, "<form ")[1:] {
		form, _, _ = strings.Cut(form, "</form>")
		buttons := button.FindAllString(form, -1)
		if blocked := buttons[0] == `<button type="submit" disabled hidden>`; blocked != (len(buttons) > 2) {
			t.Errorf("Enter presses %q of %q", buttons[0], buttons)
		}
	}
	wants(t, page, `value="happened"`, `value="did_not"`, `value="failed"`)
}

// TestTheRollbacksOfAChangeAreCountedAsShown: not those that whoever looks may not see.
func TestTheRollbacksOfAChangeAreCountedAsShown(t *testing.T) {
	c := Change{Change: backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1"}, Rollbacks: make([]backout.RollbackRef, 5)}, Rollbacks: []Card{{Rollback: backout.Rollback{ID: "r", Frozen: plan(1)}}}, MoreRollbacks: 2}
	wants(t, render(t, Frame{}, c), `<h2 id="rollbacks">3 rollbacks</h2>`)
	c.MoreRollbacks = 0
	wants(t, render(t, Frame{}, c), `<h2 id="rollbacks">1 rollback</h2>`)
}
