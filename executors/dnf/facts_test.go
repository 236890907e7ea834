package dnf

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/packages"
)

func TestWhatIsNotWholeIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ output, want string }{
		"nothing":                    {"", "not whole"},
		"cut":                        {"tool dnf 4.14.0\nnow boa noarch 0:1-1\n", "dnf 4.14.0 said is not whole"},
		"a name that is an option":   {"tool dnf 4.14.0\nnow --installroot=/x noarch 0:1-1\nend\n", "dnf 4.14.0 said cannot be read"},
		"a version without an epoch": {"tool dnf5 5.2.1\nreplaced boa noarch 1-1\nend\n", "dnf5 5.2.1 said cannot be read"},
		"a version that is a path":   {"tool dnf5 5.2.1\nextra out boa noarch ../../x\nend\n", "cannot be read"},
		"a lock in an unknown state": {"backout-lock maybe boa\nend\n", "list of locks"},
	} {
		if _, err := parse([]byte(c.output)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	f, err := parse([]byte("tool dnf 4.14.0\nnow is the time for all\nextra curricular\nsaid \x1b[31mError: x\x07\n missing y\nend\n"))
	if err != nil || len(f.now) != 0 || len(f.extra) != 0 || f.said[0] != "[31mError: x" {
		t.Errorf("words of the tools: %+v %v", f, err)
	}
}

func TestLongReasonsAreCut(t *testing.T) {
	f := facts{said: []string{"noise", "Error:", strings.Repeat("é", 1000)}}
	if why := f.why(); len(why) > 620 || !strings.HasPrefix(why, ": Error: é") || !strings.HasSuffix(why, "…") {
		t.Errorf("%d %q", len(why), why)
	}
	if got := names([]pkg{{"a", "b", "0:1-1"}, {}, {}, {}, {}, {}, {}}); !strings.HasPrefix(got, "a-0:1-1.b, ") || !strings.HasSuffix(got, "and 2 more") {
		t.Error(got)
	}
}

// nowhere is a host that must not be spoken to, or cannot.
type nowhere struct {
	backout.Host

	err error
	r   backout.ExecResult
}

func (n nowhere) Run(context.Context, backout.Exec) (backout.ExecResult, error) { return n.r, n.err }

func TestHostileWordsReachNoTarget(t *testing.T) {
	good := backout.Task{ChangeID: "CHG1", Delta: &backout.Delta{Manager: "rpm"}}
	for name, change := range map[string]func(*backout.Task){
		"a change that leads out of its folder": func(t *backout.Task) { t.ChangeID = "../../etc" },
		"a patch id that is an option":          func(t *backout.Task) { t.Patch = backout.Patch{Kind: "packages", IDs: []string{"--setopt=x"}} },
		"a patch id with a blank":               func(t *backout.Task) { t.Patch = backout.Patch{Kind: "advisory", IDs: []string{"a b"}} },
		"a digest that is none": func(t *backout.Task) {
			t.Prepared = []backout.Prepared{{Uses: Name, Facts: map[string]string{"manifest": "$(id)", "folder": "/var/lib/backout/stash/CHG1/dnf"}}}
		},
		"a package that is an option": func(t *backout.Task) {
			t.Delta = &backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{{Name: "-x", Arch: "noarch", To: "0:1-1"}}}
		},
		"packages of dpkg": func(t *backout.Task) { t.Delta = &backout.Delta{Manager: "dpkg"} },
	} {
		task := good
		change(&task)
		// The host is nil: to speak to it would panic.
		if _, err := (Undo{}).Execute(t.Context(), task, nil, io.Discard); !backout.IsPermanent(err) {
			t.Errorf("%s: execute: %v", name, err)
		}
		if v := (Undo{}).Preflight(t.Context(), task, nil); len(v) != 1 {
			t.Errorf("%s: preflight: %+v", name, v)
		}
	}
	good.Delta = nil
	if _, err := (Undo{}).Execute(t.Context(), good, nil, io.Discard); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "no delta") {
		t.Errorf("without a delta: %v", err)
	}
	if p, err := (Undo{}).Probe(t.Context(), good, nil); err != nil || p.State != backout.ProbeUnknown {
		t.Errorf("probe without a delta: %+v %v", p, err)
	}
}

