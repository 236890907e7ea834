package app_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// What the restart loads: with ten targets and five rollbacks of two targets a
// change, about a million events.
const (
	historyChanges = 12_000
	historyActive  = 10_000
	historyEach    = 5
)

// history writes the logs of a server that has been at work for years.
type history struct {
	b        *testing.B
	store    *store.Store
	frozen   backout.FrozenPlan
	at       time.Time
	active   int
	records  atomic.Int64
	events   atomic.Int64
	lastSeq  [2]atomic.Uint64 // of changes and of rollbacks
	rollback atomic.Int64
}

// writeHistory fills the store of the files' server and says what is in it.
func writeHistory(b *testing.B, dir string, changes, active int) *history {
	b.Helper()
	h := &history{b: b, frozen: planhash.Freeze(historyPlan()), at: time.Now().UTC().Add(-2 * time.Hour), active: active}
	seedStore(b, filepath.Join(dir, "data"), func(s *store.Store) {
		h.store = s
		next := make(chan int)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for i := range next {
					h.change(i)
				}
			})
		}
		for i := range changes {
			next <- i
		}
		close(next)
		all.Wait()
		// Their notices went out long ago.
		told := fmt.Appendf(nil, `{"changes":%d,"rollbacks":%d}`, h.lastSeq[0].Load(), h.lastSeq[1].Load())
		if _, err := s.Control.Create(b.Context(), "relay", told); err != nil {
			b.Fatal(err)
		}
	})
	return h
}

// historyPlan climbs three levels; the second asks.
func historyPlan() backout.Plan {
	level := func(n int, mode backout.ApprovalMode) backout.Level {
		l := backout.Level{
			Name: fmt.Sprintf("L%d", n), Summary: "put the tier back to what it was before the patch", EscalateAfter: backout.Duration(24 * time.Hour),
			Approval: backout.Approval{Mode: mode}, Audience: []string{"ops"}, MaxParallel: 10,
		}
		for _, what := range []string{"drain", "restore", "start"} {
			l.Steps = append(l.Steps, backout.Step{
				Name: what, Uses: "command", OnOverdue: backout.OverdueStop, Timeout: backout.Duration(10 * time.Minute),
				With: fmt.Appendf(nil, `{"argv":["/usr/local/sbin/shop-tier","--%s","--level","%d"],"dir":"/var/lib/shop"}`, what, n),
			})
		}
		return l
	}
	l2 := level(2, backout.ApprovalRequired)
	l2.Approval.Votes, l2.Approval.Groups, l2.Approval.Expires = 1, []string{"sre"}, backout.Duration(48*time.Hour)
	return backout.Plan{
		Name: "bench", Summary: "take the web tier back", Author: "paul", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{Every: backout.Duration(time.Hour), HoldFor: backout.Duration(time.Minute)},
		Levels: []backout.Level{level(1, backout.ApprovalNone), l2, level(3, backout.ApprovalNone)},
	}
}

