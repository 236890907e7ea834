package e2e

import (
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// decisions are what the rollback's log has of people, questions and levels.
func decisions(srv *server, id string) (out []string) {
	srv.site.t.Helper()
	entries, err := srv.client.RollbackLog(srv.site.t.Context(), id)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			switch e := ev.(type) {
			case backout.Voted:
				out = append(out, "vote of "+e.Vote.User+": "+string(e.Vote.Choice)+" by "+e.Vote.Via)
			case backout.VoteRefused:
				out = append(out, "refused "+e.Vote.User+": "+e.Cause+" by "+e.Vote.Via)
			case backout.Answered:
				out = append(out, "answered: "+e.Outcome)
			case backout.LevelEntered:
				out = append(out, "level begins")
			}
		}
	}
	return out
}

// logShows: the rollback's log has both votes, by Slack, and all that was refused.
func (n *night) logShows(srv *server, id string) {
	n.t.Helper()
	account := func(p *onDuty) string {
		return "refused slack:" + chatTeam + "/" + p.slack + ": " + backout.RefusalUnmapped + " by slack"
	}
	want := []string{
		"answered: unheld", "level begins",
		account(n.dan), account(n.ann), account(n.bob), account(n.cel), "refused ann: " + backout.RefusalExcluded + " by slack",
		"vote of bob: approve by slack", "refused bob: " + backout.RefusalTwice + " by slack", "vote of cel: approve by slack", "answered: approved", "level begins",
		"refused bob: " + backout.RefusalTooLate + " by slack",
	}
	if got := decisions(srv, id); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		n.t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
