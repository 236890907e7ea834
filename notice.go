package backout

import (
	"context"
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
		MomentGateRefused, MomentWindowOpened, MomentWindowClosed, MomentNotReady, MomentReadyAgain, MomentRed, MomentApproval, MomentLevelStarted,
		MomentOverdue, MomentEscalated, MomentHeld, MomentResumed, MomentPaused, MomentInDoubt, MomentRecovered,
		MomentDrift, MomentExhausted, MomentAborted, MomentCancelled, MomentReopened,
		MomentMonitoringBlind, MomentMonitoringBack, MomentTest,
	}
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
	// URL leads to the rollback or change on the server.
	URL string `json:"url,omitempty"`
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

// Notifier carries messages to people through one channel. It may be called
// again with a message it has delivered before; Notice.ID tells. An error marked
// by [Permanent] gives the message up, any other is retried; an error with
// RetryAfter() time.Duration says when.
type Notifier interface {
	Notify(ctx context.Context, m Message) (Receipt, error)
}
