package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
)

// approved is a site whose step waits for people: ann asks for the change, bob and cel
// may approve it.
func approved(t *testing.T, step *step, approval string) *site {
	t.Helper()
	plan := strings.Replace(step.plan(), "        escalate_after:", "        audience: [ops]\n        approval: "+approval+"\n        escalate_after:", 1)
	s := newSite(t, plan, autoRule, web1)
	s.approvers = ", {name: bob, groups: [sre], token: {file: secrets/bob.token}}, {name: cel, groups: [sre], token: {file: secrets/cel.token}}"
	s.quiet()
	return s
}

// asked opens the change, turns its target red, and returns what is asked.
func (srv *server) asked() (id string, ask backout.Ask) {
	t := srv.site.t
	t.Helper()
	srv.open("web-1")
	srv.mustPost(shopDown("web-1"))
	id = srv.awaitRollback(20 * time.Second)
	eventually(t, 20*time.Second, "it asks", func() error {
		r, err := srv.client.Rollback(t.Context(), id)
		if err == nil && r.Ask != nil {
			ask = *r.Ask
			return nil
		}
		return errors.Join(err, errNotYet)
	})
	return id, ask
}

// delivered waits until somebody has been told that the rollback asks.
func (srv *server) delivered(id string) {
	srv.site.t.Helper()
	eventually(srv.site.t, 20*time.Second, "the question is delivered", func() error {
		var all struct {
			Items []handlers.NoticeStatus `json:"items"`
		}
		if err := json.Unmarshal([]byte(srv.text("/api/v1/rollbacks/"+id+"/notices")), &all); err != nil {
			return err
		}
		for _, n := range all.Items {
			if n.Notice.Moment == backout.MomentApproval && n.Delivered {
				return nil
			}
		}
		return fmt.Errorf("%+v: %w", all, errNotYet)
	})
}

// vote answers the question as the holder of the token.
func (srv *server) vote(token, id, ask string, choice backout.Choice) error {
	srv.site.t.Helper()
	c, err := client.New(client.Options{Server: srv.url, Token: backout.SecretValue(token)})
	if err != nil {
		srv.site.t.Fatal(err)
	}
	_, err = c.Vote(srv.site.t.Context(), id, ask, choice, "e2e")
	return err
}

// times are when the events of that kind happened.
func times[E backout.Event](srv *server, id string) (at []time.Time) {
	srv.site.t.Helper()
	entries, err := srv.client.RollbackLog(srv.site.t.Context(), id)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			if _, is := ev.(E); is {
				at = append(at, entry.Record.At)
			}
		}
	}
	return at
}

// onTime wants one time, and that it is due, or within a second behind it.
func onTime(t testing.TB, what string, at []time.Time, due time.Time) {
	t.Helper()
	if len(at) != 1 {
		t.Fatalf("%s %d times, want once", what, len(at))
	}
	if late := at[0].Sub(due); late < 0 || late > time.Second {
		t.Errorf("%s %s after it was due, want within 1s", what, late)
	} else {
		t.Logf("%s %s after it was due", what, late.Round(time.Microsecond))
	}
}

// TestKill9InAVetoWindow: the level starts once, within a second of the window's end,
// or of the new server's start where that came later.
func TestKill9InAVetoWindow(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]bool{"within it": false, "until after it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := newStep(t)
			step.letGo()
			window := 8 * time.Second
			if over {
				window = 2 * time.Second
			}
			s := approved(t, step, fmt.Sprintf("{veto: %s}", window))
			srv := s.serve()
			id, ask := srv.asked()
			if n := count[backout.LevelEntered](srv, id); n != 0 && !over {
				t.Fatalf("%d levels begin within the window", n)
			}
			srv.delivered(id) // what arrives later gives people their time from then on
			srv.kill()
			if over {
				<-time.After(time.Until(ask.Deadline.Add(500 * time.Millisecond))) // the window is to end while nobody is there
			}
			began := time.Now()
			srv = s.serve()
			t.Logf("ready again in %s", srv.ready.Round(time.Millisecond))
			eventually(t, 30*time.Second, "the step has run", func() error { return notYet(step.finished() > 0) })
			at := times[backout.LevelEntered](srv, id)
			if up := began.Add(srv.ready); over && len(at) == 1 && at[0].After(began) && at[0].Before(up) {
				at[0] = up // before anybody could have asked it to
			}
			due := ask.Deadline
			if over && len(at) == 1 && at[0].After(began) {
				due = began.Add(srv.ready)
			}
			onTime(t, "the level began", at, due)
			if step.began() != 1 {
				t.Errorf("the step ran %d times, want once", step.began())
			}
			if n := count[backout.Answered](srv, id); n != 1 {
				t.Errorf("the question was answered %d times, want once", n)
			}
		})
	}
}

