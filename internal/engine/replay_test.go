package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// busySite is a site whose steps begin at once and never end: what has begun runs on,
// and no resolved alert cancels it. The replay takes the same of a level that is entered.
type busySite struct{ *fakeSite }

func (busySite) Run(ctx context.Context, j runner.Job) runner.Result {
	if _, err := j.Claim(ctx, runner.Claimed{}); err != nil {
		return runner.Result{Err: err}
	}
	<-ctx.Done()
	return runner.Result{}
}

const storyRules = `
groups:
  - name: story
    rules:
      - rule: Watch
        match: [alertname=~".+"]
      - rule: Down
        match: [alertname="Down"]
        mode: auto
      - rule: Slow
        match: [alertname="Slow"]
        mode: auto
        for: 90s
      - rule: Errors
        match: [alertname="Errors"]
        when: alert.age > duration("2m") and change.patched
        mode: ask
      - rule: Dead
        match: [alertname="Dead"]
        when: evidence.red_share_patched > evidence.red_share_unpatched
        mode: auto
        scope: change
        start_at: L2
      - rule: Storm
        match: [alertname="Other"]
        mode: auto
        throttle: {at_least: 2, within: 8m, once_within: 25m, per: rule, latch: true}
      - rule: Latched
        match: [alertname="Latched"]
        mode: auto
        throttle: {latch: true}
      - rule: Flapping
        when: alert.flaps > 0 and target.first_red_at > target.patched_at and evidence.red_unpatched < 2
      - rule: Old
        when: since(change.opened_at) > duration("15m") and evidence.distinct_alerts > 1
`

// storyteller plays one random story on a real engine.
type storyteller struct {
	t     *testing.T
	e     *Engine
	rand  *rand.Rand
	begin time.Time
	// since is when an alert fires since, by name and target.
	since map[[2]string]time.Time
	came  []replay.Delivery
}

// sinceBegin is when it was in the story, without the milliseconds that a server waits before it tries
// an append again.
func (s *storyteller) sinceBegin(at time.Time) time.Duration {
	return at.Sub(s.begin).Truncate(100 * time.Millisecond)
}

func (s *storyteller) pick(list ...string) string { return list[s.rand.IntN(len(list))] }

