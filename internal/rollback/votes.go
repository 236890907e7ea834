package rollback

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

const (
	// refusedMost is how many refused votes on a question the log keeps: of a thousand
	// decisions at once all are there, pressed again too, and nobody can flood it.
	refusedMost = 2000
	// refusedReason bounds, in bytes, what a refused voter had to say.
	refusedReason = 200
	// loginSkew is how far a login may lie in the future: servers' clocks differ.
	loginSkew = time.Minute
)

// refusal is why an answer does not count. One that is outdated is so for what void
// says.
type refusal struct{ cause, reason, void string }

// refusals says which sentinel each cause wraps.
var refusals = map[string]error{
	backout.RefusalTooLate: backout.ErrStale, backout.RefusalOutdated: backout.ErrStale, backout.RefusalPaused: backout.ErrPaused,
	backout.RefusalTwice: backout.ErrExists, backout.RefusalExcluded: backout.ErrRefused, backout.RefusalGroup: backout.ErrRefused,
	backout.RefusalChannel: backout.ErrRefused, backout.RefusalLogin: backout.ErrRefused,
	backout.RefusalForbidden: backout.ErrForbidden, backout.RefusalUnmapped: backout.ErrForbidden, backout.RefusalInactive: backout.ErrForbidden,
}

func (no refusal) err() error {
	sentinel, ok := refusals[no.cause]
	if !ok {
		sentinel = backout.ErrRefused
	}
	return fmt.Errorf("%s: %w", no.reason, sentinel)
}

// Refusal returns the error for whoever gave a vote that was recorded as refused, or
// nil when none of the events is one. The caller owes it to them once the events are
// stored.
func Refusal(events []backout.Event) error {
	for _, e := range events {
		if no, ok := e.(backout.VoteRefused); ok {
			return refusal{cause: no.Cause, reason: no.Reason}.err()
		}
	}
	return nil
}

func (d *decider) vote(in Vote) error {
	v := in.Vote
	v.At = d.at
	switch {
	case v.User == "":
		return fmt.Errorf("a vote needs a named person: %w", backout.ErrInvalid)
	case v.Choice != backout.ChoiceApprove && v.Choice != backout.ChoiceDeny:
		return fmt.Errorf("choice %q: want approve or deny: %w", v.Choice, backout.ErrInvalid)
	}
	no := d.answerable(in.AskID)
	if no == nil {
		no = d.counts(v)
	}
	if no != nil {
		return d.refuse(in.AskID, v, *no)
	}
	d.emit(backout.Voted{AskID: in.AskID, Vote: v})
	if v.Choice == backout.ChoiceDeny {
		d.hold(backout.HoldDenied, "denied", fmt.Sprintf("%s denied %s", v.User, d.levelName(d.r.Ask.Level)), v.User)
	}
	return nil
}

// answerable says why nobody can answer the question now; nil when they can.
func (d *decider) answerable(askID string) *refusal {
	switch ask, done := d.r.Ask, d.r.Decided; {
	case ask != nil && ask.ID == askID && d.r.PausedAt.IsZero():
		return nil
	case ask != nil && ask.ID == askID:
		return because(backout.RefusalPaused, "question %s waits, the rollback is paused", askID)
	case done != nil && done.AskID == askID:
		return because(backout.RefusalTooLate, "%s", d.decidedInWords(*done))
	}
	return because(backout.RefusalTooLate, "question %s is not open", askID)
}

// decidedInWords tells whoever comes too late who was first.
func (d *decider) decidedInWords(done backout.Decided) string {
	when := done.At.UTC().Format(time.RFC3339)
	if done.Outcome == "voided" {
		said := fmt.Sprintf("question %s counts no more since %s: %s", done.AskID, when, done.Reason)
		if d.r.Ask != nil {
			said += "; " + d.r.Ask.ID + " is asked in its place"
		}
		return said
	}
	by := done.By
	if by == "" {
		by = "the clock"
	}
	return fmt.Sprintf("already decided by %s at %s: %s %s", by, when, d.levelName(done.Level), cmp.Or(outcomes[done.Outcome], done.Outcome))
}