// TestKill9AfterAVote: a vote that was answered with yes is kept, and what follows from
// it happens once.
func TestKill9AfterAVote(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := approved(t, step, "{groups: [sre]}")
	srv := s.serve()
	id, ask := srv.asked()
	if err := srv.vote(bobToken, id, ask.ID, backout.ChoiceApprove); err != nil {
		t.Fatal(err)
	}
	srv.kill()
	srv = s.serve()
	eventually(t, 30*time.Second, "the step has run", func() error { return notYet(step.finished() > 0) })
	if step.began() != 1 || count[backout.LevelEntered](srv, id) != 1 || count[backout.Voted](srv, id) != 1 {
		t.Errorf("the step ran %d times, the level began %d times, %d votes: want once each", step.began(), count[backout.LevelEntered](srv, id), count[backout.Voted](srv, id))
	}
	err := srv.vote(celToken, id, ask.ID, backout.ChoiceDeny)
	if err == nil || !strings.Contains(err.Error(), "already decided by bob at ") {
		t.Errorf("a vote that comes too late: %v", err)
	}
	if n := count[backout.VoteRefused](srv, id); n != 1 {
		t.Errorf("%d refused votes are recorded, want 1", n)
	}
}

// TestKill9BetweenTwoVotes: the first is kept, the requester's does not count, and the
// second starts the level once.
func TestKill9BetweenTwoVotes(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := approved(t, step, "{groups: [sre], votes: 2}")
	srv := s.serve()
	id, ask := srv.asked()
	if err := srv.vote(bobToken, id, ask.ID, backout.ChoiceApprove); err != nil {
		t.Fatal(err)
	}
	srv.kill()
	srv = s.serve()
	if err := srv.vote(annToken, id, ask.ID, backout.ChoiceApprove); err == nil || !strings.Contains(err.Error(), "somebody else must approve") {
		t.Errorf("the requester's own vote: %v", err)
	}
	if err := srv.vote(bobToken, id, ask.ID, backout.ChoiceApprove); err == nil || !strings.Contains(err.Error(), "voted already") {
		t.Errorf("bob's second vote: %v", err)
	}
	if step.began() != 0 || count[backout.LevelEntered](srv, id) != 0 {
		t.Fatal("the level began with one vote of two")
	}
	if err := srv.vote(celToken, id, ask.ID, backout.ChoiceApprove); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the step has run", func() error { return notYet(step.finished() > 0) })
	if step.began() != 1 || count[backout.LevelEntered](srv, id) != 1 || count[backout.VoteRefused](srv, id) != 2 {
		t.Errorf("the step ran %d times, the level began %d times, %d refused votes", step.began(), count[backout.LevelEntered](srv, id), count[backout.VoteRefused](srv, id))
	}
}

// TestKill9BeforeAQuestionExpires: it expires once, within a second of its time, and
// starts nothing.
func TestKill9BeforeAQuestionExpires(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := approved(t, step, "{groups: [sre], votes: 2, expires: 8s}")
	srv := s.serve()
	id, ask := srv.asked()
	if err := srv.vote(bobToken, id, ask.ID, backout.ChoiceApprove); err != nil {
		t.Fatal(err)
	}
	srv.kill()
	srv = s.serve()
	srv.awaitStatus(id, backout.RollbackHeld, 30*time.Second)
	onTime(t, "the question expired", times[backout.HeldBack](srv, id), ask.Deadline)
	if step.began() != 0 {
		t.Errorf("the step ran %d times", step.began())
	}
}

// TestBreakGlassOnTheCommandLine: alone at night, and reviewed by somebody else.
func TestBreakGlassOnTheCommandLine(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := approved(t, step, "{groups: [sre], votes: 2}")
	srv := s.serve()
	id, _ := srv.asked()
	if code, _, said := srv.cli("rollback", "break-glass", id, "--level", "L2", "--reason", "alone"); code == 0 || !strings.Contains(said, "asks for L1") {
		t.Errorf("another level: exit code %d, %s", code, said)
	}
	srv.mustCLI("rollback", "break-glass", id, "--level", "L1", "--reason", "alone on call")
	eventually(t, 30*time.Second, "the step has run", func() error { return notYet(step.finished() > 0) })
	if show := srv.mustCLI("rollback", "show", id); !strings.Contains(show, "ann started L1 alone") || !strings.Contains(show, "rollback review "+id) {
		t.Errorf("rollback show does not ask for a review:\n%s", show)
	}
	if code, _, said := srv.cli("rollback", "review", id, "--reason", "I was right"); code == 0 || !strings.Contains(said, "somebody else must review") {
		t.Errorf("ann reviews herself: exit code %d, %s", code, said)
	}
	if code, stdout, said := run(t, []string{"BACKOUT_SERVER=" + srv.url, "BACKOUT_TOKEN=" + bobToken}, "rollback", "review", id, "--reason", "she was right"); code != 0 {
		t.Errorf("bob reviews: exit code %d\n%s%s", code, stdout, said)
	}
	if log := srv.mustCLI("rollback", "log", id); !strings.Contains(log, "break-glass reviewed") || !strings.Contains(log, "BREAK-GLASS: L1 starts with 0 of 2 votes") {
		t.Errorf("rollback log:\n%s", log)
	}
}
