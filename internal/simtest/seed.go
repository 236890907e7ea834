package simtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// plot is what a seed draws before anything happens.
type plot struct {
	seed    uint64
	servers int
	setup   Setup
	odds    map[Fault]int
	turns   int
	// direct says that Prometheus sends the alerts itself, and not Alertmanager.
	direct bool
	// api says that Alertmanager can be asked what fires.
	api bool
	// graves are how many servers may die for good.
	graves int
}

// dice are a turn's own, so that turns which go differently leave the later ones
// alone.
func dice(seed uint64, turn int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, mix(uint64(turn)))) //nolint:gosec // a seed is there to be repeated
}

// pick returns one of the values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// drawPlot draws a world.
func drawPlot(seed uint64) plot {
	r := dice(seed, -1)
	p := plot{seed: seed, servers: pick(r, 1, 1, 2, 2, 3), turns: 40 + r.IntN(30), direct: r.IntN(3) == 0, api: r.IntN(2) == 0}
	p.odds = drawOdds(r)
	if p.servers > 1 && r.IntN(2) == 0 {
		p.graves = 1 + r.IntN(p.servers-1)
	}
	s := Setup{Sole: p.servers == 1 && r.IntN(2) == 0, Rules: drawRules(r)}
	if r.IntN(3) == 0 {
		s.SnapshotEvery = 1 + r.IntN(50)
	}
	for i := range 2 + r.IntN(4) {
		s.Inventory = append(s.Inventory, fmt.Sprintf("web-%d", i+1))
	}
	s.Groups = map[string][]string{"sre": {"ann", "bob", "carl"}}
	for _, name := range []string{"web", "db"} {
		s.Plans = append(s.Plans, drawPlan(r, name))
	}
	p.setup = s
	return p
}

// drawOdds draws how often each fault comes: some worlds have trouble with one
// thing only, some with everything.
func drawOdds(r *rand.Rand) map[Fault]int {
	odds := map[Fault]int{}
	rain := func(most int, faults ...Fault) {
		for _, f := range faults {
			odds[f] = pick(r, 0, 1, 2, 4) * most / 4
		}
	}
	rain(50, writeRefused, answerLost, writeLate)
	rain(60, writeSlow)
	rain(8, crashBefore, crashAfter)
	rain(15, readRefused, readSlow)
	rain(200, notConnected, lostBefore, lostAfter, callSlow, startLate)
	rain(20, lookFails, lookSlow)
	rain(60, callHangs, callRefused, saysUnknown)
	rain(100, noticeRefused, noticeSlow)
	rain(40, noticeUnsure)
	rain(200, alertsFail, alertsStale)
	return odds
}

func drawRules(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("groups:\n  - name: web\n    rules:\n      - rule: RedAfterPatch\n        match: [severity=\"page\"]\n")
	fmt.Fprintf(&b, "        mode: %s\n", pick(r, "auto", "auto", "auto", "auto", "auto", "ask"))
	if r.IntN(4) == 0 {
		b.WriteString("        for: 2m\n")
	}
	if r.IntN(3) == 0 {
		b.WriteString("        scope: change\n")
	}
	if r.IntN(6) == 0 {
		b.WriteString("        start_at: L2\n")
	}
	return b.String()
}

func drawPlan(r *rand.Rand, name string) backout.Plan {
	p := backout.Plan{
		Name: name, Author: "paul", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{
			Every: backout.Duration(pick(r, 10, 15, 30)) * backout.Duration(time.Second), HoldFor: minutes(pick(r, 0, 1, 2)),
			Checks: []backout.Check{{Uses: "health", With: json.RawMessage(`{}`)}}, IgnoreAlerts: r.IntN(5) == 0,
		},
	}
	if r.IntN(5) == 0 {
		p.Limits = backout.Limits{
			ActiveRollbacks: pick(r, 0, 1, 2), TargetsPerHour: pick(r, 0, 0, 3), ShareOfChange: pick(r, 0, 0, 50),
		}
	}
	if r.IntN(8) == 0 {
		p.DataMigration = backout.DataMigrationForwardOnly
	}
	levels := 1 + r.IntN(3)
	for i := range levels {
		p.Levels = append(p.Levels, drawLevel(r, fmt.Sprintf("L%d", i+1), i+1 == levels, p.DataMigration))
	}
	return p
}

