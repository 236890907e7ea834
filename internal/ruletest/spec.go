package ruletest

import (
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

type (
	text     = strictyaml.At[string]
	duration = strictyaml.At[backout.Duration]
)

// fileSpec is a test file as it is written.
type fileSpec struct {
	RuleFiles []text       `yaml:"rule_files" required:"true" doc:"The rule files under test, relative to this file; * is allowed."`
	Start     time.Time    `yaml:"start" doc:"When every test begins; all other times are counted from it. Default 2026-01-01T00:00:00Z."`
	Inventory []targetSpec `yaml:"inventory" doc:"Targets of every test. Targets of changes need not be named again; the others are the control group."`
	Changes   []changeSpec `yaml:"changes" doc:"Changes of every test."`
	Tests     []testSpec   `yaml:"tests" required:"true" doc:"The tests."`
}

type testSpec struct {
	Pos       strictyaml.Pos
	Name      text                                   `yaml:"name" required:"true" doc:"What is tested, once in a file."`
	Inventory []targetSpec                           `yaml:"inventory" doc:"Further targets; one of the same name takes the place of the file's."`
	Changes   []changeSpec                           `yaml:"changes" doc:"Further changes; one of the same id takes the place of the file's."`
	Modes     map[string]strictyaml.At[backout.Mode] `yaml:"modes" enum:"shadow,ask,auto" doc:"What rules may do in this test, by name, whatever their files say."`
	Alerts    []alertSpec                            `yaml:"alerts" doc:"The alerts, as series over time."`
	Queries   []querySpec                            `yaml:"queries" doc:"What Prometheus answers to prom() in a rule."`
	Expect    []expectSpec                           `yaml:"expect" required:"true" doc:"What must have come of it, at moments in order."`
}

type targetSpec struct {
	Pos     strictyaml.Pos
	Name    text              `yaml:"name" required:"true" doc:"Name of the target, as alerts call it."`
	Address string            `yaml:"address" doc:"How it is reached, for {address} in queries. Default: its name."`
	OS      string            `yaml:"os" doc:"Operating system, such as debian-12."`
	Site    string            `yaml:"site" doc:"Where it stands."`
	Labels  map[string]string `yaml:"labels" doc:"Its labels in the inventory."`
}

type changeSpec struct {
	Pos            strictyaml.Pos
	ID             text                `yaml:"id" required:"true" doc:"The change's id, such as CHG1."`
	Title          string              `yaml:"title" doc:"The change's title."`
	Plan           string              `yaml:"plan" doc:"The name of the back-out plan."`
	Owner          string              `yaml:"owner" doc:"Who owns the change."`
	Targets        []text              `yaml:"targets" required:"true" doc:"What the patch goes to."`
	Patch          patchSpec           `yaml:"patch" doc:"What is applied."`
	Labels         map[string]string   `yaml:"labels" doc:"The change's labels."`
	Opens          duration            `yaml:"opens" doc:"When its window opens. Default 0m."`
	Closes         duration            `yaml:"closes" doc:"When its window was planned to close. Default 4h after it opens."`
	Patched        duration            `yaml:"patched" doc:"When patching was over. Left out: nobody told."`
	PatchedTargets map[string]duration `yaml:"patched_targets" doc:"When patching of single targets was over."`
	Ends           duration            `yaml:"ends" doc:"When it ends and alerts do not count any more. Left out: after the test."`
	Levels         strictyaml.At[int]  `yaml:"levels" doc:"How many levels its plan has, 1 to 9. Default 3."`
}

type patchSpec struct {
	Kind string   `yaml:"kind" enum:"kb,advisory,packages,image,other" doc:"kb, advisory, packages, image or other."`
	IDs  []string `yaml:"ids" doc:"The patch's own names."`
	CVEs []string `yaml:"cves" doc:"The vulnerabilities it closes."`
}

type alertSpec struct {
	Pos         strictyaml.Pos
	Labels      map[string]string     `yaml:"labels" required:"true" doc:"The alert's labels, alertname among them."`
	Annotations map[string]string     `yaml:"annotations" doc:"The alert's annotations."`
	Firing      []strictyaml.At[span] `yaml:"firing" required:"true" doc:"From when to when it fires, such as 10m-40m, or 50m- for good."`
	Silenced    []strictyaml.At[span] `yaml:"silenced" doc:"When it is silenced. With this or inhibited, even [], it counts as known."`
	Inhibited   []strictyaml.At[span] `yaml:"inhibited" doc:"When it is inhibited."`
	Every       duration              `yaml:"every" doc:"How often it comes in while it fires. At least 1s. Default 1m."`
}

type querySpec struct {
	Pos    strictyaml.Pos
	Query  text     `yaml:"query" required:"true" doc:"The query as the rule has it, or with {target} filled in."`
	Target text     `yaml:"target" doc:"The target it is asked for. Left out: for every one."`
	At     duration `yaml:"at" doc:"Since when it has this value. Default 0m."`
	Value  float64  `yaml:"value" required:"true" doc:"The value."`
}

type expectSpec struct {
	Pos       strictyaml.Pos
	At        duration       `yaml:"at" required:"true" doc:"The moment, after everything that happens at it."`
	Verdicts  []verdictSpec  `yaml:"verdicts" doc:"Exactly the verdicts given by then: one for each rule, change and target. [] for none."`
	Rollbacks []rollbackSpec `yaml:"rollbacks" doc:"Exactly the rollbacks opened by then and not cancelled. [] for none."`
	Stopped   []stoppedSpec  `yaml:"stopped" doc:"Exactly the verdicts that were stopped by then, such as by a throttle: one for each rule, change and target. [] for none."`
}

type verdictSpec struct {
	Pos    strictyaml.Pos
	Rule   text   `yaml:"rule" required:"true" doc:"The rule."`
	Change text   `yaml:"change" doc:"The change."`
	Target text   `yaml:"target" doc:"The target."`
	Mode   string `yaml:"mode" enum:"shadow,ask,auto" doc:"What the rule may do."`
}

type rollbackSpec struct {
	Pos      strictyaml.Pos
	Change   text   `yaml:"change" required:"true" doc:"The change."`
	Rule     text   `yaml:"rule" doc:"The rule that opened it."`
	Targets  []text `yaml:"targets" doc:"What is taken back, in any order."`
	StartAt  text   `yaml:"start_at" doc:"The level it begins with, L1 to L9."`
	AskFirst *bool  `yaml:"ask_first" doc:"Whether it waits for an approval."`
}

type stoppedSpec struct {
	Pos    strictyaml.Pos
	Rule   text `yaml:"rule" required:"true" doc:"The rule."`
	Change text `yaml:"change" doc:"The change."`
	Target text `yaml:"target" doc:"The target."`
	Why    text `yaml:"why" doc:"A part of the reason, or of one of them, such as at_least."`
}
