package backout

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Moment is what a notice is about.
type Moment string

// The moments. Each has a default template in package notifier.
const (
	MomentGateRefused  Moment = "gate_refused"
	MomentWindowOpened Moment = "window_opened"
	MomentWindowClosed Moment = "window_closed"
	MomentNotReady     Moment = "not_ready"
	MomentReadyAgain   Moment = "ready_again"
	MomentDrift        Moment = "drift"
	MomentRed          Moment = "red"
	MomentApproval     Moment = "approval_needed"
	// MomentLastCall says that a question expires in [LastCallBefore] and still lacks votes.
	MomentLastCall Moment = "last_call"
	// MomentVoided says that what was decided counts no more: something it was bound
	// to has changed.
	MomentVoided Moment = "approval_voided"
	// MomentBreakGlass says that one person started a level without the votes it needs.
	MomentBreakGlass Moment = "break_glass"
	// MomentUnreachable says that nobody can be asked: no channel works by which
	// somebody could stop what waits.
	MomentUnreachable  Moment = "channels_down"
	MomentLevelStarted Moment = "level_started"
	MomentOverdue      Moment = "overdue"
	MomentEscalated    Moment = "escalated"
	MomentHeld         Moment = "held"
	MomentResumed      Moment = "resumed"
	MomentPaused       Moment = "paused"
	MomentInDoubt      Moment = "in_doubt"
	MomentRecovered    Moment = "recovered"
	MomentExhausted    Moment = "exhausted"
	MomentAborted      Moment = "aborted"
	MomentCancelled    Moment = "cancelled"
	MomentReopened     Moment = "reopened"
	// These two are about no change and no rollback.
	MomentMonitoringBlind Moment = "monitoring_blind"
	MomentMonitoringBack  Moment = "monitoring_back"

	MomentTest Moment = "test"
)

// Moments lists every moment, in the order of a rollback's life.
func Moments() []Moment {
	return []Moment{
		MomentGateRefused, MomentWindowOpened, MomentWindowClosed, MomentNotReady, MomentReadyAgain, MomentRed,
		MomentApproval, MomentLastCall, MomentVoided, MomentBreakGlass, MomentUnreachable, MomentLevelStarted,
		MomentOverdue, MomentEscalated, MomentHeld, MomentResumed, MomentPaused, MomentInDoubt, MomentRecovered,
		MomentDrift, MomentExhausted, MomentAborted, MomentCancelled, MomentReopened,
		MomentMonitoringBlind, MomentMonitoringBack, MomentTest,
	}
}

// NeedsPerson tells that a notice of the moment is of no use unless somebody reads it:
// without a person nothing goes on, or nobody would know.
func (m Moment) NeedsPerson() bool {
	switch m { //nolint:exhaustive // the others tell what happens by itself
	case MomentApproval, MomentLastCall, MomentVoided, MomentHeld, MomentInDoubt, MomentExhausted, MomentBreakGlass, MomentUnreachable, MomentMonitoringBlind:
		return true
	}
	return false
}