// outcomes are what became of a level that was asked for.
var outcomes = map[string]string{
	"approved": "was approved", "denied": "was denied", "held": "was held", "expired": "had not been approved in time",
	"unheld": "was not held in time", "moot": "is not needed any more", "superseded": "was left out", "break_glass": "was started by break-glass",
}

// counts says why the vote does not count. A denial counts whoever gives it.
func (d *decider) counts(v backout.Vote) *refusal {
	ask := d.r.Ask
	if slices.ContainsFunc(ask.Votes, func(old backout.Vote) bool { return old.User == v.User && old.Choice == v.Choice }) {
		return because(backout.RefusalTwice, "%s has voted already", v.User)
	}
	if v.Choice != backout.ChoiceApprove {
		return nil
	}
	if slices.Contains(ask.Excluded, v.User) {
		return because(backout.RefusalExcluded, "%s asked for this change, wrote its plan or started the rollback; somebody else must approve", v.User)
	}
	if no := member(v, ask.Policy.Groups); no != nil {
		return no
	}
	if no := d.heardBy(v); no != nil {
		return no
	}
	if no := d.proved(v); no != nil {
		return no
	}
	return d.current(v)
}

func because(cause, format string, args ...any) *refusal {
	return &refusal{cause: cause, reason: fmt.Sprintf(format, args...)}
}

func member(v backout.Vote, groups []string) *refusal {
	if slices.ContainsFunc(v.Groups, func(g string) bool { return slices.Contains(groups, g) }) {
		return nil
	}
	if len(groups) == 0 {
		return because(backout.RefusalGroup, "the plan names no group that may start it, so nobody may; holding and denying are open to anybody on duty")
	}
	return because(backout.RefusalGroup, "%s is in none of the approving groups %v", v.User, groups)
}

// heardBy wants one of the channels that the question takes, where it names some.
func (d *decider) heardBy(v backout.Vote) *refusal {
	channels := d.r.Ask.Policy.Channels
	if len(channels) == 0 || slices.Contains(channels, v.Via) {
		return nil
	}
	return because(backout.RefusalChannel, "an approval of %s counts by %s only, not by %q", d.levelName(d.r.Ask.Level), strings.Join(channels, " or "), v.Via)
}

// proved wants a login that is fresh enough, where the question does.
func (d *decider) proved(v backout.Vote) *refusal {
	within := time.Duration(d.r.Ask.Policy.StepUp)
	if within <= 0 {
		return nil
	}
	age := d.at.Sub(v.LoginAt)
	if !v.LoginAt.IsZero() && age <= within && age >= -loginSkew {
		return nil
	}
	return because(backout.RefusalLogin, "%s takes a login within the last %s; log in again and then approve", d.levelName(d.r.Ask.Level), backout.Duration(within))
}

// current says why the question is about something else by now, or what was voted on
// it before is.
func (d *decider) current(v backout.Vote) *refusal {
	why := unbound(&d.r, d.r.Ask)
	if why == "" && v.Members != "" && regrouped(d.r.Ask, v.Members) {
		why = otherMembers
	}
	if why == "" {
		return nil
	}
	no := because(backout.RefusalOutdated, "question %s counts no more: %s; %s is asked anew", d.r.Ask.ID, why, d.levelName(d.r.Ask.Level))
	no.void = why
	return no
}

// refuse records an answer that does not count, while there is room for it. What is
// recorded is no error here: see [Refusal].
func (d *decider) refuse(askID string, v backout.Vote, no refusal) error {
	var kept int
	switch ask, done := d.r.Ask, d.r.Decided; {
	case ask != nil && ask.ID == askID:
		kept = ask.Refused
	case done != nil && done.AskID == askID:
		kept = done.Refused
	default:
		return no.err()
	}
	if kept < refusedMost {
		v.At, v.Reason = d.at, clipped(v.Reason, refusedReason)
		d.emit(backout.VoteRefused{AskID: askID, Vote: v, Cause: no.cause, Reason: no.reason, Last: kept+1 == refusedMost})
	}
	if no.void != "" {
		d.void(*d.r.Ask, no.void, no.void != otherMembers)
	}
	if kept < refusedMost {
		return nil
	}
	return no.err()
}

