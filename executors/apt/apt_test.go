package apt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/apt"
	"github.com/backout-io/backout/executors/executorstest"
)

// known is a step that is given what its change knows.
type known struct {
	backout.Executor
	delta *backout.Delta
}

// Execute implements [backout.Executor].
func (k known) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	t.Delta = k.delta
	return k.Executor.Execute(ctx, t, h, out)
}

// Preflight implements [backout.Preflighter].
func (k known) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	t.Delta = k.delta
	p, ok := k.Executor.(backout.Preflighter)
	if !ok {
		return []backout.Violation{{Check: "preflight"}}
	}
	return p.Preflight(ctx, t, h)
}

// conformance is the contract of executors, on a real Debian.
func conformance(t *testing.T, b *box) {
	_, task := b.patched(t, one("1"), one("2"))
	kind := executors.Define(apt.Name, "", func(context.Context, apt.Config) (backout.Executor, error) {
		return known{undo(t, `{}`), task.Delta}, nil
	})
	begun := b.transactions(t)
	executorstest.Run(t, executorstest.Suite{
		Kind: kind, Host: b.host, Quick: `{}`, Effects: func() int { return b.transactions(t) - begun },
		Bad: map[string]string{`{"packages": ["-x"]}`: "not a pattern", `{"packages": ["a b"]}`: "not a pattern", `{"packages": ["$(id)"]}`: "not a pattern"},
	})
}

// scripted is a host whose answers are given.
type scripted struct {
	backout.Host
	out    string
	code   int
	err    error
	report backout.AttemptReport
	argv   []string
}

// Run implements [backout.Host].
func (s *scripted) Run(_ context.Context, e backout.Exec) (backout.ExecResult, error) {
	s.argv = e.Argv
	return backout.ExecResult{ExitCode: s.code, Stdout: []byte(s.out)}, s.err
}

// Probe implements [backout.Host].
func (s *scripted) Probe(context.Context, string) (backout.AttemptReport, error) {
	return s.report, nil
}

// Start implements [backout.Host].
func (s *scripted) Start(_ context.Context, _ string, e backout.Exec) error {
	s.argv = e.Argv
	return nil
}

// Attach implements [backout.Host].
func (s *scripted) Attach(context.Context, string, int64, io.Writer) (backout.AttemptReport, error) {
	return s.report, nil
}

const sane = "user|0\nnative|amd64\napt|apt 2.6.2 (amd64)\nkernel|6.1.0-31-amd64\naudit-rc|0\nlists|3\nroom|9999999\nsim-rc|0\n"

func reasons(t *testing.T, section string, task backout.Task, h backout.Host) string {
	t.Helper()
	p, ok := undo(t, section).(backout.Preflighter)
	if !ok {
		t.Fatal("no preflight")
	}
	var all []string
	for _, v := range p.Preflight(t.Context(), task, h) {
		all = append(all, v.Check+": "+v.Reason+" | "+v.Fix)
	}
	return strings.Join(all, "\n")
}

func delta(changes ...backout.PackageChange) *backout.Delta {
	return &backout.Delta{Manager: "dpkg", Packages: changes}
}

// TestAnswersThatCannotBeRead: they are a no that names the tool, never an empty
// list; and what moves a terminal is not shown.
func TestAnswersThatCannotBeRead(t *testing.T) {
	task := executorstest.Task(apt.Kind(), "a")
	for answer, want := range map[string]string{
		"pkg|bo-a all\n":                           `dpkg-query of "apt 2.6.2 (amd64)": cannot read "bo-a all"`,
		"pkg|$(id) all 1 ii\n":                     "dpkg-query of",
		"pkg|bo-a all 1;id ii\n":                   "dpkg-query of",
		"pkg|--root=/ all 1 ii\n":                  "dpkg-query of",
		"no bar\n":                                 `the answer has the line "no bar"`,
		"pkg|bo-a all 1 ii\nindex|bo-a all\n":      "apt-cache of",
		"pkg|bo-a all 1 ii\nlock|x\n":              "no repository of the target has bo-a 1",
		"missing|apt-get\n":                        "tools: apt-get is not there | install apt",
		"lock|77 99999 apt-get\n":                  "apt-get (process 77) has held the lock of dpkg for 1666 minutes",
		"audit|The following packages are bad\n":   "dpkg: dpkg has packages that are not installed whole",
		"added|linux-image-6.1.0-32-amd64\n":       "protected: kernels stand beside each other",
		"pkg|libc6 amd64 2.36-9 ii /\n":            "protected: the running system stands on libc6",
		"pkg|bo-a all 1 ii yes/ 1\n":               "protected: the running system stands on bo-a",
		"pkg|bo-a all 1 ii / 1\nadded|a\033[2Jb\n": "versions: no repository",
	} {
		got := reasons(t, `{}`, task, &scripted{out: sane + answer})
		says(t, got, want)
		if strings.ContainsRune(got, '\033') {
			t.Errorf("%q moves the terminal", got)
		}
	}
	says(t, reasons(t, `{}`, task, &scripted{out: sane, code: 1}), "exit code 1")
	says(t, reasons(t, `{}`, task, &scripted{err: errors.New("gone")}), "gone", "reachable")
	says(t, reasons(t, `{}`, task, &scripted{out: sane + "pkg|bo-a all 1 ii\nrepack|yes\nroom|1\n"}))
	full := strings.Replace(sane, "room|9999999", "room|100", 1)
	says(t, reasons(t, `{}`, task, &scripted{out: full + "pkg|bo-a all 1 ii / 2048\nrepack|yes\n"}), "space: the old packages need 66 MiB in /var/lib/backout, 0 MiB are free")
}