func drawLevel(r *rand.Rand, name string, last bool, data backout.DataMigration) backout.Level {
	l := backout.Level{
		Name: name, EscalateAfter: minutes(pick(r, 4, 6, 10)), Audience: []string{"team-" + name},
		MaxParallel: pick(r, 0, 0, 1, 2), StopAtFailures: pick(r, 0, 0, 50),
		Approval: backout.Approval{Mode: pick(r, backout.ApprovalNone, backout.ApprovalNone, backout.ApprovalNone, backout.ApprovalVeto, backout.ApprovalRequired)},
	}
	if data == backout.DataMigrationForwardOnly {
		l.Approval.Mode = backout.ApprovalRequired
	}
	switch l.Approval.Mode {
	case backout.ApprovalVeto:
		l.Approval.Veto = minutes(pick(r, 1, 3))
	case backout.ApprovalRequired:
		l.Approval.Votes, l.Approval.Groups, l.Approval.Expires = pick(r, 1, 2), []string{"sre"}, minutes(pick(r, 3, 8))
		l.Approval.OnExpiry = pick(r, backout.ExpiryDeny, backout.ExpiryEscalate, backout.ExpiryGo)
		if last && l.Approval.OnExpiry == backout.ExpiryGo {
			l.Approval.OnExpiry = backout.ExpiryDeny
		}
	case backout.ApprovalNone:
	}
	reboots := r.IntN(5) == 0
	for range 1 + r.IntN(2) {
		l.Steps = append(l.Steps, backout.Step{
			Uses: "command", With: json.RawMessage(`{"argv":["undo"]}`), Timeout: minutes(pick(r, 0, 0, 3)),
			OnOverdue: pick(r, backout.OverdueWait, backout.OverdueStop), Reboots: reboots,
		})
	}
	return l
}

// reboots tells whether the steps of a level are to reboot their targets under any
// of the plans.
func (p plot) reboots(level string) bool {
	for _, plan := range p.setup.Plans {
		for _, l := range plan.Levels {
			if l.Name == level && l.Steps[0].Reboots {
				return true
			}
		}
	}
	return false
}

// drawScript draws how a target takes a level. One that is to reboot its target
// mostly does, and another does now and then.
func (p plot) drawScript(r *rand.Rand, level string) Script {
	s := Script{
		Takes: time.Duration(pick(r, 0, 5, 30, 90, 300)) * time.Second, Exit: pick(r, 0, 0, 0, 0, 1), Hangs: r.IntN(20) == 0,
		Deaf: r.IntN(10) == 0, Heals: r.IntN(2) == 0, Unknown: r.IntN(15) == 0, Drops: pick(r, 0, 0, 1, 3),
	}
	if r.IntN(20) == 0 || p.reboots(level) && r.IntN(4) > 0 {
		s.Reboots, s.BootTakes = true, time.Duration(pick(r, 0, 20, 90, 240))*time.Second
		s.RebootsAfter = time.Duration(pick(r, 0, 0, 5, 60)) * time.Second
		s.Forgets = r.IntN(2) == 0
	}
	return s
}

// String is the plot for people.
func (p plot) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d servers (sole %t, %d may die for good), a snapshot every %d records, targets %v, direct %t, api %t\n",
		p.seed, p.servers, p.setup.Sole, p.graves, p.setup.SnapshotEvery, p.setup.Inventory, p.direct, p.api)
	for _, plan := range p.setup.Plans {
		data, err := json.Marshal(plan)
		fmt.Fprintf(&b, "plan %s %v\n", data, err)
	}
	fmt.Fprintf(&b, "rules:\n%s", p.setup.Rules)
	fmt.Fprintf(&b, "odds of 1,000: %s\n", listed(p.odds))
	return b.String()
}

// parseSeeds reads numbers and ranges, such as "7,20-40".
func parseSeeds(text string) ([]uint64, error) {
	var out []uint64
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 64)
		last, err2 := strconv.ParseUint(to, 10, 64)
		if err := errors.Join(err, err2); err != nil || first > last {
			return nil, fmt.Errorf("seeds %q: %q is no number and no range: write such as 7,20-40", text, part)
		}
		for seed := first; seed <= last; seed++ {
			out = append(out, seed)
		}
	}
	return out, nil
}
