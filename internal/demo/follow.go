package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
)

// awaitRollback waits until the alert has opened a rollback.
func (s *story) awaitRollback(ctx context.Context) (string, error) {
	deadline, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		list, err := s.client.ListRollbacks(deadline, handlers.RollbackFilter{ChangeID: changeID})
		if err == nil && len(list) > 0 {
			return list[0].ID, nil
		}
		select {
		case <-deadline.Done():
			return "", fmt.Errorf("no rollback was opened: %w", context.Cause(deadline))
		case <-ticker.C:
		}
	}
}

// follow prints the rollback's log as it grows, and returns how it ended.
func (s *story) follow(ctx context.Context, id string) (backout.RollbackStatus, error) {
	deadline, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	var status backout.RollbackStatus
	err := s.client.FollowRollback(deadline, id, 0, client.Watcher{Entry: func(entry handlers.LogEntry) error {
		for _, ev := range entry.Record.Events {
			if line := eventLine(ev); line != "" {
				s.say("rollback     %s", line)
			}
			if _, held := ev.(backout.HeldBack); held {
				s.fromElsewhere("release")
			}
			s.touched = s.touched || byPeople(ev)
			if ended, ok := ev.(backout.Ended); ok {
				status = ended.Status
			}
		}
		return nil
	}})
	if err != nil {
		return status, fmt.Errorf("follow rollback %s: %w", id, err)
	}
	return status, nil
}

// byPeople tells of what a person did. The pipeline does nothing to a rollback.
func byPeople(ev backout.Event) bool {
	switch ev := ev.(type) {
	case backout.Voted, backout.AbortRequested:
		return true
	case backout.HeldBack:
		return ev.By != ""
	case backout.LevelFailed:
		return ev.By != ""
	}
	return false
}

// fromElsewhere says how to use the command line on the demo's server.
func (s *story) fromElsewhere(verb string) {
	s.say("               export BACKOUT_SERVER=http://%s BACKOUT_TOKEN_FILE=%s", s.at, s.tokenFile(s.people[0]))
	s.say("               go run ./cmd/backout rollback %s %s-r1", verb, changeID)
}

// patience is how long the rollback may take: somebody who looks at the channel may
// hold it.
func (s *story) patience() time.Duration {
	if s.o.Exit {
		return 2 * time.Minute
	}
	return 30 * time.Minute
}

// awaitNotices gives the last notices the time to arrive.
func (s *story) awaitNotices(ctx context.Context) {
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for deadline.Err() == nil {
		if waiting, err := s.client.Notices(deadline); err == nil && len(waiting) == 0 {
			return
		}
		select {
		case <-deadline.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// eventLine puts an event in words; "" for what would only repeat another.
func eventLine(ev backout.Event) string {
	switch ev := ev.(type) {
	case backout.Opened:
		return fmt.Sprintf("%s opened for %s by rule %s", ev.RollbackID, strings.Join(ev.Targets, ", "), ev.Trigger.Verdict.Rule)
	case backout.LevelEntered:
		return fmt.Sprintf("L%d starts", ev.Level+1)
	case backout.StepStarted:
		return "step started on " + ev.Target + ": attempt " + ev.AttemptID
	case backout.ClockStarted:
		return "the clock of the level runs until " + ev.Deadline.Local().Format(time.TimeOnly)
	case backout.StepDone:
		return fmt.Sprintf("step done on %s: exit %d", ev.Target, ev.Outcome.ExitCode)
	case backout.StepFailed:
		return "step failed on " + ev.Target + ": " + ev.Reason
	case backout.TargetRed:
		return ev.Target + " is red: " + ev.Reason
	case backout.TargetGreen:
		return ev.Target + " is green; it must stay so"
	case backout.TargetBack:
		return ev.Target + " has recovered"
	case backout.LevelFailed:
		return fmt.Sprintf("L%d did not help (%s): escalating", ev.Level+1, ev.Cause)
	case backout.HeldBack:
		return ev.Reason + "; it goes on once somebody releases it, on the dashboard or from another terminal:"
	case backout.Released:
		return "goes on"
	case backout.Asked:
		return fmt.Sprintf("L%d starts at %s unless somebody holds it: on the dashboard, or on its card in Slack", ev.Ask.Level+1, ev.Ask.Deadline.Local().Format(time.TimeOnly))
	case backout.Voted:
		return fmt.Sprintf("%s says %s by %s", ev.Vote.User, ev.Vote.Choice, ev.Vote.Via)
	case backout.Ended:
		return string(ev.Status) + ": " + ev.Reason
	}
	return ""
}
