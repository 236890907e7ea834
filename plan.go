package backout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plan is the back-out plan: the levels to climb, how to verify, who is told.
// It is written in a file, and frozen by its hash when a window opens.
type Plan struct {
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
	// Author never counts as an approver of this plan's levels.
	Author string `json:"author,omitempty"`
	// DataMigration says whether the patch also moves data. With forward_only no
	// level starts without an approval.
	DataMigration DataMigration `json:"data_migration"`
	// Levels are climbed in order, each at most once; 1 to 9 of them.
	Levels []Level `json:"levels"`
	Verify Verify  `json:"verify"`
	Limits Limits  `json:"limits"`
	// Baseline says what is captured and made before the patch.
	Baseline BaselineSpec `json:"baseline,omitzero"`
	// Cleanup steps run on each target once the change has ended, beside the
	// clean-up of every executor of the plan.
	Cleanup []Step `json:"cleanup,omitempty"`
	// Audience is told of what concerns no single level: opened, recovered, held.
	Audience []string `json:"audience,omitempty"`
}

// LevelNamed returns the index of the level by its name; empty means the first.
func (p *Plan) LevelNamed(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	i := slices.IndexFunc(p.Levels, func(l Level) bool { return l.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("plan %s has no level %q, it has L1 to L%d: %w", p.Name, name, len(p.Levels), ErrInvalid)
	}
	return i, nil
}

// BaselineSpec says what is captured of each target before the patch, and what is
// made on it for the way back.
type BaselineSpec struct {
	// Files are absolute paths or patterns of files whose content is compared.
	Files []string `json:"files,omitempty"`
	// Without are the parts that are not looked at (the Part constants).
	Without []string `json:"without,omitempty"`
	// Steps run on each target while its window opens: snapshots.
	Steps []Step `json:"steps,omitempty"`
	// ValidFor is how long a gate's yes is worth anything; 0 means 24 hours.
	ValidFor Duration `json:"valid_for,omitempty"`
	// Ignore are further differences that are expected after a rollback.
	Ignore []IgnoreDrift `json:"ignore,omitempty"`
}

// Steps that belong to no level have these names in place of a level's, in tasks
// and violations.
const (
	LevelBaseline = "baseline"
	LevelCleanup  = "cleanup"
)

// IgnoreDrift is one rule for differences that are expected after a rollback.
type IgnoreDrift struct {
	// Part is packages, machine, or one of the Part constants.
	Part string `json:"part"`
	// Name is a pattern of path.Match; "**" at its end matches everything below.
	Name string `json:"name"`
	// Reason is shown beside what it hides.
	Reason string `json:"reason"`
}

// DataMigration says what the patch does to data.
type DataMigration string

// The values of [DataMigration].
const (
	DataMigrationNone        DataMigration = "none"
	DataMigrationReversible  DataMigration = "reversible"
	DataMigrationForwardOnly DataMigration = "forward_only"
)

// Level is one way back: L1 uninstall the patch, L2 restore the snapshot, L3
// rebuild from the gold image.
type Level struct {
	// Name is "L1" to "L9", by position.
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
	Steps   []Step `json:"steps"`
	// EscalateAfter is counted from the start of the level's first step.
	EscalateAfter Duration `json:"escalate_after"`
	Approval      Approval `json:"approval"`
	// Audience is told of every change to and within this level.
	Audience []string `json:"audience,omitempty"`
	// Destructive is set when a step loses data written since the baseline.
	Destructive bool `json:"destructive,omitempty"`
	// Loses says in words what is lost, for the approval and the notice.
	Loses string `json:"loses,omitempty"`
	// MaxParallel is how many targets run a step at once; 0 means all.
	MaxParallel int `json:"max_parallel,omitempty"`
	// StopAtFailures holds the rollback when this share of the level's targets
	// (in percent, 1 to 100) has failed; 0 means off.
	StopAtFailures int `json:"stop_at_failures,omitempty"`
}

// InWords lists the level's steps, each with what it uses.
func (l Level) InWords() []string {
	out := make([]string, len(l.Steps))
	for i, s := range l.Steps {
		if out[i] = s.Uses; s.Name != "" && s.Name != s.Uses {
			out[i] = s.Name + " (" + s.Uses + ")"
		}
	}
	return out
}

// InWords says the plan for people, a level a line.
func (p Plan) InWords() string {
	lines := make([]string, len(p.Levels))
	for i, level := range p.Levels {
		lines[i] = level.Name
		if level.Summary != "" {
			lines[i] += " " + level.Summary
		}
		lines[i] += ": " + strings.Join(level.InWords(), ", ")
	}
	return strings.Join(lines, "\n")
}

// Step is one action, run on each target of its level.
type Step struct {
	Name string `json:"name,omitempty"`
	// Uses is "<executor>.<action>" or "<executor>".
	Uses string `json:"uses"`
	// With is the executor's own section, strictly decoded when the plan was
	// loaded, as canonical JSON.
	With json.RawMessage `json:"with,omitempty"`
	// Timeout ends a step that takes longer; 0 leaves it to the level's clock.
	Timeout Duration `json:"timeout,omitempty"`
	// OnOverdue is what happens to the running step when its level's time is up.
	// The executor declares it; the loader writes it here.
	OnOverdue OnOverdue `json:"on_overdue"`
	// Reboots says that the step reboots its target: it has ended well when its
	// command ended with 0, or was cut by the reboot, and the target answers under
	// another boot id.
	Reboots bool `json:"reboots,omitempty"`
}

// OnOverdue says what is done with a step that still runs when its level's time
// is up.
type OnOverdue string

// The values of [OnOverdue].
const (
	// OverdueWait lets the step end: interrupting it does more harm.
	OverdueWait OnOverdue = "wait"
	// OverdueStop stops the step.
	OverdueStop OnOverdue = "stop"
)

// Approval is the policy of one level: whose votes it needs before it starts.
type Approval struct {
	Mode ApprovalMode `json:"mode"`
	// Votes is how many different people must approve; at least 1 when required.
	Votes int `json:"votes,omitempty"`
	// Groups are whose votes count. Empty means nobody.
	Groups []string `json:"groups,omitempty"`
	// Veto is how long a veto window stays open.
	Veto Duration `json:"veto,omitempty"`
	// Expires ends an unanswered question; OnExpiry says how.
	Expires  Duration `json:"expires,omitempty"`
	OnExpiry OnExpiry `json:"on_expiry,omitempty"`
	// ValidFor is how long a vote counts, and how long a level that was let begin may
	// wait for its first step; 0 means 10 minutes.
	ValidFor Duration `json:"valid_for,omitempty"`
	// StepUp is how long ago an approver may have proved who they are; 0 does not ask.
	StepUp Duration `json:"step_up,omitempty"`
	// Channels are the only ones whose approvals count ([Vote.Via]); empty means all.
	Channels []string `json:"channels,omitempty"`
	// KnownExploitedVote asks for one vote more when the rollback reopens what is known
	// to be exploited.
	KnownExploitedVote bool `json:"known_exploited_vote,omitempty"`
	// OnChannelDown is what becomes of a silence that would start the level while
	// nobody can be told; empty means hold.
	OnChannelDown OnChannelDown `json:"on_channel_down,omitempty"`
}

// OnChannelDown says what silence means while no channel works by which somebody
// could have been told.
type OnChannelDown string

// The values of [OnChannelDown].
const (
	// ChannelDownHold lets the question's clock stand still.
	ChannelDownHold OnChannelDown = "hold"
	// ChannelDownProceed lets it run.
	ChannelDownProceed OnChannelDown = "proceed"
)

// ApprovalMode says whether a level waits for people.
type ApprovalMode string

// The values of [ApprovalMode].
const (
	// ApprovalNone starts the level at once.
	ApprovalNone ApprovalMode = "none"
	// ApprovalVeto starts the level when the veto window ends unheld.
	ApprovalVeto ApprovalMode = "veto"
	// ApprovalRequired starts the level when enough votes are there.
	ApprovalRequired ApprovalMode = "required"
)

// OnExpiry is the outcome of an approval nobody answered in time.
type OnExpiry string

// The values of [OnExpiry].
const (
	// ExpiryDeny holds the rollback.
	ExpiryDeny OnExpiry = "deny"
	// ExpiryEscalate goes to the next level, and its own approval.
	ExpiryEscalate OnExpiry = "escalate"
	// ExpiryGo starts the level; never allowed for the last one.
	ExpiryGo OnExpiry = "go"
)

// Verify says when a target counts as recovered: its alerts are resolved and
// every check is green, without a break, for HoldFor.
type Verify struct {
	Every   Duration `json:"every"`
	HoldFor Duration `json:"hold_for"`
	Checks  []Check  `json:"checks,omitempty"`
	// IgnoreAlerts leaves the alerts out of it. Only for plans whose alerts
	// cannot resolve in time; the gate warns of it.
	IgnoreAlerts bool `json:"ignore_alerts,omitempty"`
}

// Check is one probe of a target: http, command, promql, unit.
type Check struct {
	Name string          `json:"name,omitempty"`
	Uses string          `json:"uses"`
	With json.RawMessage `json:"with,omitempty"`
}

// Limits bound the blast radius of automatic rollbacks. Past a limit a rollback
// is held for approval, never dropped. Zero means no limit.
type Limits struct {
	// ActiveRollbacks is how many rollbacks may be active at once, everywhere.
	ActiveRollbacks int `json:"active_rollbacks,omitempty"`
	// TargetsPerHour is how many targets may enter a rollback in an hour.
	TargetsPerHour int `json:"targets_per_hour,omitempty"`
	// ShareOfChange is how many percent of a change's targets may enter a
	// rollback without a person saying so.
	ShareOfChange int `json:"share_of_change,omitempty"`
}

// Target is a host (or VM, cluster, service) in the inventory.
type Target struct {
	Name string `json:"name"`
	// Address is how it is reached; empty means Name.
	Address string `json:"address,omitempty"`
	// Transport is local or ssh.
	Transport string            `json:"transport"`
	OS        string            `json:"os,omitempty"`
	Site      string            `json:"site,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Duration is a length of time that is written as text ("90s", "30m", "2d") in
// files, in the API and in the log. Days are 24 hours.
type Duration time.Duration

// ParseDuration reads what [time.ParseDuration] reads, and a leading number of
// days ("2d", "1d12h"). Negative durations are refused: nothing here runs
// backwards.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	var days time.Duration
	if head, tail, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("duration %q: want a number and a unit, such as 90s, 30m, 12h or 2d", s)
		}
		days, text = time.Duration(n)*24*time.Hour, tail
		if text == "" {
			return Duration(days), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("duration %q: want a number and a unit, such as 90s, 30m, 12h or 2d", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("duration %q: must not be negative", s)
	}
	if days+d < 0 {
		return 0, fmt.Errorf("duration %q: longer than can be counted (292 years)", s)
	}
	return Duration(days + d), nil
}

// String writes the shortest form that [ParseDuration] reads back: "30m", not
// "30m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes [Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
