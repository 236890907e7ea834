package rollback

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// askWorld is what the laws of questions and answers remember.
type askWorld struct {
	asks  map[string]backout.Ask
	given map[string][]backout.Vote // by question
	// ended are questions that were answered; void those that were voided; begun those
	// that have let a level begin; glass those that one person broke.
	ended map[string]string
	void  map[string]bool
	begun map[string]bool
	glass map[string]string
	// called are questions to which people were called for the last time.
	called map[string]bool
	// ran is for how long somebody could have been told of a question, and it was
	// neither paused nor silent; of one that renews another, of both.
	ran map[string]time.Duration
	// down is the truth: nobody can be told.
	down bool
	// takenBack is the level, from 1, that was taken back last; 0 once it was entered.
	takenBack int
}

func newAskWorld() askWorld {
	return askWorld{
		asks: map[string]backout.Ask{}, given: map[string][]backout.Vote{}, ended: map[string]string{}, void: map[string]bool{},
		begun: map[string]bool{}, glass: map[string]string{}, called: map[string]bool{}, ran: map[string]time.Duration{},
	}
}

// draw is what people and channels do beside what every rollback takes.
func (a *askWorld) draw(rt *rapid.T, w *lawWorld, who string, groups []string) Input {
	ask := fmt.Sprintf("CHG1-r1.q%d", max(1, w.r.Asks-rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, "older")))
	v := backout.Vote{
		User: who, Groups: groups, Choice: backout.ChoiceApprove, Via: rapid.SampledFrom([]string{"cli", "cli", "slack"}).Draw(rt, "via"),
		Reason: rapid.SampledFrom([]string{"because", "because", ""}).Draw(rt, "reason"), Members: rapid.SampledFrom([]string{"", "m1", "m1", "m2"}).Draw(rt, "members"),
	}
	if rapid.Bool().Draw(rt, "login") {
		v.LoginAt = w.now.Add(-time.Duration(rapid.SampledFrom([]int{-120, 0, 59, 61}).Draw(rt, "ago")) * time.Second)
	}
	switch rapid.IntRange(0, 11).Draw(rt, "person") {
	case 0:
		return BreakGlass{AskID: ask, Vote: v}
	case 1:
		return Review{By: who, Reason: v.Reason}
	case 2:
		return Refused{AskID: ask, Vote: v, Cause: rapid.SampledFrom([]string{"unmapped", "forbidden", "excluded"}).Draw(rt, "cause"), Reason: "no"}
	case 3:
		return About{AskID: ask, Vote: v, Do: Hold{By: who}}
	case 4:
		bound, _, _ := Bound(w.r)
		return Approvers{AskID: bound, Members: rapid.SampledFrom([]string{"m1", "m2"}).Draw(rt, "now")}
	case 5, 6:
		a.down = !a.down
		return Tick{}
	}
	return Vote{AskID: ask, Vote: v}
}

// answers is what brings an open question to its end, which inputs drawn from all that
// there is seldom do: votes that count, the same person's again, and targets that come
// back while they are asked about.
func (a *askWorld) answers(rt *rapid.T, w *lawWorld) Input {
	if rapid.IntRange(0, 2).Draw(rt, "back") == 0 {
		back := slices.DeleteFunc(remaining(w.r), func(name string) bool { return !Judged(w.r, name) })
		if len(back) > 0 {
			return Checked{Target: rapid.SampledFrom(back).Draw(rt, "which"), Green: true, Drift: &backout.DriftFound{Verdict: backout.DriftNone}}
		}
	}
	return Vote{AskID: w.r.Ask.ID, Vote: backout.Vote{
		User: rapid.SampledFrom([]string{"ann", "ann", "bob"}).Draw(rt, "voter"), Groups: []string{"sre"}, Choice: backout.ChoiceApprove, Via: "cli", LoginAt: w.now,
	}}
}

// hear tells the rollback the truth about channels, as its server does before any clock.
func (w *lawWorld) hear(rt *rapid.T) {
	if Watched(w.r) {
		w.apply(rt, Reached{AskID: w.r.Ask.ID, OK: !w.asked.down, Why: "no way"})
	}
}

// pass lets time go by for the question that is open.
func (a *askWorld) pass(r backout.Rollback, by time.Duration) {
	if r.Ask != nil && r.PausedAt.IsZero() && !(a.down && r.Ask.Policy.OnChannelDown == backout.ChannelDownHold) {
		a.ran[r.Ask.ID] += by
	}
}

