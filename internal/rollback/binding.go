package rollback

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

const (
	// validFor is how long a vote counts where the plan does not say it.
	validFor = backout.Duration(10 * time.Minute)
	// renewEvery is how soon a question that nobody has answered is asked anew about
	// fewer targets: a thousand of them that come back one by one are no storm.
	renewEvery = 30 * time.Second
	// upAtLeast is how long people have, or half the window where that is shorter,
	// from when they can be told again.
	upAtLeast = time.Minute
)

// silenceStarts tells whether the level starts when nobody says anything.
func silenceStarts(ask *backout.Ask) bool {
	return ask.Policy.Mode == backout.ApprovalVeto || ask.Policy.OnExpiry == backout.ExpiryGo
}

// Watched tells whether it matters to the rollback that people can be told: it asks
// something that starts a level when nobody answers, and waits for whoever cannot.
func Watched(r backout.Rollback) bool {
	return r.Ask != nil && !r.Status.Final() && r.PausedAt.IsZero() && silenceStarts(r.Ask) && r.Ask.Policy.OnChannelDown == backout.ChannelDownHold
}

// Question is the open question as people are asked it, one notice for each audience and
// of the time at which it was asked: it is the notice that was sent, by its id and its
// way, in the words of now. None without a question.
func Question(r backout.Rollback) []backout.Notice {
	if r.Ask == nil {
		return nil
	}
	notices := tell(r, backout.Asked{Ask: *r.Ask}, r.Ask.AskedAt)
	for i := range notices {
		notices[i].ID = r.Ask.NoticeID
	}
	return notices
}

// Bound names the question whose votes are bound to the members of these groups: the
// open one that has votes, or the one that let a level begin of which nothing has
// started. See [Approvers].
func Bound(r backout.Rollback) (askID string, groups []string, ok bool) {
	switch {
	case r.Status.Final():
	case r.Ask != nil && len(r.Ask.Votes) > 0:
		return r.Ask.ID, r.Ask.Policy.Groups, true
	case r.Given != nil && r.Decided != nil && r.Decided.AskID == r.Given.AskID && r.Decided.Members != "":
		return r.Given.AskID, r.Decided.Groups, true
	}
	return "", nil, false
}

// unbound says why the question is about something else by now, or nothing.
func unbound(r *backout.Rollback, ask *backout.Ask) string {
	if len(ask.Targets) == 0 {
		return "" // of an old release
	}
	now := remaining(*r)
	switch {
	case ask.PlanHash != r.Frozen.Hash:
		return "the plan is another one"
	case !slices.Equal(ask.Excluded, r.Excluded):
		return "who may not approve has changed"
	case slices.Equal(ask.Targets, now):
		return ""
	}
	back := slices.DeleteFunc(slices.Clone(ask.Targets), func(name string) bool { return slices.Contains(now, name) })
	if len(now)+len(back) != len(ask.Targets) {
		return "the targets are others"
	}
	if len(back) > 3 {
		return fmt.Sprintf("%d targets have recovered", len(back))
	}
	if len(back) == 1 {
		return back[0] + " has recovered"
	}
	return strings.Join(back, ", ") + " have recovered"
}

// lapse is when the first approval counts no more; zero when none ever does.
func lapse(ask *backout.Ask) (first time.Time, who string) {
	if ask.Policy.ValidFor == 0 {
		return time.Time{}, "" // of an old release
	}
	for _, v := range ask.Votes {
		until := v.At.Add(time.Duration(ask.Policy.ValidFor))
		if v.Choice == backout.ChoiceApprove && (first.IsZero() || until.Before(first)) {
			first, who = until, v.User
		}
	}
	return first, who
}

// renewal is when the question is to be asked anew because its targets are fewer;
// zero when it is not. With votes on it that is at once. A veto window that nobody has
// shortened goes on: it starts the level on what is left.
func renewal(r *backout.Rollback) time.Time {
	ask := r.Ask
	if unbound(r, ask) == "" || ask.Policy.Mode == backout.ApprovalVeto && len(ask.Votes) == 0 {
		return time.Time{}
	}
	if len(ask.Votes) > 0 {
		return ask.AskedAt
	}
	return ask.AskedAt.Add(renewEvery)
}

// renew asks anew what is about something else by now, or whose votes are too old.
// It reports whether it did.
func (d *decider) renew() bool {
	ask := *d.r.Ask
	if at := renewal(&d.r); !at.IsZero() && !d.at.Before(at) {
		d.void(ask, unbound(&d.r, &ask), true)
		return true
	}
	if at, who := lapse(&ask); !at.IsZero() && !d.at.Before(at) {
		d.void(ask, fmt.Sprintf("the approval of %s is older than %s", who, ask.Policy.ValidFor), true)
		return true
	}
	return false
}

// lastCall is when people are called for the last time to a question that lacks votes;
// zero when they are not, or have been. A short question is still fresh when its time is
// nearly up, and silence in a veto window is an answer.
func lastCall(ask *backout.Ask) time.Time {
	if ask.Policy.Mode != backout.ApprovalRequired || ask.Deadline.IsZero() || !ask.LastCallAt.IsZero() ||
		ask.Deadline.Sub(ask.AskedAt) < 2*backout.LastCallBefore {
		return time.Time{}
	}
	return ask.Deadline.Add(-backout.LastCallBefore)
}

