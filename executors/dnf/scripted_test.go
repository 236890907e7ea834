package dnf_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/dnf"
	"github.com/backout-io/backout/executors/executorstest"
)

// stage is a target whose package manager is a script of testdata: it keeps what is
// installed in a file, and speaks as the manager does that it plays. See
// testdata/README.md for where its words are from.
type stage struct {
	t   testing.TB
	dir string
	ran map[string]*bytes.Buffer
	rc  map[string]int
}

func newStage(t testing.TB, tool string, installed ...string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), ran: map[string]*bytes.Buffer{}, rc: map[string]int{}}
	for name, file := range map[string]string{"rpm": "rpm.sh", tool: tool + ".sh", "repoquery": "repoquery.sh", "yumdownloader": "repoquery.sh"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if tool == "" && name == "" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("installed", strings.Join(installed, "\n")+"\n")
	s.write("offered", "")
	return s
}

func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) read(name string) string {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return ""
	}
	return string(data)
}

// Run implements [backout.Host].
func (s *stage) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	cmd := exec.CommandContext(ctx, e.Argv[0], e.Argv[1:]...)
	// No dnf of this machine is found.
	cmd.Env = []string{"PATH=" + s.dir + ":" + tools(s.t), "STAGE=" + s.dir, "LC_ALL=C", "HOME=/", "TMPDIR=" + s.t.TempDir()}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return backout.ExecResult{}, err
	}
	return backout.ExecResult{ExitCode: cmd.ProcessState.ExitCode(), Stdout: out.Bytes(), Stderr: errs.Bytes()}, nil
}

// Start implements [backout.Host].
func (s *stage) Start(ctx context.Context, id string, e backout.Exec) error {
	if s.ran[id] != nil {
		return nil
	}
	r, err := s.Run(ctx, e)
	s.ran[id], s.rc[id] = bytes.NewBuffer(append(r.Stdout, r.Stderr...)), r.ExitCode
	return err
}

// Attach implements [backout.Host].
func (s *stage) Attach(ctx context.Context, id string, _ int64, out io.Writer) (backout.AttemptReport, error) {
	if b := s.ran[id]; b != nil {
		_, _ = out.Write(b.Bytes())
	}
	return s.Probe(ctx, id)
}

// Probe implements [backout.Host].
func (s *stage) Probe(_ context.Context, id string) (backout.AttemptReport, error) {
	if s.ran[id] == nil {
		return backout.AttemptReport{State: backout.AttemptNotStarted}, nil
	}
	return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: s.rc[id]}, nil
}

// Stop implements [backout.Host].
func (*stage) Stop(context.Context, string) error { return nil }

// Forget implements [backout.Host].
func (*stage) Forget(context.Context, string) error { return nil }

// BootID implements [backout.Host].
func (*stage) BootID(context.Context) (string, error) { return "boot", nil }

var toolDir string

// tools is a folder with the tools of every system, and no package manager.
func tools(t testing.TB) string {
	t.Helper()
	if toolDir != "" {
		return toolDir
	}
	dir, err := os.MkdirTemp("", "backout-tools-")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("awk cat chmod comm cp cut date find grep head id ls mkdir mktemp mv readlink rm sed sh sha256sum sort stat sync tail touch tr xargs") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal("no " + name + " here")
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	toolDir = dir
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if toolDir != "" {
		_ = os.RemoveAll(toolDir)
	}
	os.Exit(code)
}

func staged(attempt string, d *backout.Delta) backout.Task {
	task := executorstest.Task(dnf.Kind(), attempt)
	task.Delta = d
	return task
}

var (
	boaDelta = &backout.Delta{Manager: "rpm", Packages: []backout.PackageChange{
		{Name: "boa", Arch: "noarch", From: "0:1.0-1", To: "0:2.0-1"},
		{Name: "fresh", Arch: "noarch", To: "0:2.0-1"},
		{Name: "lib", Arch: "x86_64", From: "1:1.0-1.el7", To: "1:2.0-1.el7_3.1"},
	}}
	boaPatched = []string{"boa noarch 0:2.0-1", "fresh noarch 0:2.0-1", "lib x86_64 1:2.0-1.el7_3.1", "other noarch 0:1.0-1"}
	boaBack    = "boa noarch 0:1.0-1\nlib x86_64 1:1.0-1.el7\nother noarch 0:1.0-1\n"
	boaOffered = "boa noarch 0:1.0-1\nboa noarch 0:2.0-1\nlib x86_64 1:1.0-1.el7\nlib x86_64 1:2.0-1.el7_3.1\nfresh noarch 0:2.0-1\n"
)