func TestWhatCannotBeFoundOutIsANo(t *testing.T) {
	task := backout.Task{ChangeID: "CHG1"}
	for name, c := range map[string]struct {
		h    nowhere
		want string
	}{
		"unreachable":     {nowhere{err: errors.New("no route")}, "no route"},
		"no answer":       {nowhere{r: backout.ExecResult{ExitCode: 127, Stderr: []byte("sh: mktemp: not found")}}, "mktemp: not found"},
		"half an answer":  {nowhere{r: backout.ExecResult{Stdout: []byte("tool dnf 4.14.0\n")}}, "not whole"},
		"its own reason":  {nowhere{r: backout.ExecResult{ExitCode: 1, Stdout: []byte("tool dnf 4.14.0\nbackout: rpm -qa does not answer\n")}}, "rpm -qa does not answer"},
		"a failure after": {nowhere{r: backout.ExecResult{ExitCode: 1, Stdout: []byte("tool dnf 4.14.0\nend\n")}}, "exit code 1"},
	} {
		v := (Undo{}).Preflight(t.Context(), task, c.h)
		if len(v) != 1 || !strings.Contains(v[0].Reason, c.want) || v[0].Fix == "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestProbeJudgesVersions: a version is judged by itself, not by an exit code.
func TestProbeJudgesVersions(t *testing.T) {
	delta := &backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{
		{Name: "boa", Arch: "noarch", From: "0:1-1", To: "0:2-1"},
		{Name: "fresh", Arch: "noarch", To: "0:2-1"},
		{Name: "gone", Arch: "noarch", From: "0:1-1"},
		{Name: "kernel-core", Arch: "x86_64", To: "0:6-2"},
	}}
	old := []pkg{{"boa", "noarch", "0:1-1"}, {"gone", "noarch", "0:1-1"}, {"kernel-core", "x86_64", "0:6-1"}}
	patched := []pkg{{"boa", "noarch", "0:2-1"}, {"fresh", "noarch", "0:2-1"}, {"kernel-core", "x86_64", "0:6-1"}, {"kernel-core", "x86_64", "0:6-2"}}
	for name, c := range map[string]struct {
		now  []pkg
		want backout.ProbeState
	}{
		"as it was":             {old, backout.ProbeDone},
		"as patched":            {patched, backout.ProbeNotDone},
		"both versions":         {append([]pkg{{"boa", "noarch", "0:2-1"}}, old...), backout.ProbeBroken},
		"a third version":       {append([]pkg{{"boa", "noarch", "0:3-1"}}, old...), backout.ProbeBroken},
		"only the third":        {append([]pkg{{"boa", "noarch", "0:3-1"}}, old[1:]...), backout.ProbeBroken},
		"what was added stays":  {append([]pkg{{"fresh", "noarch", "0:2-1"}}, old...), backout.ProbeBroken},
		"what was removed lags": {append([]pkg{old[0]}, old[2:]...), backout.ProbeBroken},
		"nothing at all":        {nil, backout.ProbeBroken},
	} {
		p := Undo{}.probed(backout.Task{Delta: delta}, facts{now: c.now})
		if p.State != c.want || p.Detail == "" {
			t.Errorf("%s: %+v, want %s", name, p, c.want)
		}
	}
	// An attempt in doubt that is found done must leave locks that can be released.
	locked := facts{now: old, locks: []packages.Lock{{Name: "!boa-0:2-1.*", Held: true, Ours: true}, {Name: "!x-0:1-1.*", Held: true}}}
	if p := (Undo{}).probed(backout.Task{Delta: delta}, locked); !slices.Equal(p.Held, []string{"!boa-0:2-1.*"}) {
		t.Errorf("held: %v", p.Held)
	}
}
