package handlers

import (
	"context"
	"time"

	"github.com/backout-io/backout"
)

// Insight is what pages show beside what the API changes: how things came to be as
// they are, and whether everything is well. It changes nothing.
type Insight interface {
	// GateAnswer returns the gate's last answer about the change, with every cell of
	// its table; wraps backout.ErrNotFound when the gate was never asked.
	GateAnswer(ctx context.Context, changeID string) (GateResult, error)
	// RedHistory tells when which of the change's targets were red, from before its
	// window opened until it ended or now. It reads stored alerts, and says where it
	// stopped.
	RedHistory(ctx context.Context, changeID string) (RedHistory, error)
	// RollbackNotices lists the notices about the rollback, the oldest first: what was
	// delivered, what waits, what was given up.
	RollbackNotices(ctx context.Context, rollbackID string) ([]NoticeStatus, error)
	// Offered lists what the actor may do to the rollback as it stands, what only stops
	// first. Whatever else they send is refused.
	Offered(ctx context.Context, by Actor, r backout.Rollback) []Offer
	// Examine asks everything that the server leans on whether it is well. It reaches
	// other systems, and posts nothing.
	Examine(ctx context.Context, by Actor) ([]Health, error)
	// Watch calls fn, which must not block, whenever anything that pages show may have
	// changed: a change, a rollback, the pause switch, monitoring, what is red, a step's
	// output. It may call it more often, and once for several. It stops when stop
	// returns.
	Watch(fn func()) (stop func())
}

// RedHistory tells when targets were red.
type RedHistory struct {
	// From and Until bound what was looked at.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Targets are the change's, in their order; MoreTargets how many more there are.
	Targets     []TargetHistory `json:"targets"`
	MoreTargets int             `json:"more_targets,omitempty"`
	// Cut says what is missing, and why; empty when nothing is.
	Cut string `json:"cut,omitempty"`
}

// TargetHistory tells when one target was red.
type TargetHistory struct {
	Target string    `json:"target"`
	Red    []RedSpan `json:"red"`
}

// RedSpan is a time during which a target was red without a break.
type RedSpan struct {
	From time.Time `json:"from"`
	// To is zero where it had not ended by the end of what was looked at.
	To time.Time `json:"to,omitzero"`
	// Alerts are the names of those that fired, sorted.
	Alerts []string `json:"alerts"`
}

// ReplayRequest asks what rules would have done.
type ReplayRequest struct {
	// Since and Until bound the past that is looked at; both are needed, and at most
	// [ReplayMost] apart.
	Since time.Time
	Until time.Time
	// Rule is the only one that is reported on; empty means all.
	Rule string
	// File is a rule file to try in place of the server's rules; empty means these.
	File []byte
}

// ReplayMost is the longest past that a page replays; the command replays any.
const ReplayMost = 90 * 24 * time.Hour

// Health says how one thing is that the server leans on.
type Health struct {
	// Kind is what it is: config, store, monitoring, channel, runner, target, pause,
	// clock or rule.
	Kind string `json:"kind"`
	// Name tells it from others of its kind.
	Name string `json:"name,omitempty"`
	// State is well, doubtful or broken.
	State string `json:"state"`
	// Says is what was found, Do what to do about it; empty when it is well.
	Says string `json:"says"`
	Do   string `json:"do,omitempty"`
}

// The values of [Health.State].
const (
	HealthWell     = "well"
	HealthDoubtful = "doubtful"
	HealthBroken   = "broken"
)

// Offer is something that one person may do to a rollback as it stands now: the core
// would take it.
type Offer struct {
	// Answer is approve or deny, which are votes, or a [Verb].
	Answer string
	// AskID is the question that it is about, AttemptID and Target the attempt in doubt.
	AskID     string
	AttemptID string
	Target    string
	// FreshLogin tells that it is taken after a fresh login only.
	FreshLogin bool
}
