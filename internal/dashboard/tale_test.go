package dashboard

import (
	"fmt"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
)

// tale is a rollback as the core decides it, with its log: what pages show is what there
// can be.
type tale struct {
	t   *testing.T
	now time.Time
	r   backout.Rollback
	log []handlers.LogEntry
	// from is the sequence before its first record: logs of many share a stream.
	from uint64
}

// taleStart is when tales begin.
var taleStart = time.Date(2026, 11, 23, 2, 3, 0, 0, time.UTC)

// shopPlan goes back by uninstalling, restoring and rebuilding.
func shopPlan() backout.Plan {
	minutes := func(n int) backout.Duration { return backout.Duration(time.Duration(n) * time.Minute) }
	return backout.Plan{
		Name: "shop", Author: "paul", DataMigration: backout.DataMigrationNone,
		Verify: backout.Verify{Every: backout.Duration(15 * time.Second), HoldFor: minutes(2)},
		Levels: []backout.Level{
			{
				Name: "L1", Summary: "uninstall the patch", EscalateAfter: minutes(30), Approval: backout.Approval{Mode: backout.ApprovalNone},
				Steps: []backout.Step{
					{Name: "take out of the pool", Uses: "http.call"}, {Uses: "dnf.undo", OnOverdue: backout.OverdueWait}, {Name: "restart the shop", Uses: "systemd.restart"},
				},
			},
			{
				Name: "L2", Summary: "restore the snapshot", EscalateAfter: minutes(45), Destructive: true, Loses: "orders written since the snapshot",
				Approval: backout.Approval{
					Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre", "dba"}, Expires: minutes(30), OnExpiry: backout.ExpiryEscalate,
					StepUp: minutes(15), Channels: []string{"dashboard", "slack"},
				},
				Steps: []backout.Step{{Uses: "snapper.rollback"}, {Uses: "system.reboot"}},
			},
			{
				Name: "L3", Summary: "rebuild from the gold image", EscalateAfter: minutes(120), Destructive: true,
				Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre"}},
				Steps:    []backout.Step{{Uses: "http.call"}},
			},
		},
	}
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("web-%04d", i+1)
	}
	return out
}

// taleOf opens a rollback of a change on these targets, because of an alert.
func taleOf(t *testing.T, id string, start time.Time, targets []string) *tale {
	t.Helper()
	s := &tale{t: t, now: start, from: 40}
	alert := backout.AlertRef{Fingerprint: "c0ffee", Name: "CheckoutErrors", Target: targets[0], StartsAt: start.Add(-90 * time.Second), Summary: "5 % of checkouts fail"}
	s.give(rollback.Open{Opened: backout.Opened{
		RollbackID: id + "-r1", ChangeID: id, ChangeTitle: "openssl 3.0.7-2", Targets: targets, Requester: "amy", Alert: &alert,
		Patch: backout.Patch{Kind: "packages", CVEs: []string{"CVE-2026-0001", "CVE-2026-0002"}}, Exploited: []string{"CVE-2026-0002"},
		Frozen: backout.FrozenPlan{Hash: "sha256:7f3a", Plan: shopPlan()},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{
			Rule: "CheckoutErrorsAfterPatch", Group: "web-tier", Mode: backout.ModeAuto, ChangeID: id, Target: targets[0], Fingerprint: "c0ffee", AlertName: "CheckoutErrors", At: start,
			Reasons: []string{`severity="critical"`, "evidence.red_share_patched > 2 * evidence.red_share_unpatched (0.4, 0)"}, Annotations: map[string]string{"summary": "Checkout fails on " + targets[0] + " since the patch"},
		}},
	}})
	return s
}

// give has the core decide, and keeps what follows.
func (s *tale) give(in rollback.Input) {
	s.t.Helper()
	events, err := rollback.Decide(s.r, s.now, in)
	if err != nil {
		s.t.Fatalf("%T: %v", in, err)
	}
	if len(events) == 0 {
		return
	}
	rec := backout.Record{Op: fmt.Sprint("op-", len(s.log)), By: "server-1", At: s.now, Events: events}
	seq := s.from + uint64(len(s.log)) + 1
	s.r = rollback.Fold(s.r, seq, rec)
	s.log = append(s.log, logEntry(s.r.ID, seq, rec))
}

func logEntry(id string, seq uint64, rec backout.Record) handlers.LogEntry {
	return handlers.LogEntry{ID: id, Seq: seq, Record: rec}
}

// after lets time pass.
func (s *tale) after(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	s.give(rollback.Tick{})
}

// starts has a runner take the attempt of the target, if it has one that waits.
func (s *tale) starts(target string) {
	s.t.Helper()
	if t := s.r.Target(target); t.Attempt != nil && t.Attempt.StartedAt.IsZero() {
		s.give(rollback.Claim{AttemptID: t.Attempt.ID, Runner: "server-1"})
	}
}

// steps runs this many steps of the target well.
func (s *tale) steps(target string, n int) {
	s.t.Helper()
	for range n {
		s.starts(target)
		s.now = s.now.Add(time.Second)
		s.give(rollback.Finished{AttemptID: s.r.Target(target).Attempt.ID, Outcome: backout.Outcome{Summary: "exit code 0"}})
	}
}

// fails ends the running step of the target badly.
func (s *tale) fails(target, why string, exit int) {
	s.t.Helper()
	s.starts(target)
	s.now = s.now.Add(time.Second)
	s.give(rollback.Finished{AttemptID: s.r.Target(target).Attempt.ID, Failure: why, Outcome: backout.Outcome{ExitCode: exit}})
}

// checked has the checks of the target say so.
func (s *tale) checked(target, red string) {
	s.t.Helper()
	s.give(rollback.Checked{Target: target, Green: red == "", Reason: red})
}

// isBack has the target green for as long as it takes.
func (s *tale) isBack(targets ...string) {
	s.t.Helper()
	for _, target := range targets {
		s.checked(target, "")
	}
	s.now = s.now.Add(2 * time.Minute)
	for _, target := range targets {
		s.checked(target, "")
	}
}

func (s *tale) vote(user, group string, choice backout.Choice, reason string) {
	s.t.Helper()
	s.give(rollback.Vote{AskID: s.r.Ask.ID, Vote: backout.Vote{User: user, Groups: []string{group}, Choice: choice, Reason: reason, Via: "dashboard", LoginAt: s.now}})
}

// tell puts the tales into a fake.
func tell(f *fake, tales ...*tale) *fake {
	if f.logs == nil {
		f.logs = map[string][]handlers.LogEntry{}
	}
	for _, s := range tales {
		f.rollbacks = append(f.rollbacks, s.r)
		f.logs[s.r.ID] = s.log
	}
	return f
}
