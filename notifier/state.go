package notifier

import "github.com/backout-io/backout"

// State is how things stand after a moment, for channels that keep one thing for a
// rollback: an incident, an alert, a ticket.
type State string

// The values of [State].
const (
	// StateOK: nothing is wrong, or it has been put right. It is news about a change
	// or about monitoring, never about a rollback.
	StateOK State = "ok"
	// StatePending: something waits, for its time or for a person.
	StatePending State = "pending"
	// StateRunning: a level is being carried out.
	StateRunning State = "running"
	// StateEnded: the rollback is over and nobody has to do anything. Exhausted is
	// not that: its last level did not help, and people must take over.
	StateEnded State = "ended"
)

// Severity is how much a moment matters, in PagerDuty's words: critical and error
// wake somebody up, warning and info do not.
type Severity string

// The values of [Severity].
const (
	SeverityCritical Severity = "critical"
	SeverityError    Severity = "error"
	SeverityWarning  Severity = "warning"
	SeverityInfo     Severity = "info"
)

var standings = map[backout.Moment]struct {
	state    State
	severity Severity
}{
	backout.MomentGateRefused:     {StatePending, SeverityWarning},
	backout.MomentWindowOpened:    {StateOK, SeverityInfo},
	backout.MomentWindowClosed:    {StateOK, SeverityInfo},
	backout.MomentNotReady:        {StatePending, SeverityWarning},
	backout.MomentReadyAgain:      {StateOK, SeverityInfo},
	backout.MomentRed:             {StatePending, SeverityError},
	backout.MomentApproval:        {StatePending, SeverityError},
	backout.MomentLastCall:        {StatePending, SeverityCritical},
	backout.MomentVoided:          {StatePending, SeverityError},
	backout.MomentBreakGlass:      {StateRunning, SeverityCritical},
	backout.MomentUnreachable:     {StatePending, SeverityCritical},
	backout.MomentLevelStarted:    {StateRunning, SeverityWarning},
	backout.MomentOverdue:         {StateRunning, SeverityError},
	backout.MomentEscalated:       {StateRunning, SeverityError},
	backout.MomentHeld:            {StatePending, SeverityCritical},
	backout.MomentResumed:         {StateRunning, SeverityWarning},
	backout.MomentPaused:          {StatePending, SeverityWarning},
	backout.MomentInDoubt:         {StatePending, SeverityCritical},
	backout.MomentRecovered:       {StateEnded, SeverityInfo},
	backout.MomentDrift:           {StatePending, SeverityWarning},
	backout.MomentExhausted:       {StatePending, SeverityCritical},
	backout.MomentAborted:         {StateEnded, SeverityInfo},
	backout.MomentCancelled:       {StateEnded, SeverityInfo},
	backout.MomentReopened:        {StateRunning, SeverityWarning},
	backout.MomentMonitoringBlind: {StatePending, SeverityCritical},
	backout.MomentMonitoringBack:  {StateOK, SeverityInfo},
	backout.MomentTest:            {StateOK, SeverityInfo},
}

// StateOf says how things stand after a moment; of one that is not known nothing is
// said but [StateOK].
func StateOf(m backout.Moment) State {
	if s, ok := standings[m]; ok {
		return s.state
	}
	return StateOK
}

// SeverityOf says how much a moment matters; one that is not known is
// [SeverityInfo].
func SeverityOf(m backout.Moment) Severity {
	if s, ok := standings[m]; ok {
		return s.severity
	}
	return SeverityInfo
}