// check looks at one event in the state it happened in.
func (a *askWorld) check(rt *rapid.T, w *lawWorld, r backout.Rollback, at time.Time, e backout.Event) {
	switch e := e.(type) {
	case backout.Asked:
		a.asks[e.Ask.ID] = e.Ask
		if e.Ask.Renews != "" {
			a.ran[e.Ask.ID] = a.ran[e.Ask.Renews]
		}
	case backout.Voted:
		if a.ended[e.AskID] != "" || a.void[e.AskID] {
			rt.Fatalf("law 12: a vote on %s, which is closed", e.AskID)
		}
		a.vote(rt, r, at, e)
		a.given[e.AskID] = append(a.given[e.AskID], e.Vote)
	case backout.Answered:
		if a.ended[e.AskID] != "" || a.void[e.AskID] {
			rt.Fatalf("law 11: %s is decided twice", e.AskID)
		}
		a.ended[e.AskID] = e.Outcome
	case backout.ApprovalVoided:
		a.void[e.AskID] = true
		if e.Entered {
			a.takenBack = e.Level + 1
			if !r.LevelStartedAt.IsZero() {
				rt.Fatalf("law 12: %s is taken back, and something of it has started", e.AskID)
			}
		}
	case backout.GlassBroken:
		if e.Reason == "" || e.By == "eve" || a.void[e.AskID] {
			rt.Fatalf("law 15: %+v", e)
		}
		a.glass[e.AskID] = e.By
	case backout.Reviewed:
		if a.glass[e.AskID] == "" || a.glass[e.AskID] == e.By || e.Reason == "" {
			rt.Fatalf("law 15: %s reviews what %q did: %q", e.By, a.glass[e.AskID], e.Reason)
		}
		delete(a.glass, e.AskID)
	case backout.LastCall:
		a.lastCall(rt, r, at, e)
	case backout.VoteRefused:
		a.moves(rt, r, at, e)
	case backout.StepStarted:
		if g := r.Given; g != nil && !g.Until.IsZero() && !at.Before(g.Until) {
			rt.Fatalf("law 12: a step starts at %s by what was good until %s", at, g.Until)
		}
		if a.takenBack == r.Level+2 {
			rt.Fatalf("law 12: a step of L%d starts after it was taken back", a.takenBack)
		}
	}
}

// lastCall: once for a question, while it is open and lacks votes, in its last minutes.
func (a *askWorld) lastCall(rt *rapid.T, r backout.Rollback, at time.Time, e backout.LastCall) {
	ask := r.Ask
	if ask == nil || ask.ID != e.AskID || a.called[e.AskID] {
		rt.Fatalf("law 17: called to %s, before: %v, open: %+v", e.AskID, a.called, ask)
	}
	left := ask.Deadline.Sub(at)
	if ask.Policy.Mode != backout.ApprovalRequired || left <= 0 || left > backout.LastCallBefore || !ask.DownAt.IsZero() || !r.PausedAt.IsZero() {
		rt.Fatalf("law 17: called to %+v with %s left", ask, left)
	}
	a.called[e.AskID] = true
}

// vote: four eyes, and what the question wants of who approves.
func (a *askWorld) vote(rt *rapid.T, r backout.Rollback, at time.Time, e backout.Voted) {
	v := e.Vote
	if v.Choice != backout.ChoiceApprove {
		return
	}
	if slices.ContainsFunc(a.given[e.AskID], func(old backout.Vote) bool { return old.User == v.User && old.Choice == v.Choice }) {
		rt.Fatalf("law 13: %s counts twice", v.User)
	}
	p := r.Ask.Policy
	if slices.Contains([]string{"rita", "paul", "eve"}, v.User) {
		rt.Fatalf("law 13: %s may not approve", v.User)
	}
	if len(p.Channels) > 0 && !slices.Contains(p.Channels, v.Via) {
		rt.Fatalf("law 13: an approval by %q counts, wanted %v", v.Via, p.Channels)
	}
	if age := at.Sub(v.LoginAt); p.StepUp > 0 && (v.LoginAt.IsZero() || age > time.Duration(p.StepUp) || age < -time.Minute) {
		rt.Fatalf("law 13: an approval counts with a login of %s ago", age)
	}
}

// votes are how many different people have approved the question.
func (a *askWorld) votes(askID string) int {
	users := map[string]bool{}
	for _, v := range a.given[askID] {
		if v.Choice == backout.ChoiceApprove {
			users[v.User] = true
		}
	}
	return len(users)
}