// Notice is one message for one audience at one moment. The fields are the
// contract of notice templates.
type Notice struct {
	// ID makes a second delivery recognisable: rollback or change, sequence and
	// index. Notices of one event to several audiences share it, so that a
	// channel which serves two of them is told once.
	ID       string `json:"id"`
	Moment   Moment `json:"moment"`
	Audience string `json:"audience"`
	// ChangeID is empty in notices about monitoring.
	ChangeID   string `json:"change_id"`
	Title      string `json:"title,omitempty"`
	RollbackID string `json:"rollback_id,omitempty"`
	// Level and NextLevel are names ("L1"), empty when there is none.
	Level     string    `json:"level,omitempty"`
	NextLevel string    `json:"next_level,omitempty"`
	Summary   string    `json:"summary,omitempty"`
	Targets   []string  `json:"targets,omitempty"`
	CVEs      []string  `json:"cves,omitempty"`
	Rule      string    `json:"rule,omitempty"`
	AlertName string    `json:"alert_name,omitempty"`
	At        time.Time `json:"at"`
	// Deadline is when the next thing happens by itself; zero when nothing does.
	Deadline time.Time `json:"deadline,omitzero"`
	// IfNobodyActs says what happens then, in words.
	IfNobodyActs string `json:"if_nobody_acts,omitempty"`
	// Loses says what data the asked or started level destroys.
	Loses  string `json:"loses,omitempty"`
	Reason string `json:"reason,omitempty"`
	// AskID and the counts are set when votes are wanted.
	AskID       string `json:"ask_id,omitempty"`
	VotesNeeded int    `json:"votes_needed,omitempty"`
	VotesGiven  int    `json:"votes_given,omitempty"`
	// Groups are whose votes count, Excluded who may not approve.
	Groups   []string `json:"groups,omitempty"`
	Excluded []string `json:"excluded,omitempty"`
	// PlanHash names the plan that is followed, PlanText says it in words: each level
	// with its steps. Steps are those of the asked or started level.
	PlanHash string   `json:"plan_hash,omitempty"`
	PlanText string   `json:"plan_text,omitempty"`
	Steps    []string `json:"steps,omitempty"`
	// Exploited are those of the CVEs that are known to be exploited.
	Exploited []string `json:"exploited,omitempty"`
	// Labels are the change's.
	Labels map[string]string `json:"labels,omitempty"`
	// Outcome is what became of the change; set when it has ended.
	Outcome ChangeState `json:"outcome,omitempty"`
	// Opened is when the rollback was opened; its first notice's time at the earliest.
	Opened time.Time `json:"opened,omitzero"`
	// URL leads to the rollback or change on the server.
	URL string `json:"url,omitempty"`
}

// abridgedMost is how many targets, CVEs and steps an abridged notice names.
const abridgedMost = 20

// Abridged is the notice without what grows with its change, for a store that cannot take
// the whole; what was left out is to be read on the server. Its labels stay: routes go by
// them.
func (n Notice) Abridged() Notice {
	n.Reason = strings.TrimPrefix(fmt.Sprintf("%s (%d targets in all; this notice was too large to be told whole)", n.Reason, len(n.Targets)), " ")
	for _, list := range []*[]string{&n.Targets, &n.CVEs, &n.Steps, &n.Exploited} {
		*list = (*list)[:min(len(*list), abridgedMost)]
	}
	n.PlanText = ""
	return n
}

// Message is a notice rendered for one channel.
type Message struct {
	Notice Notice
	// Subject is one line, Text the whole, both plain text with every value
	// already escaped for the channel.
	Subject string
	Text    string
	// Thread is the receipt of the first message about the same rollback on
	// this channel; nil for the first.
	Thread *Receipt
}

// Receipt names a delivered message in its channel.
type Receipt struct {
	// Ref is the channel's own name of the message (a Slack timestamp, a
	// Message-ID).
	Ref string `json:"ref,omitempty"`
	// Channel is where it went.
	Channel string `json:"channel,omitempty"`
}

// PartlyError says that some of the people behind a channel have the message, under
// Receipt, and others do not.
type PartlyError struct {
	Receipt Receipt
	// Err says who has not got it and why. Where it is [Permanent] they never will.
	Err error
}

// Error implements error.
func (e *PartlyError) Error() string {
	if e.Err == nil {
		return "some of the people behind the channel do not have it"
	}
	return e.Err.Error()
}

// Unwrap returns why not everybody has it.
func (e *PartlyError) Unwrap() error { return e.Err }

// Notifier carries messages to people through one channel. It may be called
// again with a message it has delivered before; Notice.ID tells. An error marked
// by [Permanent] gives the message up, any other is retried; an error with
// RetryAfter() time.Duration says when. A [PartlyError] counts as delivered: the rest is
// retried for minutes only.
type Notifier interface {
	Notify(ctx context.Context, m Message) (Receipt, error)
}
