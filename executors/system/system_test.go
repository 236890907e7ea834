package system_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/system"
)

// target is one that answers each look with the same text.
type target struct {
	backout.Host
	report backout.AttemptReport
	says   string
}

// Run implements [backout.Host].
func (h target) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{Stdout: []byte(h.says)}, nil
}

// Probe implements [backout.Host].
func (h target) Probe(context.Context, string) (backout.AttemptReport, error) { return h.report, nil }

func task() backout.Task { return executorstest.Task(system.Kind(), "CHG1-r1.L2.s2.t1.a1") }

func TestSections(t *testing.T) {
	for section, want := range map[string]string{
		`{"delay": "10ms"}`:    "1s to 1h",
		`{"delay": "2h"}`:      "1s to 1h",
		`{"wait_for": "up"}`:   "running or degraded",
		`{"hard": true}`:       "hard",
		`{"wait_for": "ready"`: "EOF",
	} {
		_, err := system.Kind().Decode(func(into any) error {
			d := json.NewDecoder(strings.NewReader(section))
			d.DisallowUnknownFields()
			return d.Decode(into)
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
	if !system.Kind().Reboots {
		t.Error("the kind does not say that it reboots")
	}
}

func TestProbe(t *testing.T) {
	rebooted := backout.AttemptReport{State: backout.AttemptFinished, Boot: "b2", ClaimBoot: "b1"}
	same := backout.AttemptReport{State: backout.AttemptFinished, Boot: "b1", ClaimBoot: "b1"}
	for name, tt := range map[string]struct {
		report        backout.AttemptReport
		section, says string
		want          backout.ProbeState
	}{
		"up":                         {rebooted, `{}`, "running\n", backout.ProbeDone},
		"degraded":                   {rebooted, `{}`, "degraded\n", backout.ProbeDone},
		"degraded is not running":    {rebooted, `{"wait_for": "running"}`, "degraded\n", backout.ProbeBroken},
		"starting":                   {rebooted, `{}`, "starting\n", backout.ProbeInProgress},
		"rescue":                     {rebooted, `{}`, "maintenance\n", backout.ProbeBroken},
		"no systemd":                 {rebooted, `{}`, "", backout.ProbeDone},
		"cut by the reboot":          {backout.AttemptReport{State: backout.AttemptUnknown, Boot: "b2", ClaimBoot: "b1"}, `{}`, "running\n", backout.ProbeDone},
		"same boot":                  {same, `{}`, "running\n", backout.ProbeInProgress},
		"the order failed":           {backout.AttemptReport{State: backout.AttemptFinished, ExitCode: 1, Boot: "b1", ClaimBoot: "b1"}, `{}`, "", backout.ProbeNotDone},
		"it went back, and degraded": {backout.AttemptReport{State: backout.AttemptNotStarted, Boot: "b2"}, `{"wait_for": "running"}`, "degraded\n", backout.ProbeBroken},
		"the disk went back with it": {backout.AttemptReport{State: backout.AttemptNotStarted, Boot: "b2"}, `{}`, "running\n", backout.ProbeUnknown},
	} {
		e := executorstest.Build(t, system.Kind(), tt.section).(backout.Prober)
		if p, err := e.Probe(t.Context(), task(), target{report: tt.report, says: tt.says}); err != nil || p.State != tt.want || p.Detail == "" {
			t.Errorf("%s: %+v %v, want %s", name, p, err, tt.want)
		}
	}
}

func TestPreflight(t *testing.T) {
	for says, want := range map[string]string{
		"state=running\nend=\n":  "",
		"state=degraded\nend=\n": "",
		"end=\n":                 "",
		"state=running\n":        "not whole",
		"missing=reboot\nend=\n": "reboot is not on the target",
		"user=deploy\nend=\n":    "only root",
		"state=stopping\nend=\n": "is stopping",
		"inhibited=dnf 0 root 77 dnf shutdown Running transaction block\nend=\n": "Running transaction",
	} {
		v := executorstest.Build(t, system.Kind(), `{}`).(backout.Preflighter).Preflight(t.Context(), task(), target{says: says})
		switch {
		case want == "" && len(v) != 0:
			t.Errorf("%q: %+v", says, v)
		case want != "" && (len(v) != 1 || !strings.Contains(v[0].Reason, want) || v[0].Fix == ""):
			t.Errorf("%q: %+v, want %q", says, v, want)
		}
	}
}