// TestRunningKernel: the kernel that runs is not taken away.
func TestRunningKernel(t *testing.T) {
	task := executorstest.Task(apt.Kind(), "a")
	task.Delta = delta(backout.PackageChange{Name: "linux-image-6.1.0-31-amd64", Arch: "amd64", To: "6.1.128-1"})
	h := &scripted{out: sane + "pkg|linux-image-6.1.0-31-amd64 amd64 6.1.128-1 ii /\n"}
	says(t, reasons(t, `{"allow_protected": true}`, task, h), "kernel: the patch added linux-image-6.1.0-31-amd64, and the target runs it | boot the old kernel first")
	says(t, reasons(t, `{}`, task, h), "protected: kernels stand beside each other")
}

// TestDeltaIsChecked: what a baseline says becomes arguments of root's commands.
func TestDeltaIsChecked(t *testing.T) {
	for _, bad := range []*backout.Delta{
		{Manager: "rpm"},
		delta(backout.PackageChange{Name: "-oDpkg::Options::=x", Arch: "all", From: "1", To: "2"}),
		delta(backout.PackageChange{Name: "a b", Arch: "all", From: "1", To: "2"}),
		delta(backout.PackageChange{Name: "bo-a", Arch: "all", From: "1 2", To: "2"}),
		delta(backout.PackageChange{Name: "bo-a", Arch: "../x", From: "1", To: "2"}),
		delta(backout.PackageChange{Name: "bo-a", Arch: "all"}),
		nil,
	} {
		task, h := executorstest.Task(apt.Kind(), "a"), &scripted{}
		task.Delta = bad
		if _, err := undo(t, `{}`).Execute(t.Context(), task, h, &bytes.Buffer{}); !backout.IsPermanent(err) || h.argv != nil {
			t.Errorf("%+v: %v, started %q", bad, err, h.argv)
		}
	}
}

// TestForeignArchitecture: apt is told the architecture of what is not the target's
// own, and only what fits the patterns is undone.
func TestForeignArchitecture(t *testing.T) {
	task := executorstest.Task(apt.Kind(), "a")
	task.Delta = delta(
		backout.PackageChange{Name: "bo-a", Arch: "i386", From: "1", To: "2"}, backout.PackageChange{Name: "bo-b", Arch: "all", From: "1", To: "1"},
		backout.PackageChange{Name: "other", Arch: "all", From: "1", To: "2"},
	)
	h := &scripted{out: sane}
	reasons(t, `{"packages": ["bo-*"]}`, task, h)
	if got := fmt.Sprintf("%q", h.argv[5:]); got != `["bo-a" "i386" "1" ""]` {
		t.Errorf("arguments %s", got)
	}
}