// lastCall says that the question is nearly over, once, while its clock runs.
func (d *decider) lastCall() {
	ask := d.r.Ask
	if at := lastCall(ask); !at.IsZero() && ask.DownAt.IsZero() && !d.at.Before(at) && d.at.Before(ask.Deadline) {
		d.emit(backout.LastCall{AskID: ask.ID})
	}
}

// void ends the question and asks it anew. With keep the time that was left for it is
// kept: nobody can put an expiry off by voting.
func (d *decider) void(ask backout.Ask, reason string, keep bool) {
	d.emit(backout.ApprovalVoided{AskID: ask.ID, Level: ask.Level, Reason: reason, Votes: ask.Approvals()})
	d.enterAnew(ask.Level, "", &renewed{ask: ask, why: reason, keep: keep})
}

// voidGiven takes a level back that was let begin and of which nothing has started. A
// rollback that is paused or held asks anew when it goes on.
func (d *decider) voidGiven(reason string) {
	level := d.r.Level
	votes := 0
	if d.r.Decided != nil && d.r.Decided.Outcome == "approved" {
		votes = max(1, d.r.Frozen.Plan.Levels[level].Approval.Votes)
	}
	ask := backout.Ask{ID: d.r.Given.AskID, Level: level}
	d.emit(backout.ApprovalVoided{AskID: ask.ID, Level: level, Reason: reason, Votes: votes, Entered: true})
	if d.r.PausedAt.IsZero() && d.r.Status != backout.RollbackHeld {
		d.enterAnew(level, "", &renewed{ask: ask, why: reason})
	}
}

// renewed is the question that a new one is asked in place of.
type renewed struct {
	ask  backout.Ask
	why  string
	keep bool
}

// to writes into the new question what it takes over from the old one.
func (n *renewed) to(ask *backout.Ask, at time.Time) {
	if n == nil {
		return
	}
	ask.Renews = n.ask.ID
	ask.Why += "; asked anew: " + n.why
	ask.DownAt, ask.DownReason, ask.Downs = n.ask.DownAt, n.ask.DownReason, n.ask.Downs
	switch {
	case n.keep:
		ask.Deadline = n.ask.Deadline
	case !ask.DownAt.IsZero():
		ask.DownAt = at
	}
}

// approvers voids what was decided by people of groups whose members are others now.
func (d *decider) approvers(in Approvers) {
	askID, _, ok := Bound(d.r)
	switch {
	case !ok || askID != in.AskID:
	case d.r.Ask != nil:
		if regrouped(d.r.Ask, in.Members) {
			d.void(*d.r.Ask, otherMembers, false)
		}
	case d.r.Decided.Members != in.Members:
		d.voidGiven(otherMembers)
	}
}

const otherMembers = "who is in the approving groups has changed"

// regrouped tells whether a vote was given by one of groups that had other members.
func regrouped(ask *backout.Ask, members string) bool {
	return slices.ContainsFunc(ask.Votes, func(v backout.Vote) bool { return v.Members != "" && v.Members != members })
}

// atLeast is the time that people have from when they can be told.
func atLeast(ask *backout.Ask) time.Duration {
	window := time.Duration(ask.Policy.Expires)
	if ask.Policy.Mode == backout.ApprovalVeto {
		window = time.Duration(ask.Policy.Veto)
	}
	return min(window/2, upAtLeast)
}

// ToldLate tells whether a question that was delivered then has left people less than
// they have at least. One that was asked anew in its last minute ends when the old one
// would have, so only what arrives after that is late.
func ToldLate(ask *backout.Ask, delivered time.Time) bool {
	last := ask.Deadline.Add(-atLeast(ask))
	if ask.AskedAt.After(last) {
		last = ask.Deadline
	}
	return delivered.After(last) || delivered.Equal(ask.Deadline)
}

// reached lets the clock of a question stand still while nobody can be told of it.
func (d *decider) reached(in Reached) {
	ask := d.r.Ask
	if !Watched(d.r) || ask.ID != in.AskID {
		return
	}
	switch down := !ask.DownAt.IsZero(); {
	case in.OK && down:
		// A question that was asked anew keeps its deadline: the plan has its whole time.
		left := max(ask.Deadline.Sub(ask.DownAt), atLeast(ask))
		d.emit(backout.ChannelsUp{AskID: ask.ID, Deadline: d.at.Add(left)})
	case !in.OK && !down:
		d.emit(backout.ChannelsDown{AskID: ask.ID, Reason: in.Why})
	}
}

// lapsed tells whether what let the level begin counts no more, and nothing of the
// level has started.
func (d *decider) lapsed() bool {
	g := d.r.Given
	return g != nil && !g.Until.IsZero() && !d.at.Before(g.Until)
}

// allowed are the groups that may decide on a question: its own, or those of the levels
// behind it.
func (d *decider) allowed(ask *backout.Ask) []string {
	if len(ask.Policy.Groups) > 0 {
		return ask.Policy.Groups
	}
	return laterGroups(d.r.Frozen.Plan.Levels[ask.Level:])
}

// laterGroups are those of all these levels: who may decide on a later level may
// decide on an earlier one.
func laterGroups(levels []backout.Level) (groups []string) {
	for _, level := range levels {
		for _, g := range level.Approval.Groups {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	return groups
}
