package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestTheNightWhileNobodyCanBeTold: Slack, the mail server and ServiceNow are all away
// from before the alert until after the end. The rollback goes the same way, decided on
// the command line; then each of the three is told all of it, in order and once.
func TestTheNightWhileNobodyCanBeTold(t *testing.T) {
	t.Parallel()
	n := newNight(t, "{veto: 3s, on_channel_down: proceed}")
	srv := n.serve()
	alertmanager(t, n.am, srv)
	prometheus(t, n.shop, through(n.am))
	n.planned(srv)
	n.ann.mustCLI(srv, "change", "open", n.change)
	// The gate's no and the window, to the deciders and to the record.
	eventually(t, 30*time.Second, "the window is known", func() error {
		return notYet(len(n.chat.Messages(chatChannel)) == 2 && len(n.desk.Change(n.change).Notes) == 2)
	})
	for _, p := range []*onDuty{n.bob, n.cel} {
		p.login(srv)
	}
	for _, way := range n.ways {
		way.set(broken)
	}
	if out, err := exec.CommandContext(t.Context(), n.shop.bin("patch")).CombinedOutput(); err != nil {
		t.Fatalf("patch: %v\n%s", err, out)
	}
	patched := time.Now()
	id := srv.awaitRollback(30 * time.Second)
	n.votesByCLI(srv, id)
	n.isBack(srv, id)
	t.Logf("patched to recovered: %s", time.Since(patched).Round(time.Millisecond))
	if told := len(n.chat.Messages(chatChannel)) + len(mails(n.mail)) + len(n.desk.Change(n.change).Notes) + len(n.desk.Incidents()); told != 4 {
		t.Errorf("%d notices came through", told-4)
	}
	for _, way := range n.ways {
		way.set(whole)
	}
	back := time.Now()
	n.slackShows(id)
	n.deskShows(srv, id, "The window stays shut", "The window is open")
	n.mailShows()
	t.Logf("all is told %s after they are back", time.Since(back).Round(time.Millisecond))
}

// votesByCLI: the same two decide, and the same one is refused.
func (n *night) votesByCLI(srv *server, id string) {
	t := n.t
	t.Helper()
	eventually(t, 30*time.Second, "L2 is asked for", func() error {
		r, err := srv.client.Rollback(t.Context(), id)
		if err == nil && (r.Ask == nil || r.Ask.Level != 1) {
			err = fmt.Errorf("it is %s at level %d", r.Status, r.Level)
		}
		return err
	})
	approve := []string{"rollback", "approve", id, "--level", "L2"}
	if code, said := n.ann.cli(srv, approve...); code == 0 || !strings.Contains(said, "somebody else must approve") {
		t.Errorf("the requester's vote: exit code %d\n%s", code, said)
	}
	n.bob.mustCLI(srv, approve...)
	n.cel.mustCLI(srv, approve...)
	want := []string{
		"answered: unheld", "level begins", "refused ann: " + backout.RefusalExcluded + " by cli",
		"vote of bob: approve by cli", "vote of cel: approve by cli", "answered: approved", "level begins",
	}
	if got := decisions(srv, id); !slices.Equal(got, want) {
		t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