// TestInDoubt: an attempt that nobody knows the end of stays in doubt, and the
// probe tells from the packages.
func TestInDoubt(t *testing.T) {
	task := executorstest.Task(apt.Kind(), "a")
	task.Delta = delta(backout.PackageChange{Name: "bo-a", Arch: "all", From: "1", To: "2"}, backout.PackageChange{Name: "bo-b", Arch: "all", From: "1", To: "2"})
	h := &scripted{report: backout.AttemptReport{State: backout.AttemptUnknown, Detail: "rebooted"}}
	e := undo(t, `{"hold": false}`)
	if _, err := e.Execute(t.Context(), task, h, &bytes.Buffer{}); !errors.Is(err, backout.ErrInDoubt) {
		t.Errorf("%v", err)
	}
	p, ok := e.(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	for answer, want := range map[string]backout.ProbeState{
		"pkg|bo-a all 1 ii\npkg|bo-b all 1 hi\n":   backout.ProbeDone,
		"pkg|bo-a all 2 ii\npkg|bo-b all 2 ii\n":   backout.ProbeNotDone,
		"pkg|bo-a all 1 ii\npkg|bo-b all 2 ii\n":   backout.ProbeBroken,
		"pkg|bo-a all 1 iU\npkg|bo-b all 1 ii\n":   backout.ProbeBroken,
		"pkg|bo-a all 1 iF\npkg|bo-b all 1 ii\n":   backout.ProbeBroken,
		"pkg|bo-a all 1 iHR\npkg|bo-b all 1 ii\n":  backout.ProbeBroken,
		"pkg|bo-a all 1 iiR\npkg|bo-b all 1 ii\n":  backout.ProbeBroken,
		"pkg|bo-a all 1 rc\npkg|bo-b all 1 ii\n":   backout.ProbeBroken,
		"pkg|bo-a un /\npkg|bo-b all 1 ii\n":       backout.ProbeBroken,
		"pkg|bo-a i386 1 ii\npkg|bo-b all 1 ii\n":  backout.ProbeBroken,
		"pkg|bo-a all 1.0 ii\npkg|bo-b all 1 ii\n": backout.ProbeBroken,
		"": backout.ProbeNotDone,
	} {
		h.out = answer
		if got, err := p.Probe(t.Context(), task, h); err != nil || got.State != want {
			t.Errorf("%q: %+v %v, want %s", answer, got, err, want)
		}
	}
	// An attempt in doubt that is found done must leave holds that can be released.
	holding, ok := undo(t, `{}`).(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	h.out = "pkg|bo-a all 1 ii\npkg|bo-b all 1 ii\nhold|backout-lock ours bo-a\nhold|backout-lock before bo-b\n"
	if got, err := holding.Probe(t.Context(), task, h); err != nil || got.State != backout.ProbeDone || !slices.Equal(got.Held, []string{"bo-a"}) {
		t.Errorf("%+v %v", got, err)
	}
	h.report.State = backout.AttemptRunning
	if got, _ := p.Probe(t.Context(), task, h); got.State != backout.ProbeInProgress {
		t.Errorf("%+v", got)
	}
	task.Delta = nil
	if got, _ := p.Probe(t.Context(), task, h); got.State != backout.ProbeUnknown {
		t.Errorf("%+v", got)
	}
}

// played is this machine with some programs played by scripts.
type played struct {
	backout.Host
	dir string
}

func play(t *testing.T, programs map[string]string) played {
	t.Helper()
	p := played{dir: t.TempDir()}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Run implements [backout.Host].
func (p played) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	cmd := exec.CommandContext(ctx, e.Argv[0], e.Argv[1:]...)
	cmd.Env = []string{"PATH=" + p.dir + ":" + os.Getenv("PATH")}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return backout.ExecResult{}, err
	}
	return backout.ExecResult{ExitCode: cmd.ProcessState.ExitCode(), Stdout: out}, nil
}

// Probe implements [backout.Host].
func (played) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{State: backout.AttemptFinished}, nil
}

// TestDatabaseThatCannotBeRead: what dpkg does not answer is not "nothing is
// installed", which is what is wanted of packages that the patch added.
func TestDatabaseThatCannotBeRead(t *testing.T) {
	task := executorstest.Task(apt.Kind(), "a")
	task.Delta = delta(backout.PackageChange{Name: "bo-added", Arch: "all", To: "1"})
	programs := map[string]string{"dpkg-query": "exit 2", "apt-cache": "", "apt-mark": "", "apt-config": "", "apt-get": "echo apt 2.6.1", "dpkg": "echo amd64", "dpkg-deb": ""}
	p, ok := undo(t, `{"hold": false}`).(backout.Prober)
	if !ok {
		t.Fatal("no probe")
	}
	if got, err := p.Probe(t.Context(), task, play(t, programs)); err == nil {
		t.Errorf("%+v", got)
	}
	programs["dpkg-query"] = "exit 1" // it knows of no such package
	if got, err := p.Probe(t.Context(), task, play(t, programs)); err != nil || got.State != backout.ProbeDone {
		t.Errorf("%+v %v", got, err)
	}
}
