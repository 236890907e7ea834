package rollback

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

var update = flag.Bool("update", false, "write what the stories print now; read the difference before you commit it")

// TestStories replays testdata/*.story. A line that starts with ">" is an input,
// the lines below it are all that follows: events, notices, state. The plan is
// told in the "plan" lines at the top. Each file is named after its promise.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.story")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".story"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(data), got); diff != "" {
				t.Errorf("the story goes differently (-file +now):\n%s", diff)
			}
		})
	}
}

var storyStart = time.Date(2026, 1, 2, 2, 3, 0, 0, time.UTC)

type storyteller struct {
	t    *testing.T
	plan backout.Plan
	r    backout.Rollback
	now  time.Time
	seq  uint64
	out  strings.Builder
}

func replay(t *testing.T, story string) string {
	t.Helper()
	s := &storyteller{t: t, now: storyStart, plan: backout.Plan{
		Name: "web", Author: "paul", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{Every: backout.Duration(15 * time.Second), HoldFor: backout.Duration(2 * time.Minute)},
	}}
	lines := bufio.NewScanner(strings.NewReader(story))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
			fmt.Fprintln(&s.out, line)
		case strings.HasPrefix(line, "plan "):
			fmt.Fprintln(&s.out, line)
			s.planLine(line)
		case strings.HasPrefix(line, "> "):
			fmt.Fprintf(&s.out, "\n%s\n", line)
			s.input(strings.Fields(strings.TrimPrefix(line, "> ")))
		}
	}
	return s.out.String()
}

// planLine reads "plan L1 key=value …" or "plan data_migration=…".
func (s *storyteller) planLine(line string) {
	words := strings.Fields(line)[1:]
	if key, value, ok := strings.Cut(words[0], "="); ok {
		switch key {
		case "data_migration":
			s.plan.DataMigration = backout.DataMigration(value)
		default:
			s.t.Fatalf("plan line %q", line)
		}
		return
	}
	level := backout.Level{
		Name: words[0], EscalateAfter: backout.Duration(30 * time.Minute), Audience: []string{strings.ToLower(words[0]) + "-people"},
		Approval: backout.Approval{Mode: backout.ApprovalNone}, Steps: []backout.Step{{Uses: "command", OnOverdue: backout.OverdueWait}},
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		s.levelWord(&level, key, value)
	}
	s.plan.Levels = append(s.plan.Levels, level)
}

func (s *storyteller) levelWord(level *backout.Level, key, value string) {
	switch key {
	case "approval":
		level.Approval = backout.Approval{Mode: backout.ApprovalRequired, Votes: s.number(value), Groups: []string{"sre"}, Expires: backout.Duration(30 * time.Minute), OnExpiry: backout.ExpiryDeny}
	case "veto":
		level.Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: s.duration(value)}
	case "valid_for":
		level.Approval.ValidFor = s.duration(value)
	case "step_up":
		level.Approval.StepUp = s.duration(value)
	case "channels":
		level.Approval.Channels = strings.Split(value, ",")
	case "on_channel_down":
		level.Approval.OnChannelDown = backout.OnChannelDown(value)
	case "exploited_vote":
		level.Approval.KnownExploitedVote = true
	case "groups":
		level.Approval.Groups = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
	case "expiry":
		level.Approval.OnExpiry = backout.OnExpiry(value)
	case "steps":
		for range s.number(value) - 1 {
			level.Steps = append(level.Steps, level.Steps[0])
		}
	case "overdue":
		for i := range level.Steps {
			level.Steps[i].OnOverdue = backout.OnOverdue(value)
		}
	case "parallel":
		level.MaxParallel = s.number(value)
	case "stop_at_failures":
		level.StopAtFailures = s.number(value)
	case "escalate_after":
		level.EscalateAfter = s.duration(value)
	default:
		s.t.Fatalf("level word %q", key)
	}
}

func (s *storyteller) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *storyteller) duration(text string) backout.Duration {
	d, err := backout.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *storyteller) input(words []string) {
	if after, ok := strings.CutPrefix(words[0], "+"); ok {
		s.now = s.now.Add(time.Duration(s.duration(after)))
		s.decide(Tick{})
		return
	}
	s.decide(s.parse(words[0], words[1:]))
}