// change writes one change with its rollbacks. The last one of the first changes
// is still active.
func (h *history) change(i int) {
	id := fmt.Sprintf("CHG%07d", i)
	targets := make([]string, 2*historyEach)
	for j := range targets {
		targets[j] = fmt.Sprintf("web-%d-%d.prod.example.net", i, j)
	}
	var c backout.Change
	do := func(r change.Request) {
		events, err := change.Decide(c, change.Input{At: h.at, By: "paul", Do: r})
		if err != nil {
			h.b.Error(err)
			return
		}
		rec := h.record(events)
		seq, err := h.store.Changes.Append(h.b.Context(), id, c.Revision, rec)
		if err != nil {
			h.b.Error(err)
		}
		newest(&h.lastSeq[0], seq)
		c = change.Fold(c, change.Entry{Seq: seq, Record: rec})
	}
	baselines := map[string]string{}
	for _, t := range targets {
		baselines[t] = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(t)))
	}
	gate := change.Gate{PlanHash: h.frozen.Hash, Targets: targets, Baselines: baselines, ValidUntil: h.at.Add(24 * time.Hour)}
	do(change.Plan{Spec: backout.ChangeSpec{
		ID: id, Title: "web tier to 2.8", Targets: targets, Plan: "bench", Owner: "paul", Stakeholders: []string{"ops"}, Labels: map[string]string{"tier": "web", "site": "fra1"},
		Patch:  backout.Patch{Kind: "packages", IDs: []string{"shop-2.8"}, CVEs: []string{"CVE-2026-1"}},
		Window: backout.Window{Opens: h.at, Closes: h.at.Add(48 * time.Hour), Watch: backout.Duration(24 * time.Hour)},
	}})
	do(change.BeginCapture{Server: "bench", Opening: true})
	do(change.Open{Frozen: h.frozen, Gate: gate, Capture: 1, Baselines: baselines})
	for j := range historyEach {
		opened := backout.Opened{
			RollbackID: fmt.Sprintf("%s-r%d", id, j+1), ChangeID: id, ChangeTitle: c.Title, Patch: c.Patch, Frozen: h.frozen, Targets: targets[2*j : 2*j+2],
			Baselines: change.BaselinesOf(c, targets[2*j:2*j+2]),
			Requester: "paul", Trigger: backout.Trigger{Verdict: &backout.Verdict{
				Rule: "WebDown", Group: "web", Mode: "auto", ChangeID: id, Target: targets[2*j], Scope: "targets", Fingerprint: fmt.Sprintf("%016x", 10*i+j), AlertName: "WebErrors",
				Reasons:     []string{`alertname="WebErrors" matches`, "evidence.red_share_patched > evidence.red_share_unpatched: 0.4 > 0.01"},
				Annotations: map[string]string{"summary": "more than 5% of the answers are errors", "runbook": "https://runbooks.example.net/web/errors"}, At: h.at,
			}},
			Alert: &backout.AlertRef{Fingerprint: fmt.Sprintf("%016x", 10*i+j), Name: "WebErrors", Target: targets[2*j], StartsAt: h.at, Summary: "more than 5% of the answers are errors"},
		}
		do(change.RequestRollback{Request: backout.RollbackRequested{Opened: opened}})
		active := i < h.active && j == historyEach-1
		status := h.run(opened, active, i%2 == 0)
		if !active {
			do(change.RollbackEnded{RollbackID: opened.RollbackID, Status: status})
		}
	}
}

// run writes one rollback: all of it, or as far as the question for its second
// level, or as far as targets that stay red.
func (h *history) run(opened backout.Opened, active, asks bool) backout.RollbackStatus {
	h.rollback.Add(1)
	var r backout.Rollback
	do := func(in rollback.Input) {
		events, err := rollback.Decide(r, h.at, in)
		if err != nil || len(events) == 0 {
			h.b.Errorf("%T: %d events, %v", in, len(events), err)
			return
		}
		rec := h.record(events)
		seq, err := h.store.Rollbacks.Append(h.b.Context(), opened.RollbackID, r.Revision, rec)
		if err != nil {
			h.b.Error(err)
		}
		newest(&h.lastSeq[1], seq)
		r = rollback.Fold(r, seq, rec)
	}
	do(rollback.Open{Opened: opened})
	for range r.Frozen.Plan.Levels[0].Steps {
		for i := range r.Targets {
			do(rollback.Claim{AttemptID: r.Targets[i].Attempt.ID, Runner: "bench"})
			do(rollback.Finished{AttemptID: r.Targets[i].Attempt.ID, Outcome: backout.Outcome{}})
		}
	}
	for _, t := range r.Targets {
		do(rollback.Checked{Target: t.Name, Reason: "target is not in the inventory any more"})
	}
	switch {
	case active && asks:
		do(rollback.Escalate{By: "ann", Reason: "it does not help"})
	case !active:
		do(rollback.Abort{By: "ann", Reason: "brought back by hand"})
	}
	return r.Status
}

func (h *history) record(events []backout.Event) backout.Record {
	h.records.Add(1)
	h.events.Add(int64(len(events)))
	return backout.Record{Op: fmt.Sprintf("bench.%d", h.records.Load()), By: "bench", At: h.at, Events: events}
}

func newest(to *atomic.Uint64, seq uint64) {
	for {
		was := to.Load()
		if was >= seq || to.CompareAndSwap(was, seq) {
			return
		}
	}
}
