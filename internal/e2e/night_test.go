package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	buttons "github.com/backout-io/backout/notifier/slack"
)

// TestTheNight is the whole story: red after a patch, L1 by its veto window, which does
// not help, L2 by two votes of three in Slack, one of the three refused because they
// asked for the change; and ServiceNow shows it all.
func TestTheNight(t *testing.T) {
	t.Parallel()
	n := newNight(t, "{veto: 8s}")
	srv := n.serve()
	alertmanager(t, n.am, srv)
	prometheus(t, n.shop, through(n.am))
	n.planned(srv)
	n.ann.mustCLI(srv, "change", "run", n.change, "--", n.shop.bin("patch"))
	patched := time.Now()
	id := srv.awaitRollback(30 * time.Second)
	n.vetoWindow(srv, id)
	n.votes(srv, id)
	n.isBack(srv, id)
	t.Logf("patched to recovered: %s", time.Since(patched).Round(time.Millisecond))

	n.slackShows(id)
	n.logShows(srv, id)
	n.deskShows(srv, id, "The window stays shut", "The window is open")
	n.mailShows()
}

// planned makes ann's change, whose window stays shut before ServiceNow has approved it.
func (n *night) planned(srv *server) {
	t := n.t
	t.Helper()
	n.ann.login(srv)
	n.ann.mustCLI(srv, "change", "create", "--id", n.change, "--title", "web shop 2.0", "--plan", "web-shop", "--opens", "now", "--closes", "+1h", "--watch", "1h",
		"--owner", "ann", "--target", "web-1", "--patch-id", "shop-2.0", "--cve", "CVE-2026-0001")
	n.record("requested")
	if code, said := n.ann.cli(srv, "change", "run", n.change, "--", n.shop.bin("patch")); code != 3 || !strings.Contains(said, `it says "Requested"`) {
		t.Fatalf("a change that is not approved: exit code %d\n%s", code, said)
	}
	if n.shop.effects("patch") != 0 {
		t.Fatal("the patch ran before the change was approved")
	}
	n.desk.Set(n.change, map[string]string{"approval": "approved", "state": "-2"})
}

// vetoWindow: L1 starts at the end of its window, since nobody holds it.
func (n *night) vetoWindow(srv *server, id string) {
	t := n.t
	t.Helper()
	card := n.cardSays("is red: L1 starts", "unless held")
	if b := card.Buttons(); slices.Contains(b, buttons.ActionApprove) || !slices.Contains(b, buttons.ActionHold) {
		t.Errorf("buttons within the veto window: %q", b)
	}
	r, err := srv.client.Rollback(t.Context(), id)
	if err != nil || r.Ask == nil || r.Ask.Level != 0 || len(r.Evidence) != 1 || r.Evidence[0].Name != "ShopDown" {
		t.Fatalf("no question about L1 with one alert: %+v, %v", r, err)
	}
	if since := r.OpenedAt.Sub(r.Evidence[0].StartsAt); since < 0 || since > 20*time.Second {
		t.Errorf("opened %s after the alert began", since)
	}
	if after := card.PostedAt.Sub(r.OpenedAt); after > 2*time.Second {
		t.Errorf("the card came %s after red, want 2s at most", after)
	} else {
		t.Logf("the card came %s after red", after.Round(time.Millisecond))
	}
	red := fmt.Sprintf("<!date^%d^", r.Evidence[0].StartsAt.Unix())
	for _, want := range []string{r.Ask.Deadline.UTC().Format("15:04:05 UTC"), red, "ShopDown", "web shop 2.0", "CVE-2026-0001", "uninstall"} {
		if text := wholeText(card); !strings.Contains(text, want) {
			t.Errorf("the card does not say %q:\n%s", want, text)
		}
	}
	eventually(t, 20*time.Second, "L1 has run", func() error { return notYet(n.shop.effects("uninstall") == 1) })
	onTime(t, "L1 began", times[backout.LevelEntered](srv, id)[:1], r.Ask.Deadline)
}

// votes: whoever is not known, and whoever asked for the change, decides nothing; two
// others do, once each.
func (n *night) votes(srv *server, id string) {
	t := n.t
	t.Helper()
	card := n.cardSays("L2 waits for 2 of 2 votes", "Can approve: sre", "May not approve: ann, paul", "orders since the snapshot")
	const unknown = "linked to nobody yet"
	n.press(n.dan, card, buttons.ActionApprove, unknown)
	for _, p := range []*onDuty{n.ann, n.bob, n.cel} {
		said := n.press(p, card, buttons.ActionApprove, unknown)
		p.link(linkIn(t, said))
	}
	n.press(n.ann, card, buttons.ActionApprove, "somebody else must approve")
	n.press(n.bob, card, buttons.ActionApprove, "")
	after := n.cardSays("L2 waits for 1 of 2 votes", "bob approved")
	if after.TS != card.TS || after.Edits <= card.Edits {
		t.Errorf("the card was not edited in place: %+v, then %+v", card, after)
	}
	if n.shop.effects("restore") != 0 || count[backout.LevelEntered](srv, id) != 1 {
		t.Fatal("L2 began with one vote of two")
	}
	n.press(n.bob, after, buttons.ActionApprove, "voted already")
	n.press(n.cel, after, buttons.ActionApprove, "")
	n.cardSays("rolls back: L2")
	// A phone that has not loaded the card anew.
	n.press(n.bob, after, buttons.ActionApprove, "already approved by cel")
}

// isBack: the shop answers again, and each level has had its effect once.
func (n *night) isBack(srv *server, id string) {
	t := n.t
	t.Helper()
	srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	if err := get("http://"+n.shop.addr+"/health", 200); err != nil {
		t.Errorf("the shop is not back: %v", err)
	}
	if u, r := n.shop.effects("uninstall"), n.shop.effects("restore"); u != 1 || r != 1 {
		t.Errorf("uninstall ran %d times, restore %d times, want once each", u, r)
	}
}
