// Package cli is the command line: every command, its words, its exit code.
//
// Commands that ask a server go through internal/client; commands that need the
// product itself (serve, check, rules, target check, demo) call the functions in
// [Options], which cmd/backout fills from the composition root. What people read
// is made by the pure package view.
package cli

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/backup"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/ruletest"
	"github.com/backout-io/backout/rules"
)

// Options are the command line's surroundings. Only Stdout and Stderr are
// required; a command whose function is nil says that this build lacks it.
type Options struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads the environment; nil means none.
	Getenv func(string) string
	// Poll is how often a waiting command asks again; 0 means two seconds.
	Poll time.Duration

	// Serve runs the server until ctx ends.
	Serve func(ctx context.Context, o ServeOptions) error
	// Runner runs a runner near the targets until ctx ends; Reload is not used.
	Runner func(ctx context.Context, o ServeOptions) error
	// RunnerKey makes a key for servers to sign with.
	RunnerKey func() (RunnerKey, error)
	// RunnerPermissions are what NATS is to allow.
	RunnerPermissions func(o PermissionOptions) (NATSPermissions, error)
	// CheckRunner returns every problem of the file of a runner.
	CheckRunner func(ctx context.Context, config string) backout.Problems
	// Check loads every file the config names and returns all their problems.
	Check func(ctx context.Context, config string) backout.Problems
	// Doctor returns what Check does, and what the other sides of the channels say.
	Doctor func(ctx context.Context, config string) backout.Problems
	// SlackManifest is the Slack app to create; with an address Slack posts to it.
	SlackManifest func(address string) ([]byte, error)
	// CheckPlans returns the problems of plan files: of those named, or of those
	// that the config names. No config means that the files are judged alone.
	CheckPlans func(config string, files []string) backout.Problems
	// NoticeRoutes are the routes of a config; without problems that keep them from
	// being read.
	NoticeRoutes func(config string) (view.NoticeRoutes, backout.Problems)
	// PlanSudo says what a plan needs from sudo.
	PlanSudo func(ctx context.Context, config, plan string) (SudoNeeds, error)
	// DriftDefaults lists the differences that are expected in every plan.
	DriftDefaults func() []backout.IgnoreDrift
	// Demo runs the main job on this machine and tells the story on Out.
	Demo func(ctx context.Context, o DemoOptions) error
	// CheckTargets reaches the named targets, or all when none is named, and
	// reports each as it answers.
	CheckTargets func(ctx context.Context, config string, targets []string, report func(TargetReport)) error
	// RulesCheck returns the problems of these rule files and test files; without any,
	// those of the rule files that the config names.
	RulesCheck func(config string, files ...string) backout.Problems
	// RulesFacts lists what an expression may speak of.
	RulesFacts func() []FactRow
	// RulesExplain says what every rule of the config makes of each alert.
	RulesExplain func(ctx context.Context, o ExplainOptions) ([]handlers.Explained, error)
	// RuleNames lists the rules of the config's files, for completion: nothing when
	// they cannot be read.
	RuleNames func(config string) []string
	// RulesTest runs the tests of rules in files, or in those that the config names.
	// An error that is a [backout.Problems] is about the config.
	RulesTest func(ctx context.Context, config string, files []string, o ruletest.Options) (ruletest.Report, error)
	// RulesSet loads rules with what they are about: of one config, or of rule files
	// alone.
	RulesSet func(files ...string) (RuleSet, error)
	// Backup writes a backup of the store the config names to w. [ErrStoreInUse]
	// says that a server holds it; then nothing was written.
	Backup func(ctx context.Context, config string, w io.Writer) error
	// CheckBackup reads a whole backup and says what it holds.
	CheckBackup func(r io.Reader) (backup.Contents, error)
	// Restore fills the empty store the config names from the file of a backup.
	Restore func(ctx context.Context, config, file string) (backup.Contents, error)
	// Kinds lists the executors, notifiers and checks that are built in.
	Kinds func() []KindRow
}

// ServeOptions are the flags of serve.
type ServeOptions struct {
	// Config is the path of backout.yaml.
	Config string
	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel, LogFormat string
	// Reload carries a signal for every wish to read the files again.
	Reload <-chan os.Signal
	Stderr io.Writer
}

// RunnerKey is a pair of keys: servers sign with the private one, runners know
// them by the public one.
type RunnerKey struct {
	ID      string
	Private backout.Secret
	Public  string
}

// PermissionOptions say whose permissions are wanted: those of a runner, or of
// servers.
type PermissionOptions struct {
	Site, Name  string
	Server, NSC bool
}

// NATSPermissions are permissions as nats-server.conf has them, and as arguments of
// "nsc add user".
type NATSPermissions struct {
	Config string   `json:"config"`
	NSC    []string `json:"nsc"`
}

// SudoNeeds is what the SSH user of a config needs from sudo for a plan.
type SudoNeeds struct {
	Plan string `json:"plan"`
	User string `json:"user"`
	// On tells whether ssh.sudo is set.
	On    bool       `json:"on"`
	Steps []SudoStep `json:"steps"`
}

// SudoStep is what one step runs as root.
type SudoStep struct {
	// Where is the level, "baseline" or "cleanup".
	Where string `json:"where"`
	Step  string `json:"step"`
	Uses  string `json:"uses"`
	// Commands are as sudoers has them; Unknown says why they are not known.
	Commands []string `json:"commands,omitempty"`
	Unknown  string   `json:"unknown,omitempty"`
}

// DemoOptions are the flags of demo.
type DemoOptions struct {
	// Dir keeps the demo's files; empty means a temporary directory that is
	// removed at the end.
	Dir string
	// Listen is the address of the demo's server; empty means a free port.
	Listen string
	// Exit ends the demo when the story is told, instead of keeping the server
	// up to be looked at.
	Exit bool
	Out  io.Writer
}

// TargetReport is one target's answer.
type TargetReport struct {
	Target string `json:"target"`
	OK     bool   `json:"ok"`
	// Detail says what answered, or what to do.
	Detail string `json:"detail"`
	// Took is how long the answer took.
	Took backout.Duration `json:"took"`
}

// RuleSet are rules, with the inventory, the plans and the watchdog of their config;
// rule files alone have none of these.
type RuleSet struct {
	Rules     *rules.Set
	Inventory map[string]backout.Target
	Plans     map[string]backout.Plan
	Watchdog  rules.Matchers
}

// FactRow is one name a rule's expression may use.
type FactRow struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Doc  string `json:"doc"`
}

// KindRow is one built-in plug-in.
type KindRow struct {
	// Family is executor, notifier or check.
	Family string `json:"family"`
	Name   string `json:"name"`
	Doc    string `json:"doc"`
	// Loses says what data the kind destroys; empty when it destroys none.
	Loses string `json:"loses,omitempty"`
}

// ExplainOptions name the alerts and the changes to explain.
type ExplainOptions struct {
	// Config may also be a rule file.
	Config string
	Alerts []backout.Alert
	// Changes are what the alerts are held against; none means one that is open on
	// the alert's target.
	Changes []backout.Change
	// Rule is the one to explain; empty means all.
	Rule string
	// At is the moment to explain.
	At time.Time
}
