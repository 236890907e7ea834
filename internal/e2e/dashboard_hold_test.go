package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/browsertest"
)

// redTargets is a server with a rollback of its own on each of so many targets, all within
// the window in which they can be held.
func redTargets(t *testing.T, n int) (*duty, *server, []string) {
	t.Helper()
	shop := newShop(t)
	var inventory strings.Builder
	inventory.WriteString("targets:\n")
	for i := range n {
		fmt.Fprintf(&inventory, "  - {name: web-%d, address: 127.0.0.1, transport: local, labels: {team: web}}\n", i+1)
	}
	d := dutyAt(t, shop, dutyPlan(shop, 10*time.Minute), inventory.String())
	srv := d.serve()
	ids := make([]string, n)
	for i := range n {
		change, target := fmt.Sprintf("%s-%d", d.change, i+1), fmt.Sprintf("web-%d", i+1)
		d.patched(change, "web shop 2.0", target)
		srv.mustPost(shopDown(target))
		ids[i] = change + "-r1"
		eventually(t, 30*time.Second, "the rollback asks", func() error {
			r, err := srv.client.Rollback(t.Context(), ids[i])
			return firstOf(err, notYet(r.Ask != nil))
		})
	}
	return d, srv, ids
}

// hold is the button on the card of a rollback.
func hold(id string) string { return named("#"+id+" .actions > form button", "Hold") }

// TestDashboardHold: however it is pressed, it is held once.
func TestDashboardHold(t *testing.T) {
	t.Parallel()
	_, srv, ids := redTargets(t, 5)
	ann, dee := srv.looks("ann", true), srv.looks("dee", true)
	ann.signsIn()

	t.Run("by a double click", func(t *testing.T) {
		ann.doubleHold(t, srv, ids[0])
	})
	t.Run("by a double click without scripts", func(t *testing.T) {
		ben := srv.looks("ben", false)
		ben.signsIn()
		ben.doubleHold(t, srv, ids[1])
	})
	t.Run("on two screens", func(t *testing.T) {
		one, two := srv.looks("ben", false), srv.looks("ben", false)
		for _, p := range []*look{one, two} {
			p.signsIn()
		}
		for _, p := range []*look{one, two} {
			p.Follow(hold(ids[2]))
			if p.Path() != "/" || p.Has(named("main", "Not done")) {
				t.Errorf("it leads to %s:\n%s", p.Path(), p.Text("main"))
			}
		}
		heldOnce(t, srv, ids[2], "ben")
	})
	t.Run("by the keyboard alone", func(t *testing.T) {
		p := ann.With(t)
		p.Go("/")
		p.TabTo(hold(ids[3]))
		if on := p.Focused(); on.Text != "Hold" || !on.Visible {
			t.Errorf("the focus is %+v", on)
		}
		p.Press("Enter")
		p.WaitFor(named("#"+ids[3]+" .state", "held"))
		heldOnce(t, srv, ids[3], "ann")
	})
	t.Run("not by who may only look", func(t *testing.T) {
		dee.signsIn()
		dee.WaitFor("#" + ids[4])
		if buttons := dee.Texts("main form button, main summary"); len(buttons) > 0 {
			t.Errorf("dee, who may only look, is offered %q", buttons)
		}
		ask := srv.rollback(ids[4]).Ask
		for _, answer := range []string{"hold", "approve", "deny", "escalate", "pause", "abort", "break_glass"} {
			dee.Go("/")
			dee.sends("/rollbacks/"+ids[4]+"/answer", map[string]string{"answer": answer, "ask_id": ask.ID, "reason": "because", "back": "now"}, http.StatusForbidden, "takes the role")
		}
		dee.Go("/")
		dee.sends("/pause", map[string]string{"do": "pause", "reason": "because"}, http.StatusForbidden, "takes the role")
		if r := srv.rollback(ids[4]); r.Ask == nil || r.Ask.ID != ask.ID || len(r.Ask.Votes) > 0 || !r.PausedAt.IsZero() {
			t.Errorf("dee has done something: %+v", r)
		}
	})
}

// doubleHold presses twice and wants one record.
func (l *look) doubleHold(t *testing.T, srv *server, id string) {
	t.Helper()
	p := &look{Page: l.With(t), t: t, name: l.name, scripts: l.scripts}
	p.Go("/")
	p.DoubleClick(hold(id))
	p.sees(named("#"+id+" .state", "held"))
	if p.Has(named("main", "Not done")) {
		t.Errorf("the second press is told to be a mistake:\n%s", p.Text("main"))
	}
	heldOnce(t, srv, id, l.name)
	if got := decisions(srv, id); l.scripts && len(got) != 1 {
		t.Errorf("the log has %q, want one record", got)
	}
}

// heldOnce wants one hold in the log.
func heldOnce(t *testing.T, srv *server, id, by string) {
	t.Helper()
	r := srv.rollback(id)
	if r.Status != backout.RollbackHeld || r.HeldCause != backout.HoldPerson || !strings.HasPrefix(r.HeldReason, "held by "+by) {
		t.Errorf("it is %s, %s: %s", r.Status, r.HeldCause, r.HeldReason)
	}
	if held := count[backout.HeldBack](srv, id); held != 1 {
		t.Errorf("it was held %d times, want once", held)
	}
}

// TestDashboardClock: whatever the clock of the laptop says, the countdown is the
// server's.
func TestDashboardClock(t *testing.T) {
	t.Parallel()
	_, srv, ids := redTargets(t, 1)
	deadline := srv.rollback(ids[0]).Ask.Deadline
	for name, off := range map[string]time.Duration{"right": 0, "two hours ahead": 2 * time.Hour, "two hours behind": -2 * time.Hour, "of another year": 400 * 24 * time.Hour} {
		p := srv.looks("ann", true)
		if off != 0 {
			p.Clock(off)
		}
		p.TimeZone("Pacific/Auckland")
		p.signsIn()
		const shown = `document.querySelector("[data-lead] time.count").textContent`
		before := browsertest.Eval[string](p.Page, shown)
		p.Until("the countdown goes on", fmt.Sprintf("%s !== %q", shown, before))
		var minutes, seconds time.Duration
		if _, err := fmt.Sscanf(browsertest.Eval[string](p.Page, shown), "%d:%d", &minutes, &seconds); err != nil {
			t.Fatalf("a clock that is %s: %v", name, err)
		}
		left := minutes*time.Minute + seconds*time.Second
		if wrong := left - time.Until(deadline); wrong.Abs() > 3*time.Second {
			t.Errorf("a clock that is %s: the countdown is wrong by %s", name, wrong)
		}
		if title := browsertest.Eval[string](p.Page, "document.title"); !strings.Contains(title, "(1) RED") || !strings.Contains(title, ":") {
			t.Errorf("the tab says %q", title)
		}
	}
}
