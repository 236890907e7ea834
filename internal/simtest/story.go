package simtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

// story is what happened in a world, in order: what was done, which faults came,
// what the logs took down, what the targets saw.
type story struct {
	begin time.Time

	mu    sync.Mutex
	lines []line
}

type line struct {
	at   time.Time
	kind string
	text string
}

func newStory() *story { return &story{begin: time.Now()} }

// note takes a line down. A nil story takes nothing.
func (s *story) note(kind, format string, args ...any) {
	if s == nil {
		return
	}
	s.add(line{time.Now(), kind, fmt.Sprintf(format, args...)})
}

func (s *story) add(l line) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
}

// sorted are the lines by time; those of one moment as they came.
func (s *story) sorted() []line {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.lines)
	slices.SortStableFunc(out, func(a, b line) int { return a.at.Compare(b.at) })
	return out
}

// String is the story for people: how long after its begin, what kind, what.
func (s *story) String() string {
	var b strings.Builder
	for _, l := range s.sorted() {
		fmt.Fprintf(&b, "%12s  %-7s %s\n", l.at.Sub(s.begin).Round(time.Millisecond), l.kind, l.text)
	}
	return b.String()
}

// Write implements [io.Writer] for the servers' own logs.
func (s *story) Write(p []byte) (int, error) {
	s.note("log", "%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

// tell says in a few words what an event is about.
func tell(ev backout.Event) string {
	switch e := ev.(type) {
	case backout.LevelEntered:
		return fmt.Sprintf("level_entered L%d %v %s", e.Level+1, e.Targets, e.Reason)
	case backout.LevelFailed:
		return fmt.Sprintf("level_failed L%d %s", e.Level+1, e.Cause)
	case backout.StepRequested:
		return "step_requested " + e.AttemptID
	case backout.StepStarted:
		return "step_started " + e.AttemptID + " by " + e.Runner
	case backout.StepTakenOver:
		return "step_taken_over " + e.AttemptID + " by " + e.Runner + " from " + e.From
	case backout.StepDone:
		return "step_done " + e.AttemptID
	case backout.StepFailed:
		return "step_failed " + e.AttemptID + ": " + e.Reason
	case backout.StepInDoubt:
		return "step_in_doubt " + e.AttemptID + ": " + e.Reason
	case backout.DoubtResolved:
		return "doubt_resolved " + e.AttemptID + " " + e.Verdict + " by " + e.By
	case backout.StopRequested:
		return fmt.Sprintf("stop_requested %s unstarted=%t", e.AttemptID, e.Unstarted)
	case backout.Asked:
		return fmt.Sprintf("asked %s for L%d", e.Ask.ID, e.Ask.Level+1)
	case backout.Voted:
		return fmt.Sprintf("voted %s %s %s", e.AskID, e.Vote.User, e.Vote.Choice)
	case backout.Answered:
		return "answered " + e.AskID + " " + e.Outcome
	case backout.VoteRefused:
		return fmt.Sprintf("vote_refused %s %s %s: %s", e.AskID, e.Vote.User, e.Cause, e.Reason)
	case backout.ApprovalVoided:
		return "approval_voided " + e.AskID + ": " + e.Reason
	case backout.HeldBack:
		return fmt.Sprintf("held_back %s: %s", e.Cause, e.Reason)
	case backout.TargetGreen:
		return "target_green " + e.Target
	case backout.TargetRed:
		return "target_red " + e.Target + ": " + e.Reason
	case backout.TargetBack:
		return "target_back " + e.Target
	case backout.Ended:
		return fmt.Sprintf("ended %s: %s", e.Status, e.Reason)
	case backout.Opened:
		return fmt.Sprintf("opened for %v", e.Targets)
	case backout.RollbackRequested:
		return fmt.Sprintf("rollback_requested %s for %v", e.Opened.RollbackID, e.Opened.Targets)
	case backout.RollbackEnded:
		return fmt.Sprintf("rollback_ended %s %s", e.RollbackID, e.Status)
	}
	return ev.Kind()
}