func (s *storyteller) parse(verb string, args []string) Input {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	rest := func(i int) string { return strings.Join(args[min(i, len(args)):], " ") }
	switch verb {
	case "open":
		return s.open(args)
	case "claim":
		return Claim{AttemptID: s.attempt(arg(0)), Runner: "server-1"}
	case "takeover":
		return TakeOver{AttemptID: s.attempt(arg(0)), From: arg(1), Runner: arg(2)}
	case "done":
		return Finished{AttemptID: s.attempt(arg(0)), Outcome: backout.Outcome{Held: args[min(1, len(args)):]}}
	case "fail":
		return Finished{AttemptID: s.attempt(arg(0)), Failure: rest(1), Outcome: backout.Outcome{ExitCode: 1}}
	case "doubt":
		return Doubt{AttemptID: s.attempt(arg(0)), Reason: rest(1)}
	case "resolve":
		return Resolve{AttemptID: s.attempt(arg(0)), Verdict: arg(1), By: arg(2)}
	case "green":
		return Checked{Target: arg(0), Green: true, Drift: drift(arg(1), rest(2))}
	case "red":
		return Checked{Target: arg(0), Reason: rest(1)}
	case "resolved":
		return Resolved{}
	case "approve", "deny", "break_glass":
		return s.vote(backout.Choice(verb), args)
	case "review":
		return Review{By: arg(0), Reason: rest(1)}
	case "refused":
		return Refused{AskID: s.ask(), Vote: backout.Vote{User: arg(0), Choice: backout.ChoiceApprove}, Cause: arg(1), Reason: rest(2)}
	case "channels":
		return Reached{AskID: s.ask(), OK: arg(0) == "up", Why: rest(1)}
	case "members":
		return Approvers{AskID: s.boundAsk(), Members: arg(0)}
	case "hold":
		return Hold{By: arg(0), Reason: rest(1)}
	case "release":
		return Release{By: arg(0), Reason: rest(1)}
	case "approver_releases":
		return Release{By: arg(0), Level: arg(1), Reason: rest(2), Approver: true}
	case "escalate_from":
		return Escalate{From: arg(0), By: arg(1), Reason: rest(2)}
	case "approver_escalates":
		return Escalate{By: arg(0), Reason: rest(1), Approver: true}
	case "pause":
		return Pause{By: arg(0), Reason: rest(1)}
	case "resume":
		return Resume{By: arg(0)}
	case "escalate":
		return Escalate{By: arg(0), Reason: rest(1)}
	case "abort":
		return Abort{By: arg(0), Reason: rest(1)}
	}
	s.t.Fatalf("input %q", verb)
	return nil
}

// vote reads NAME GROUPS and ask=, via=, login= (how long ago), members=, reason=.
func (s *storyteller) vote(choice backout.Choice, args []string) Input {
	v := backout.Vote{User: args[0], Choice: choice}
	ask := s.ask()
	for i, a := range args[1:] {
		key, value, ok := strings.Cut(a, "=")
		switch {
		case i == 0 && !ok:
			v.Groups = strings.Split(a, ",")
		case key == "ask":
			ask = "CHG1-r1." + value
		case key == "via":
			v.Via = value
		case key == "login":
			v.LoginAt = s.now.Add(-time.Duration(s.duration(value)))
		case key == "members":
			v.Members = value
		case key == "reason":
			v.Reason = value
		default:
			s.t.Fatalf("vote word %q", a)
		}
	}
	if choice == "break_glass" {
		return BreakGlass{AskID: ask, Vote: v}
	}
	return Vote{AskID: ask, Vote: v}
}

// ask is the open question's id.
func (s *storyteller) ask() string {
	if s.r.Ask == nil {
		return "none"
	}
	return s.r.Ask.ID
}

func (s *storyteller) boundAsk() string {
	id, _, _ := Bound(s.r)
	return id
}

// drift is a comparison with the baseline: its verdict, and what differs.
func drift(verdict, summary string) *backout.DriftFound {
	if verdict == "" {
		return nil
	}
	return &backout.DriftFound{Verdict: backout.DriftVerdict(verdict), Summary: summary}
}

// open reads targets, and for=, ask=, by=, at=, and baselines of all targets.
func (s *storyteller) open(args []string) Input {
	o := backout.Opened{
		RollbackID: "CHG1-r1", ChangeID: "CHG1", Requester: "rita", Frozen: backout.FrozenPlan{Plan: s.plan, Hash: "sha256:00"},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: "WebErrors"}},
	}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		switch {
		case !ok:
			o.Targets = append(o.Targets, a)
		case key == "for":
			o.StartAfter = s.now.Add(time.Duration(s.duration(value)))
		case key == "ask":
			o.AskFirst = value
		case key == "by":
			o.Trigger = backout.Trigger{By: value, Reason: "by hand"}
		case key == "at":
			o.StartAt = s.number(strings.TrimPrefix(value, "L")) - 1
		case key == "cves":
			o.Patch.CVEs = strings.Split(value, ",")
		case key == "exploited":
			o.Exploited = strings.Split(value, ",")
		case key == "baselines":
			o.Baselines = map[string]string{}
			for _, name := range o.Targets {
				o.Baselines[name] = value
			}
		}
	}
	return Open{Opened: o}
}