const noHold = `{"hold": false, "stash": false}`

// TestOtherFronts: dnf5 and yum are spoken to in their own ways, with the same
// outcome.
func TestOtherFronts(t *testing.T) {
	for _, tool := range []string{"dnf5", "yum"} {
		t.Run(tool, func(t *testing.T) {
			e := undo(t, noHold)
			s := newStage(t, tool, boaPatched...)
			s.write("offered", boaOffered)
			if v := e.Preflight(t.Context(), staged("p", boaDelta), s); len(v) > 0 {
				t.Fatalf("preflight: %s", reasons(v))
			}
			if got := s.read("installed"); strings.Contains(got, "boa noarch 0:1.0-1") {
				t.Fatalf("the preflight changed the target: %s", got)
			}
			if p, err := e.Probe(t.Context(), staged("a1", boaDelta), s); err != nil || p.State != backout.ProbeNotDone {
				t.Errorf("probe: %+v %v", p, err)
			}
			var out bytes.Buffer
			o, err := e.Execute(t.Context(), staged("a1", boaDelta), s, &out)
			if err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if got := s.read("installed"); got != boaBack {
				t.Errorf("installed: %s", got)
			}
			if !strings.Contains(o.Summary, "2 packages back to their old versions, 1 removed") || !strings.Contains(o.Summary, "a reboot is needed") {
				t.Error(o.Summary)
			}
			// Undone already: dnf5 would say that this is an error.
			if _, err := e.Execute(t.Context(), staged("a2", boaDelta), s, &out); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestOtherFrontsRefuseWhatIsNotExact(t *testing.T) {
	for _, tool := range []string{"dnf5", "yum"} {
		for name, c := range map[string]struct{ offered, more, want string }{
			"a version that is gone":       {strings.Replace(boaOffered, "lib x86_64 1:1.0-1.el7\n", "", 1), "", "lib-1:1.0-1.el7.x86_64"},
			"something else that would go": {boaOffered, "late noarch 0:1.0-1", "would also remove late-0:1.0-1.noarch"},
		} {
			t.Run(tool+" "+name, func(t *testing.T) {
				e := undo(t, noHold)
				s := newStage(t, tool, append(boaPatched, c.more)...)
				was := s.read("installed")
				s.write("offered", c.offered)
				if got := reasons(e.Preflight(t.Context(), staged("p", boaDelta), s)); !strings.Contains(got, c.want) {
					t.Errorf("preflight: %q, want %q", got, c.want)
				}
				var out bytes.Buffer
				if _, err := e.Execute(t.Context(), staged("a1", boaDelta), s, &out); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
					t.Errorf("execute: %v\n%s", err, &out)
				}
				if got := s.read("installed"); got != was {
					t.Errorf("installed: %s", got)
				}
			})
		}
	}
}

// TestOtherFrontsBeforeThePatch: what they have pending is found in what each says.
func TestOtherFrontsBeforeThePatch(t *testing.T) {
	old := strings.Split(strings.TrimSpace(boaBack), "\n")
	for _, tool := range []string{"dnf5", "yum"} {
		t.Run(tool, func(t *testing.T) {
			e := undo(t, noHold)
			s := newStage(t, tool, old...)
			s.write("offered", boaOffered)
			if v := e.Preflight(t.Context(), staged("p", nil), s); len(v) > 0 {
				t.Errorf("preflight: %s", reasons(v))
			}
			s.write("offered", strings.Replace(boaOffered, "boa noarch 0:1.0-1\n", "", 1))
			if got := reasons(e.Preflight(t.Context(), staged("p", nil), s)); !strings.Contains(got, "no enabled repository has boa-0:1.0-1.noarch") {
				t.Errorf("preflight: %s", got)
			}
			s.write("offered", "")
			if got := reasons(e.Preflight(t.Context(), staged("p", nil), s)); !strings.Contains(got, "nothing of the patch") {
				t.Errorf("preflight: %s", got)
			}
		})
	}
}

func TestNoFront(t *testing.T) {
	s := newStage(t, "")
	if got := reasons(undo(t, noHold).Preflight(t.Context(), staged("p", nil), s)); !strings.Contains(got, "neither dnf, dnf5 nor yum") {
		t.Error(got)
	}
}
