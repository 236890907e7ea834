package config

import (
	"encoding/json"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

type (
	rawJSON  = json.RawMessage
	text     = strictyaml.At[string]
	number   = strictyaml.At[int]
	share    = strictyaml.At[Percent]
	duration = strictyaml.At[backout.Duration]
)

// planFile is a plan file.
type planFile struct {
	Plans []planEntry `yaml:"plans" required:"true" doc:"Back-out plans."`
}

type planEntry struct {
	Pos           strictyaml.Pos
	Name          text          `yaml:"name" required:"true" doc:"Name of the plan, as changes call it."`
	Summary       string        `yaml:"summary" doc:"One line for people."`
	Author        text          `yaml:"author" doc:"Never counts as an approver of this plan."`
	DataMigration text          `yaml:"data_migration" enum:"none,reversible,forward_only" doc:"Whether the patch moves data. With forward_only no level starts by itself. Default none."`
	Audience      []text        `yaml:"audience" doc:"Audiences told of what concerns no single level."`
	Limits        limitsEntry   `yaml:"limits" doc:"Past a limit a rollback is held for approval."`
	Verify        verifyEntry   `yaml:"verify" doc:"When a target counts as recovered."`
	Baseline      baselineEntry `yaml:"baseline" doc:"What is captured of each target before the patch, and made on it for the way back."`
	Levels        []levelEntry  `yaml:"levels" required:"true" doc:"The ways back, 1 to 9, climbed in order."`
	Cleanup       []stepEntry   `yaml:"cleanup" doc:"Run on each target once the change has ended, beside what each executor cleans up itself."`
}

type limitsEntry struct {
	ActiveRollbacks number `yaml:"active_rollbacks" doc:"Rollbacks active at once, everywhere."`
	TargetsPerHour  number `yaml:"targets_per_hour" doc:"Targets that may enter a rollback in an hour."`
	ShareOfChange   share  `yaml:"share_of_change" doc:"Share of the change's targets that may enter a rollback by itself, such as 50%."`
}

type verifyEntry struct {
	Pos          strictyaml.Pos
	Every        duration             `yaml:"every" doc:"How often checks look. Default 15s."`
	HoldFor      duration             `yaml:"hold_for" doc:"How long everything must be green. Default 2m."`
	IgnoreAlerts strictyaml.At[bool]  `yaml:"ignore_alerts" doc:"Leave the alerts out of it."`
	Checks       []strictyaml.Section `yaml:"checks" doc:"Probes of each target."`
}

type levelEntry struct {
	Pos            strictyaml.Pos
	Name           text                `yaml:"name" doc:"L1 to L9, by position; may be left out."`
	Summary        string              `yaml:"summary" doc:"One line for people."`
	EscalateAfter  duration            `yaml:"escalate_after" doc:"The level's time, from the start of its first step. Default 30m."`
	Approval       approvalEntry       `yaml:"approval" doc:"Whose votes the level needs before it starts."`
	Audience       []text              `yaml:"audience" doc:"Audiences told of this level."`
	Destructive    strictyaml.At[bool] `yaml:"destructive" doc:"The level loses data written since the baseline."`
	Loses          string              `yaml:"loses" doc:"What is lost, in words."`
	MaxParallel    number              `yaml:"max_parallel" doc:"Targets that run a step at once; 0 means all."`
	StopAtFailures share               `yaml:"stop_at_failures" doc:"Hold when this share of the targets has failed, such as 20%."`
	Steps          []stepEntry         `yaml:"steps" required:"true" doc:"Run in order on each target."`
}

type stepEntry struct {
	Pos     strictyaml.Pos
	Name    string             `yaml:"name" doc:"Default: what it uses."`
	Uses    text               `yaml:"uses" required:"true" doc:"The executor."`
	With    strictyaml.Section `yaml:"with" doc:"The executor's own settings."`
	Timeout duration           `yaml:"timeout" doc:"Ends a step that takes longer. Default: the level's time."`
	Reboots bool               `yaml:"reboots" doc:"The step reboots its target: it has ended well when its command ended with 0 or was cut by the reboot, and the target answers again under another boot id. Its timeout bounds the wait."`
}

// approvalEntry is written as one word, the mode, or as a mapping.
type approvalEntry struct {
	Pos      strictyaml.Pos
	Mode     text     `yaml:"mode" enum:"none,required,veto" doc:"none, required or veto. Default in a mapping: veto with a veto time, else required."`
	Votes    number   `yaml:"votes" doc:"How many different people must approve."`
	Groups   []text   `yaml:"groups" doc:"Whose votes count. Empty means nobody."`
	Veto     duration `yaml:"veto" doc:"How long anyone may hold the level before it starts."`
	Expires  duration `yaml:"expires" doc:"Ends an unanswered question. Default 30m."`
	OnExpiry text     `yaml:"on_expiry" enum:"deny,escalate,go" doc:"What then. Default deny; go is not allowed for the last level."`
	ValidFor duration `yaml:"valid_for" doc:"How long a vote counts, and an approved level may wait for its first step; then it is asked anew. Default 10m."`
	StepUp   duration `yaml:"step_up" doc:"Approving takes a login within this time; 0s asks for none. Default 5m for a last level that loses data, where people can sign in."`
	Channels []text   `yaml:"channels" doc:"The only channels whose approvals count: cli, api, slack, dashboard. Default all. Denying is possible by any."`

	KnownExploitedVote strictyaml.At[bool] `yaml:"known_exploited_vote" doc:"One vote more when the rollback reopens a vulnerability that is known to be exploited; see exposure in backout.yaml."`
	OnChannelDown      text                `yaml:"on_channel_down" enum:"hold,proceed" doc:"Whether the level's clock stands still while nobody can be told, for veto and on_expiry: go. Default hold."`
}

// UnmarshalYAML reads both forms.
func (a *approvalEntry) UnmarshalYAML(decode func(any) error) error {
	var s strictyaml.Section
	if err := decode(&s); err != nil {
		return err
	}
	if mode, ok := s.Scalar(); ok {
		a.Pos, a.Mode = s.Pos(), text{Value: mode, Pos: s.Pos()}
		switch backout.ApprovalMode(mode) {
		case backout.ApprovalNone, backout.ApprovalRequired, backout.ApprovalVeto:
			return nil
		}
		modes := []string{string(backout.ApprovalNone), string(backout.ApprovalRequired), string(backout.ApprovalVeto)}
		return backout.Problems{s.Pos().Problem(fmt.Sprintf("approval: unknown mode %q", mode), strictyaml.DidYouMean(mode, modes, ""))}
	}
	type long approvalEntry
	return s.Decode((*long)(a))
}

// given tells whether the file has the value.
func given(p strictyaml.Pos) bool { return p != strictyaml.Pos{} }