// start: an approval starts the level it was asked for, on the targets it was asked
// for, once; and a voided one starts nothing.
func (a *askWorld) start(rt *rapid.T, r backout.Rollback, e backout.LevelEntered, in Input) {
	if e.AskID == "" {
		return
	}
	ask, outcome := a.asks[e.AskID], a.ended[e.AskID]
	switch {
	case ask.Level != e.Level || ask.PlanHash != r.Frozen.Hash:
		rt.Fatalf("law 11: %s was asked for level %d and starts level %d", e.AskID, ask.Level, e.Level)
	case a.begun[e.AskID]:
		rt.Fatalf("law 11: %s lets a level begin twice", e.AskID)
	case a.void[e.AskID]:
		rt.Fatalf("law 12: %s is void and starts %d", e.AskID, e.Level)
	case outcome == "approved" || outcome == "break_glass":
		if !slices.Equal(ask.Targets, e.Targets) {
			rt.Fatalf("law 11: asked for %v, starts on %v", ask.Targets, e.Targets)
		}
	case outcome == "unheld" || outcome == "expired":
		a.silence(rt, ask, in)
	default:
		rt.Fatalf("law 11: %s is %q and starts level %d", e.AskID, outcome, e.Level)
	}
	a.begun[e.AskID] = true
}

// silence: a silence starts a level only after its whole time, of which nothing counts
// while nobody could be told. Where it matters whether they could, only the clock starts
// it, once that is known.
func (a *askWorld) silence(rt *rapid.T, ask backout.Ask, in Input) {
	if tick, ok := in.(Tick); (!ok || tick.Unsure) && ask.Policy.OnChannelDown == backout.ChannelDownHold {
		rt.Fatalf("law 14: %#v starts a level by silence, and nobody has looked whether people could speak", in)
	}
	wait := time.Duration(ask.Policy.Veto)
	if ask.Policy.Mode != backout.ApprovalVeto {
		wait = time.Duration(ask.Policy.Expires)
	}
	if a.ran[ask.ID] < wait {
		rt.Fatalf("law 14: the window of %s is %s, and somebody could be told for %s", ask.ID, wait, a.ran[ask.ID])
	}
	if a.down && ask.Policy.OnChannelDown == backout.ChannelDownHold {
		rt.Fatalf("law 14: %s starts a level while nobody can be told", ask.ID)
	}
}

// sent: the open question is known by the notices by which people are asked it.
func (a *askWorld) sent(rt *rapid.T, r backout.Rollback, commands []backout.Command, rec backout.Record) {
	asked := slices.ContainsFunc(rec.Events, func(e backout.Event) bool { return e.Kind() == backout.Asked{}.Kind() })
	if !asked || r.Ask == nil {
		return
	}
	var told []backout.Notice
	for _, c := range commands {
		if tell, ok := c.(backout.Tell); ok && tell.Notice.Moment == backout.MomentApproval && tell.Notice.AskID == r.Ask.ID {
			told = append(told, tell.Notice)
		}
	}
	if diff := cmp.Diff(told, Question(r)); diff != "" || len(told) == 0 {
		rt.Fatalf("law 14: people are asked otherwise than it is looked for (-told +question):\n%s", diff)
	}
}

// moves: a refused vote moves nothing but its own count.
func (a *askWorld) moves(rt *rapid.T, r backout.Rollback, at time.Time, e backout.VoteRefused) {
	after := Apply(r, at, e)
	if after.Ask != nil {
		ask := *after.Ask
		ask.Refused = r.Ask.Refused
		after.Ask = &ask
	}
	if after.Decided != nil {
		done := *after.Decided
		done.Refused = r.Decided.Refused
		after.Decided = &done
	}
	if diff := cmp.Diff(r, after); diff != "" {
		rt.Fatalf("law 16: a refused vote moves something:\n%s", diff)
	}
}

// TestBrokenGlassStaysOpen: law 15 on a whole life: nothing but another person's review
// closes it, and the end does not.
func TestBrokenGlassStaysOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newLawWorld(rt)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.step(rt)
			open := 0
			for _, v := range w.r.Reviews {
				if v.ReviewedBy == "" {
					open++
				}
			}
			if open != len(w.asked.glass) {
				rt.Fatalf("law 15: %d reviews are open, %d times the glass was broken: %+v", open, len(w.asked.glass), w.r.Reviews)
			}
		}
	})
}

