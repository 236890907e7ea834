package zypper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/zypper"
)

// answers is a host that says what was recorded, or made up, to every look.
type answers struct {
	backout.Host
	text  string
	state backout.AttemptState
}

func (a answers) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{Stdout: []byte(a.text)}, nil
}

func (a answers) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{State: a.state}, nil
}

func TestBadSections(t *testing.T) {
	for section, want := range map[string]string{`{"packages": ["a;b"]}`: "not a pattern", `{"protect": ["-x"]}`: "not a pattern", `{"x": 1}`: "x"} {
		_, err := zypper.Kind().Decode(func(into any) error {
			d := json.NewDecoder(strings.NewReader(section))
			d.DisallowUnknownFields()
			return d.Decode(into)
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", section, err)
		}
	}
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, "|"+line)
		}
	}
	return strings.Join(kept, "")
}

const head = "=begin\n=version\n|zypper 1.14.42\n=rpm\n|web 1:2.0-1 noarch\n|weblib 0:2.0-1 noarch\n"

func TestDryRunMustSayExactlyTheInverse(t *testing.T) {
	all := delta(change("web", "1.0", "1:2.0"), change("weblib", "", "2.0"))
	for name, tt := range map[string]struct {
		delta        *backout.Delta
		answer, want string
	}{
		"exactly":     {all, "=try\n" + recorded(t, "downgrade.xml"), ""},
		"beside":      {delta(change("web", "1.0", "1:2.0")), "=try\n" + recorded(t, "downgrade.xml"), "zypper would also remove weblib 2.0-1"},
		"less":        {delta(change("web", "1.0", "1:2.0"), change("weblib", "", "2.0"), change("third", "1", "2")), "=try\n" + recorded(t, "downgrade.xml"), "zypper would not bring back third 1-1"},
		"other":       {delta(change("web", "0.9", "1:2.0"), change("weblib", "", "2.0")), "=try\n" + recorded(t, "downgrade.xml"), "would not bring back web 0.9-1"},
		"nothing":     {all, "=try\n|<message type=\"info\">Nothing to do.</message>\n", "would not bring back web 1.0-1, weblib"},
		"unreadable":  {all, "=try\n|<stream>\n", "zypper's dry run has no summary (zypper 1.14.42)"},
		"no solution": {all, "=try\n=failed 4\n", "solver finds no way (code 4)"},
		"locked":      {all, "=try\n|<message type=\"error\">System management is locked by the application with pid 7 (zypper).</message>\n=failed 7\n", "locked by another program (code 7): System management is locked"},
		"not found":   {all, "=try\n" + recorded(t, "notfound.xml") + "=failed 104\n", "not found (code 104): No provider of 'web.noarch=1.0-1' found."},
		"new code":    {all, "=try\n=failed 77\n", "zypper ended with code 77"},
		"kernel":      {delta(change("kernel-default", "", "6.4.0")), "=try\n" + recorded(t, "downgrade.xml"), "the patch has kernels: kernel-default"},
		"protected":   {delta(change("glibc", "2.38", "2.39")), "=try\n" + recorded(t, "downgrade.xml"), "everything stands on: glibc"},
		"dpkg":        {&backout.Delta{Manager: "dpkg"}, "", "not of rpm"},
		"hostile":     {delta(backout.PackageChange{Name: "-x", Arch: "noarch", From: "0:1-1"}), "", "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			back := task("a1")
			back.Delta = tt.delta
			got := reasons(t, undo(t, `{}`).Preflight(t.Context(), back, answers{text: head + tt.answer + "=end\n"}))
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhatTheTargetLacks(t *testing.T) {
	for answer, want := range map[string]string{
		"=begin\n=missing zypper\n=end\n":       "zypper is not installed",
		"=begin\n=unprivileged\n=end\n":         "root only",
		head + "=transactional\n=end\n":         "transactional system",
		"=begin\n=rpm\n|error: x\n=end\n":       "",
		"=begin\n=rpm\n|x y\n=failed 1\n=end\n": "rpm's list cannot be read",
		"=begin\n":                              "not whole",
		"":                                      "not whole",
	} {
		if got := reasons(t, undo(t, `{}`).Preflight(t.Context(), task("a1"), answers{text: answer})); want != "" && !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}

// TestPatchThatCannotBeSeenIsANo: with nothing to keep nothing would come back.
func TestPatchThatCannotBeSeenIsANo(t *testing.T) {
	before := task("p")
	h := answers{text: head + "=update\n|<message type=\"info\">Nothing to do.</message>\n=end\n"}
	if got := reasons(t, undo(t, `{}`).Preflight(t.Context(), before, h)); !strings.Contains(got, "nothing of the patch") {
		t.Errorf("before the patch: %q", got)
	}
	h.text = head + "=update\n|<message type=\"info\">Nothing to do.</message>\n=download\n=end\n"
	if got := reasons(t, undo(t, `{"packages": ["web"]}`).Preflight(t.Context(), before, h)); got != "" {
		t.Errorf("with packages that are named: %q", got)
	}
	before.Opened = true
	if got := reasons(t, undo(t, `{"stash": false}`).Preflight(t.Context(), before, h)); got != "" {
		t.Errorf("after the opening: %q", got)
	}
}

// TestProtectedPackagesAreToldBeforeThePatch: it is too late afterwards.
func TestProtectedPackagesAreToldBeforeThePatch(t *testing.T) {
	answer := head + "=update\n" + strings.NewReplacer(`"web"`, `"glibc"`, `"weblib"`, `"kernel-default"`).Replace(recorded(t, "downgrade.xml")) + "=download\n=end\n"
	got := reasons(t, undo(t, `{}`).Preflight(t.Context(), task("p"), answers{text: answer}))
	if !strings.Contains(got, "kernels: kernel-default") || !strings.Contains(got, "stands on: glibc") {
		t.Errorf("%q", got)
	}
	if got := reasons(t, undo(t, `{"allow_protected": true}`).Preflight(t.Context(), task("p"), answers{text: answer})); got != "" {
		t.Errorf("allowed: %q", got)
	}
	if got := reasons(t, undo(t, `{"protect": ["web*"]}`).Preflight(t.Context(), task("p"), answers{text: head + "=update\n" + recorded(t, "downgrade.xml") + "=end\n"})); !strings.Contains(got, "stands on: web, weblib") {
		t.Errorf("protected by the plan: %q", got)
	}
}

// TestZeroIsNotDone: rpm says what is there, whatever zypper ended with.
func TestZeroIsNotDone(t *testing.T) {
	back := task("a1")
	back.Delta = delta(change("web", "1.0", "1:2.0"), change("weblib", "", "2.0"))
	for state, want := range map[backout.AttemptState]backout.ProbeState{
		backout.AttemptFinished: backout.ProbeNotDone, backout.AttemptRunning: backout.ProbeInProgress, backout.AttemptUnknown: backout.ProbeNotDone,
	} {
		got, err := undo(t, `{}`).Probe(t.Context(), back, answers{text: head + "=end\n", state: state})
		if err != nil || got.State != want {
			t.Errorf("%s: %+v %v", state, got, err)
		}
	}
	if _, err := undo(t, `{}`).Probe(t.Context(), back, answers{text: "=begin\n=rpm\n=end\n"}); err == nil {
		t.Error("an empty list of packages was taken")
	}
	// An attempt in doubt that is found done must leave locks that can be released.
	back.Delta = delta(change("weblib", "", "1.0"))
	locked := head + "=end\nbackout-lock ours weblib == 0:1.0-1\n"
	if got, err := undo(t, `{}`).Probe(t.Context(), back, inTurn(head+"=end\n", locked)); err != nil || got.State != backout.ProbeDone || len(got.Held) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

// turns is a host that says one thing after the other.
type turns struct {
	answers
	said *[]string
}

func inTurn(said ...string) turns { return turns{answers{state: backout.AttemptFinished}, &said} }

func (h turns) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	text := (*h.said)[0]
	*h.said = (*h.said)[1:]
	return backout.ExecResult{Stdout: []byte(text)}, nil
}

// codeHost runs nothing: its attempt ends with a code, and rpm says what is there.
type codeHost struct {
	answers
	code int
}

func (c codeHost) Start(context.Context, string, backout.Exec) error { return nil }

func (c codeHost) Attach(_ context.Context, _ string, _ int64, out io.Writer) (backout.AttemptReport, error) {
	fmt.Fprint(out, "said this\n")
	return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: c.code}, nil
}

// TestCodesWithACondition: 102, 103 and 107 are no failures when rpm agrees.
func TestCodesWithACondition(t *testing.T) {
	back := task("a1")
	back.Delta = delta(change("web", "1.0", "1:2.0"))
	done := "=begin\n=rpm\n|web 0:1.0-1 noarch\n=end\n"
	undone := "=begin\n=rpm\n|web 1:2.0-1 noarch\n=end\n"
	for _, tt := range []struct {
		code       int
		rpm        string
		want, fail string
	}{
		{0, done, "1 packages back", ""},
		{102, done, "a reboot is needed", ""},
		{103, done, "1 packages back", ""},
		{107, done, "script of a package failed", ""},
		{0, undone, "", "not taken back are web"},
		{107, undone, "", "not taken back are web"},
		{8, done, "", "could not commit (code 8): said this"},
		{90, done, "", "could not be locked"},
	} {
		h := codeHost{answers{text: tt.rpm, state: backout.AttemptRunning}, tt.code}
		o, err := undo(t, `{"hold": false}`).Execute(t.Context(), back, h, &strings.Builder{})
		if (err == nil) != (tt.fail == "") || err != nil && !strings.Contains(err.Error(), tt.fail) || !strings.Contains(o.Summary, tt.want) {
			t.Errorf("%d: %+v %v", tt.code, o, err)
		}
	}
}

// listening remembers the arguments of what it was asked.
type listening struct {
	answers
	argv *[]string
}

func (l listening) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	*l.argv = e.Argv
	return l.answers.Run(ctx, e)
}

// TestTwoStepsReadTheirOwnStash: in one plan a step is limited to some packages and
// another one to others.
func TestTwoStepsReadTheirOwnStash(t *testing.T) {
	steps := map[string]string{`{"packages": ["web"]}`: strings.Repeat("a", 64), `{"packages": ["db"]}`: strings.Repeat("b", 64)}
	back := task("a1")
	folders := map[string]bool{}
	for section, sums := range steps {
		var argv []string
		undo(t, section).Preflight(t.Context(), back, listening{answers{text: head + "=end\n"}, &argv})
		folders[argv[5]] = true
		back.Prepared = append(back.Prepared, backout.Prepared{Uses: "zypper.undo", Facts: map[string]string{"folder": argv[5], "sums": sums}})
	}
	if len(folders) != len(steps) {
		t.Fatalf("both keep in %v", folders)
	}
	for section, sums := range steps {
		var argv []string
		undo(t, section).Preflight(t.Context(), back, listening{answers{text: head + "=end\n"}, &argv})
		if argv[6] != sums {
			t.Errorf("%s reads the list %q", section, argv[6])
		}
	}
}