// refused records what another part of the server has refused already.
func (d *decider) refused(in Refused) error {
	switch {
	case in.Vote.User == "" || in.Reason == "":
		return fmt.Errorf("a refusal names who was refused, and why: %w", backout.ErrInvalid)
	case !slices.Contains([]string{backout.RefusalForbidden, backout.RefusalUnmapped, backout.RefusalInactive}, in.Cause):
		return fmt.Errorf("cause %q: want forbidden, unmapped or inactive: %w", in.Cause, backout.ErrInvalid)
	}
	return d.refuse(in.AskID, in.Vote, refusal{cause: in.Cause, reason: in.Reason})
}

// about takes what somebody wants who has a certain question before them.
func (d *decider) about(in About) error {
	if no := d.answerable(in.AskID); no != nil && no.cause != backout.RefusalPaused {
		return d.refuse(in.AskID, in.Vote, *no)
	}
	return d.take(in.Do)
}

// breakGlass lets one person of the approving groups start the level that is asked
// for, the requester too: the votes are what is missing, not the right to vote.
func (d *decider) breakGlass(in BreakGlass) error {
	v := in.Vote
	v.At = d.at
	switch {
	case v.User == "":
		return fmt.Errorf("only a named person breaks the glass: %w", backout.ErrInvalid)
	case strings.TrimSpace(v.Reason) == "":
		return fmt.Errorf("say why: whoever breaks the glass gives a reason: %w", backout.ErrInvalid)
	}
	no := d.answerable(in.AskID)
	if no == nil {
		no = member(v, d.allowed(d.r.Ask))
	}
	if no == nil {
		no = d.heardBy(v)
	}
	if no == nil {
		no = d.proved(v)
	}
	if no == nil {
		no = d.current(v)
	}
	if no != nil {
		v.Choice = choiceBreakGlass
		return d.refuse(in.AskID, v, *no)
	}
	ask := *d.r.Ask
	d.emit(backout.GlassBroken{
		AskID: ask.ID, Level: ask.Level, By: v.User, Via: v.Via, Reason: v.Reason, Votes: ask.Approvals(), Needed: max(1, ask.Policy.Votes), Members: v.Members,
	})
	d.close("break_glass", v.User)
	d.beginAsked(ask, "break-glass by "+v.User+": "+v.Reason, true)
	return nil
}

// choiceBreakGlass is how a refused break-glass stands among the refused votes.
const choiceBreakGlass backout.Choice = "break_glass"

// review takes what somebody else says of a level that one person started.
func (d *decider) review(in Review) error {
	switch {
	case in.By == "":
		return fmt.Errorf("a review needs a named person: %w", backout.ErrInvalid)
	case strings.TrimSpace(in.Reason) == "":
		return fmt.Errorf("say what you found: a review needs a reason: %w", backout.ErrInvalid)
	}
	i := slices.IndexFunc(d.r.Reviews, func(v backout.Review) bool {
		return v.ReviewedBy == "" && (in.AskID == "" || v.AskID == in.AskID)
	})
	switch {
	case i < 0:
		return fmt.Errorf("rollback %s has nothing to review: %w", d.r.ID, backout.ErrRefused)
	case d.r.Reviews[i].By == in.By:
		return fmt.Errorf("%s broke the glass; somebody else must review it: %w", in.By, backout.ErrRefused)
	}
	d.emit(backout.Reviewed{AskID: d.r.Reviews[i].AskID, By: in.By, Reason: in.Reason})
	return nil
}

func (d *decider) levelName(level int) string {
	if level < 0 || level >= len(d.r.Frozen.Plan.Levels) {
		return "the level"
	}
	return d.r.Frozen.Plan.Levels[level].Name
}

// clipped cuts a text to so many bytes, at the end of a character.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
