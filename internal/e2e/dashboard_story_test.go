package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/browsertest"
)

// TestDashboardStory is a night on call with nothing but a browser: ann sees red without
// touching the page, holds with one press, lets it go on; L1 does not help, L2 takes two
// votes, of which the requester's is none; ann and ben see it finish; and what the
// rollback left different is there to read.
func TestDashboardStory(t *testing.T) {
	t.Parallel()
	dutyStory(t, true)
}

// TestDashboardStoryWithoutScripts is the same with forms and reloads alone.
func TestDashboardStoryWithoutScripts(t *testing.T) {
	t.Parallel()
	dutyStory(t, false)
}

func dutyStory(t *testing.T, scripts bool) {
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	d := newDuty(t, 25*time.Second)
	am := freePort(t)
	d.more += "alertmanagers: [{url: \"http://" + am + "\"}]\nmonitoring: {watchdog: ['alertname=\"Watchdog\"'], missing_after: 1m, audience: [ops]}\n"
	srv := d.serve()
	d.watched(am, srv)
	ann, ben, cy := srv.looks("ann", scripts), srv.looks("ben", scripts), srv.looks("cy", scripts)
	ann.signsIn()
	ann.sees(named("h1", "All quiet"))
	ann.sees(named(".calm", "Monitoring was last heard"))
	ann.judged()

	ann.mark()
	d.patched(d.change, "web shop 2.0", "web-1")
	id := srv.awaitRollback(30 * time.Second)
	ann.sees(named("article", "L1 (uninstall the patch) starts"))
	ann.late(srv, id)
	if scripts != ann.marked() {
		t.Errorf("ann's page was loaded again: %v, and scripts run: %v", !ann.marked(), scripts)
	}
	ann.holdsAndGoesOn(srv, id)
	ann.judged()

	for _, p := range []*look{ben, cy} {
		p.signsIn()
	}
	ann.votesOnL2(srv, id, ben, cy)
	for _, p := range []*look{ann, ben} {
		p.sees(named("h1", "All quiet"))
	}
	srv.awaitStatus(id, backout.RollbackRecovered, time.Second)
	if u, r := d.shop.effects("uninstall"), d.shop.effects("restore"); u != 1 || r != 1 {
		t.Errorf("uninstall ran %d times, restore %d times, want once each", u, r)
	}
	ann.readsTheDrift(d, id)
}

// late measures how long after the rollback was opened ann sees it.
func (l *look) late(srv *server, id string) {
	l.t.Helper()
	opened := times[backout.Opened](srv, id)
	if len(opened) != 1 {
		l.t.Fatalf("the rollback was opened %d times", len(opened))
	}
	l.t.Logf("%s sees it at most %s after it was opened", l.name, time.Since(opened[0]).Round(time.Millisecond))
}

// holdsAndGoesOn: one press holds, and L1 does not start; another lets it go on.
func (l *look) holdsAndGoesOn(srv *server, id string) {
	t := l.t
	t.Helper()
	l.Follow(named(".actions > form button", "Hold"))
	l.sees(named("article .state", "held"))
	r := srv.awaitStatus(id, backout.RollbackHeld, time.Second)
	if !strings.HasPrefix(r.HeldReason, "held by ann") || r.Level >= 0 {
		t.Errorf("held at level %d: %q", r.Level, r.HeldReason)
	}
	if l.Has(named(".actions button", "Hold")) {
		t.Error("what is held is offered to be held")
	}
	l.judged()
	l.does("Let it go on", "I have looked")
	l.sees(named("article", "L1 (uninstall the patch) starts"))
}

// votesOnL2: ann's vote and ben's start it, each given once; cy, who asked for the change,
// is offered none, and refused when it is sent all the same.
func (l *look) votesOnL2(srv *server, id string, ben, cy *look) {
	t := l.t
	t.Helper()
	for _, p := range []*look{l, ben, cy} {
		p.sees(named("article", "0 of 2 approvals by sre"))
	}
	ask := srv.rollback(id).Ask
	l.sees(named("details summary", "Approve L2"))
	if cy.Has(named("summary", "Approve")) {
		t.Error("the requester is offered to approve")
	}
	cy.sends("/rollbacks/"+id+"/answer", map[string]string{"answer": "approve", "ask_id": ask.ID, "back": "now"}, http.StatusUnprocessableEntity, "somebody else must approve")
	if again := browsertest.Eval[[]string](cy.Page, `[...document.querySelectorAll("meta[http-equiv=refresh]")].map((m) => m.content)`); !cy.scripts && len(again) > 0 {
		t.Errorf("a no is loaded away by %q before it is read", again)
	}
	l.does("Approve L2", "the shop loses money")
	l.sees(named("article", "1 of 2 approvals by sre"))
	if l.Has(named("summary", "Approve")) {
		t.Error("who has voted is offered to vote again")
	}
	ben.sees(named("article", "1 of 2 approvals by sre"))
	ben.does("Approve L2", "")
	want := []string{"answered: held", "refused cy: " + backout.RefusalExcluded + " by dashboard", "vote of ann: approve by dashboard", "vote of ben: approve by dashboard", "answered: approved"}
	got := slices.DeleteFunc(decisions(srv, id), func(line string) bool { return line == "level begins" || line == "answered: unheld" })
	if !slices.Equal(got, want) {
		t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// readsTheDrift finds its way from the first page to what the rollback left different.
func (l *look) readsTheDrift(d *duty, id string) {
	t := l.t
	t.Helper()
	l.Follow(named("nav a", "Rollbacks"))
	l.judged()
	l.Follow("main a[href='/rollbacks/" + id + "']")
	l.sees(named("article .state", "recovered"))
	for _, want := range []string{"did not help", "ErrorsAfterPatch", "ShopDown", "1 of 1 target back", "approved", "ann", "ben"} {
		if says := l.Text("main"); !strings.Contains(says, want) {
			t.Errorf("the page of the rollback does not say %q:\n%s", want, says)
		}
	}
	l.judged()
	l.Follow(named(".grid a", "healthy but drifted"))
	if h1 := l.Text("h1"); !strings.Contains(h1, "web-1") || !strings.Contains(h1, "healthy but drifted") {
		t.Errorf("the report is headed %q", h1)
	}
	if differs := l.Texts(".diff > li"); len(differs) != 1 || !strings.Contains(differs[0], d.shop.dir+"/shop/whats-new") {
		t.Errorf("it says that these differ: %q", differs)
	}
	l.judged()
}

// rollback is the rollback as it stands.
func (srv *server) rollback(id string) backout.Rollback {
	srv.site.t.Helper()
	r, err := srv.client.Rollback(srv.site.t.Context(), id)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	return r
}