// TestRefusedVotesAreBounded: nobody can flood the log, and each is told all the same.
func TestRefusedVotesAreBounded(t *testing.T) {
	at := storyStart
	r := backout.Rollback{ID: "r", Level: -1, Status: backout.RollbackPending, Targets: []backout.TargetState{{Name: "web-1"}}}
	r.Frozen.Plan.Levels = []backout.Level{{Name: "L1"}}
	r.Ask = &backout.Ask{ID: "q", Policy: backout.Approval{Mode: backout.ApprovalRequired, Groups: []string{"sre"}}, Deadline: at.Add(time.Hour)}
	kept := 0
	const most = 2000
	for i := range most + 50 {
		events, err := Decide(r, at, Vote{AskID: "q", Vote: backout.Vote{User: fmt.Sprint("u", i), Choice: backout.ChoiceApprove, Reason: string(make([]byte, 5000))}})
		if err == nil && Refusal(events) == nil {
			t.Fatalf("vote %d counts", i)
		}
		for _, e := range events {
			no, ok := e.(backout.VoteRefused)
			if !ok || len(no.Vote.Reason) > refusedReason+3 || no.Last != (kept == most-1) {
				t.Fatalf("%d: %+v", i, e)
			}
			kept++
		}
		r = Fold(r, uint64(i+1), backout.Record{At: at, Events: events})
	}
	if kept != most {
		t.Errorf("%d refused votes are kept, want %d", kept, most)
	}
}

// TestNoticesOfAQuestionSayWhatIsAsked: everything that a card or a mail shows.
func TestNoticesOfAQuestionSayWhatIsAsked(t *testing.T) {
	opened := backout.Opened{
		RollbackID: "CHG1-r1", ChangeID: "CHG1", Requester: "rita", Targets: []string{"web-1"}, Patch: backout.Patch{CVEs: []string{"CVE-1", "CVE-2"}},
		Exploited: []string{"CVE-2"}, Labels: map[string]string{"team": "web"},
		Frozen: backout.FrozenPlan{Hash: "sha256:7f", Plan: backout.Plan{Author: "paul", Audience: []string{"ops"}, Levels: []backout.Level{{
			Name: "L1", Summary: "uninstall", Steps: []backout.Step{{Name: "undo", Uses: "dnf.undo"}, {Name: "systemd.restart", Uses: "systemd.restart"}},
			Approval: backout.Approval{Mode: backout.ApprovalRequired, Groups: []string{"sre"}, Votes: 2},
		}}}},
	}
	events, err := Decide(backout.Rollback{}, storyStart, Open{Opened: opened})
	if err != nil {
		t.Fatal(err)
	}
	var asked []backout.Notice
	for _, c := range Commands(backout.Rollback{}, 1, backout.Record{At: storyStart, Events: events}) {
		if tell, ok := c.(backout.Tell); ok && tell.Notice.Moment == backout.MomentApproval {
			asked = append(asked, tell.Notice)
		}
	}
	want := []backout.Notice{{
		ID: "CHG1-r1.1.1", Moment: backout.MomentApproval, Audience: "ops", ChangeID: "CHG1", RollbackID: "CHG1-r1", NextLevel: "L1", Targets: []string{"web-1"},
		CVEs: []string{"CVE-1", "CVE-2"}, At: storyStart, Deadline: storyStart.Add(30 * time.Minute), IfNobodyActs: "the rollback is held", Reason: "L1 needs an approval",
		AskID: "CHG1-r1.q1", VotesNeeded: 2, Groups: []string{"sre"}, Excluded: []string{"rita", "paul"}, PlanHash: "sha256:7f",
		PlanText: "L1 uninstall: undo (dnf.undo), systemd.restart", Steps: []string{"undo (dnf.undo)", "systemd.restart"}, Exploited: []string{"CVE-2"},
		Labels: map[string]string{"team": "web"}, Opened: storyStart,
	}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNobodyIsCalledToWhatIsOver: also while it is not known whether the question reached
// anybody, so that its time is up and nothing follows yet.
func TestNobodyIsCalledToWhatIsOver(t *testing.T) {
	asked := time.Date(2026, 1, 2, 2, 0, 0, 0, time.UTC)
	r := backout.Rollback{
		ID: "CHG1-r1", Status: backout.RollbackPending, Level: -1, Targets: []backout.TargetState{{Name: "web-1"}},
		Frozen: backout.FrozenPlan{Plan: backout.Plan{Levels: []backout.Level{{Name: "L1"}, {Name: "L2"}}}},
		Ask: &backout.Ask{ID: "CHG1-r1.q1", AskedAt: asked, Deadline: asked.Add(10 * time.Minute), Policy: backout.Approval{
			Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, OnExpiry: backout.ExpiryGo, OnChannelDown: backout.ChannelDownHold,
		}},
	}
	for after, want := range map[time.Duration]int{7 * time.Minute: 0, 8 * time.Minute: 1, 9 * time.Minute: 1, 10 * time.Minute: 0, 11 * time.Minute: 0} {
		events, err := Decide(r, asked.Add(after), Tick{Unsure: true})
		if err != nil || len(events) != want {
			t.Errorf("after %s: %v, %+v; want %d calls", after, err, events, want)
		}
	}
}