// alert lets an alert begin, be repeated or end.
func (s *storyteller) alert() {
	name, target := s.pick("Down", "Slow", "Errors", "Dead", "Other", "Latched"), s.pick("web1", "web2", "web3", "db1", "db2", "stranger")
	key, now := [2]string{name, target}, time.Now().UTC()
	starts, fires := s.since[key]
	hook := map[string]any{"labels": map[string]string{"alertname": name, "instance": target + ":9100"}, "annotations": map[string]string{"summary": name + " on " + target}}
	switch {
	case !fires:
		starts = now.Add(-time.Duration(s.rand.IntN(90)) * time.Second)
		s.since[key] = starts
		hook["status"], hook["startsAt"], hook["endsAt"] = "firing", starts, time.Time{}
	case s.rand.IntN(3) > 0:
		hook["status"], hook["startsAt"], hook["endsAt"] = "resolved", starts, now
		delete(s.since, key)
	default: // told again, or by another Prometheus
		starts = starts.Add(time.Duration(s.rand.IntN(3)-1) * 7 * time.Second)
		hook["status"], hook["startsAt"], hook["endsAt"] = "firing", starts, time.Time{}
	}
	body, err := json.Marshal(map[string]any{"version": "4", "status": hook["status"], "alerts": []any{hook}})
	if err != nil {
		s.t.Fatal(err)
	}
	read, err := alertwire.DecodeWebhook(body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range read.Alerts {
		s.came = append(s.came, replay.Delivery{At: now, Alert: a})
	}
	if err := s.e.Accept(s.t.Context(), handlers.Delivery{Kind: "webhook", Body: body, Alerts: read.Alerts}); err != nil {
		s.t.Fatal(err)
	}
}

// tell lets changes and alerts happen for two hours.
func (s *storyteller) tell() {
	for _, c := range []backout.ChangeSpec{
		{ID: "C1", Plan: "web", Targets: []string{"web1", "web2"}}, {ID: "C2", Plan: "web", Targets: []string{"web3"}},
	} {
		c.Window.Watch = backout.Duration(time.Hour)
		if _, err := s.e.PlanChange(s.t.Context(), alice, c); err != nil {
			s.t.Fatal(err)
		}
	}
	// Never two steps at one moment: which is first is left open then.
	steps := map[string]int{"C1": 2 * s.rand.IntN(8), "C2": 1 + 2*s.rand.IntN(20)}
	for i := range 120 {
		// Never at the moment of a pulse: which comes first then is left open.
		time.Sleep(time.Duration(1+s.rand.IntN(20))*5*time.Second + 300*time.Millisecond - time.Duration(time.Now().Nanosecond()))
		synctest.Wait()
		for id, opens := range steps {
			var err error
			switch i {
			case opens:
				_, err = s.e.OpenChange(s.t.Context(), alice, id)
			case opens + 10:
				_, err = s.e.PatchEnded(s.t.Context(), alice, id, 0)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		synctest.Wait()
		s.alert()
		synctest.Wait()
	}
}

// logged is what followed, as the logs of the engine say it.
func (s *storyteller) logged() []string {
	var out []string
	for _, id := range []string{"C1", "C2"} {
		c, err := s.e.Change(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		entries, err := s.e.store.Changes.Load(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, entry := range entries {
			for _, ev := range entry.Record.Events {
				switch ev := ev.(type) {
				case backout.VerdictGiven:
					v := ev.Verdict
					out = append(out, fmt.Sprint(s.sinceBegin(v.At), " ", "record ", v.Rule, " ", id, " ", v.Target, " ", v.AlertName, " ", v.Stopped))
				case backout.RollbackRequested:
					o, v := ev.Opened, ev.Opened.Trigger.Verdict
					out = append(out, fmt.Sprint(s.sinceBegin(entry.Record.At), " open ", v.Rule, " ", id, " ", o.Targets, o.StartAt, o.AskFirst, o.StartAfter))
				}
			}
		}
		for _, ref := range c.Rollbacks {
			out = append(out, s.ofRollback(c, ref)...)
		}
	}
	slices.Sort(out)
	return out
}

func (s *storyteller) ofRollback(c backout.Change, ref backout.RollbackRef) []string {
	var out []string
	entries, err := s.e.store.Rollbacks.Load(s.t.Context(), ref.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			switch ev := ev.(type) {
			case backout.EvidenceAdded:
				out = append(out, fmt.Sprint(s.sinceBegin(entry.Record.At), " evidence ", ev.Alert.Name, " ", ev.Alert.Target, " ", ref.Targets))
			case backout.Ended:
				if c.EndedAt.Equal(entry.Record.At) {
					continue // the change ended with it, and nothing follows from what has ended
				}
				out = append(out, fmt.Sprint(s.sinceBegin(entry.Record.At), " ", ev.Status, " ", ref.Targets))
			}
		}
	}
	return out
}

// replayed is what the replay says of the same story.
func (s *storyteller) replayed(set *rules.Set, inventory map[string]backout.Target) []string {
	h := replay.History{Inventory: inventory, Alerts: func(yield func(replay.Delivery, error) bool) {
		for _, d := range s.came {
			if !yield(d, nil) {
				return
			}
		}
	}}
	for _, id := range []string{"C1", "C2"} {
		c, err := s.e.Change(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		h.Changes = append(h.Changes, c)
	}
	var out []string
	targets := map[string][]string{}
	_, err := replay.Run(s.t.Context(), set, h, replay.Options{Until: time.Now()}, func(ev replay.Event) error {
		at, v := s.sinceBegin(ev.At), ev.Verdict
		switch {
		case ev.Cancelled:
			out = append(out, fmt.Sprint(at, " cancelled ", ev.Targets))
		case ev.Do == trigger.Record:
			out = append(out, fmt.Sprint(at, " record ", v.Rule, " ", v.ChangeID, " ", v.Target, " ", v.AlertName, " ", v.Stopped))
		case ev.Do == trigger.Evidence:
			out = append(out, fmt.Sprint(at, " evidence ", v.AlertName, " ", v.Target, " ", targets[ev.RollbackID]))
		case ev.Do == trigger.Open:
			targets[ev.RollbackID] = ev.Targets
			out = append(out, fmt.Sprint(at, " open ", v.Rule, " ", v.ChangeID, " ", ev.Targets, ev.StartAt, ev.AskFirst, ev.StartAfter))
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestReplaySaysWhatTheServerDid: the same story, played on a server and replayed,
// has the same verdicts and the same rollbacks.
func TestReplaySaysWhatTheServerDid(t *testing.T) {
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte(storyRules)})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				w.cfg.Rules, w.cfg.Runner = set, busySite{w.site}
				for _, name := range []string{"web3", "db1", "db2"} {
					w.cfg.Inventory[name] = backout.Target{Name: name}
				}
				plan := snapshotPlan()
				for i := range plan.Levels {
					plan.Levels[i].EscalateAfter = backout.Duration(24 * time.Hour) // what has begun runs on
				}
				w.cfg.Plans["web"] = plan
				e := w.serve("me", w.store)
				s := &storyteller{t: t, e: e, rand: rand.New(rand.NewPCG(seed, 1)), begin: time.Now(), since: map[[2]string]time.Time{}}
				s.tell()
				want, got := s.logged(), s.replayed(set, w.cfg.Inventory)
				e.Close()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("server and replay differ (-server +replay):\n%s", diff)
				}
				for _, line := range want {
					kinds[strings.Fields(line)[1]]++
				}
			})
		})
	}
	for _, kind := range []string{"record", "open", "evidence", "cancelled"} {
		if kinds[kind] < 3 {
			t.Errorf("the stories have %d of %s only", kinds[kind], kind)
		}
	}
}