// attempt is the target's current attempt, or the id itself.
func (s *storyteller) attempt(word string) string {
	if t := s.r.Target(word); t != nil && t.Attempt != nil {
		return t.Attempt.ID
	}
	return word
}

func (s *storyteller) decide(in Input) {
	before := s.r
	events, err := Decide(before, s.now, in)
	switch {
	case err != nil:
		fmt.Fprintf(&s.out, "refused: %v\n", err)
		return
	case len(events) == 0:
		fmt.Fprintln(&s.out, "nothing")
		return
	}
	s.seq++
	rec := backout.Record{At: s.now, Events: events}
	for _, e := range events {
		fmt.Fprintf(&s.out, "  %s\n", describe(e))
	}
	for _, c := range Commands(before, s.seq, rec) {
		if c, ok := c.(backout.Tell); ok {
			fmt.Fprintf(&s.out, "    tell %s: %s%s\n", c.Notice.Audience, c.Notice.Moment, prefixed(" if nobody acts: ", c.Notice.IfNobodyActs))
		}
	}
	s.r = Fold(before, s.seq, rec)
	line := "= " + string(s.r.Status)
	if at, ok := NextDeadline(s.r); ok {
		line += ", next at +" + backout.Duration(at.Sub(storyStart)).String()
	}
	fmt.Fprintln(&s.out, line)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func describe(e backout.Event) string {
	text := e.Kind()
	switch e := e.(type) {
	case backout.Asked:
		text += fmt.Sprintf(" L%d %s (%s)", e.Ask.Level+1, e.Ask.Policy.Mode, e.Ask.Why)
	case backout.Answered:
		text += " " + e.Outcome + prefixed(" by ", e.By)
	case backout.VoteRefused:
		text += fmt.Sprintf(" (%s) %s", e.Cause, e.Reason)
	case backout.ApprovalVoided:
		text += fmt.Sprintf(" L%d of %s, %d votes: %s", e.Level+1, e.AskID, e.Votes, e.Reason)
	case backout.GlassBroken:
		text += fmt.Sprintf(" L%d by %s with %d of %d votes", e.Level+1, e.By, e.Votes, e.Needed)
	case backout.Reviewed:
		text += " by " + e.By + ": " + e.Reason
	case backout.LastCall:
	case backout.ChannelsDown:
		text += ": " + e.Reason
	case backout.ChannelsUp:
		text += ", deadline +" + backout.Duration(e.Deadline.Sub(storyStart)).String()
	case backout.LevelEntered:
		text += fmt.Sprintf(" L%d %s%s", e.Level+1, strings.Join(e.Targets, " "), prefixed(" because ", e.Reason))
	case backout.StepRequested:
		text += " " + e.AttemptID + " on " + e.Target
	case backout.StepStarted:
		text += " " + e.AttemptID
	case backout.StepTakenOver:
		text += " " + e.AttemptID + " from " + e.From + " to " + e.Runner
	case backout.ClockStarted:
		text += " until +" + backout.Duration(e.Deadline.Sub(storyStart)).String()
	case backout.StepFailed:
		text += " " + e.AttemptID + ": " + e.Reason
	case backout.StopRequested:
		text += " " + e.AttemptID + ": " + e.Reason
	case backout.DoubtResolved:
		text += " " + e.Verdict + " by " + e.By
	case backout.TargetBack:
		text += " " + e.Target
		if e.Drift != nil {
			text += " " + string(e.Drift.Verdict)
		}
	case backout.TargetRed:
		text += " " + e.Target + ": " + e.Reason
	case backout.LevelFailed:
		text += fmt.Sprintf(" L%d by %s: %s", e.Level+1, e.Cause, strings.Join(e.Targets, " "))
	case backout.HeldBack:
		text += fmt.Sprintf(" (%s) %s", e.Cause, e.Reason)
	case backout.Ended:
		text += " " + string(e.Status) + ": " + e.Reason
	}
	return text
}
