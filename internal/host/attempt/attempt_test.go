package attempt_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// echo gives the text to a real shell and returns the words it read.
func echo(t interface{ Fatal(...any) }, shell, text string) string {
	cmd := exec.Command(shell, "-s")
	cmd.Env = []string{"PATH=" + attempt.Path, "LC_ALL=C", "HOME=/"}
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func shells() []string {
	found := []string{"/bin/sh"}
	if path, err := exec.LookPath("bash"); err == nil {
		found = append(found, path)
	}
	return found
}

var pieces = []string{
	"'", `"`, `\`, "$(id)", "`id`", "$HOME", "\n", "\r", "\t", " ", ";", "&", "|", "<", ">", "(", ")", "{", "}", "*", "?", "[", "~", "#", "!", "--", "-n", "é", "✓",
	"\xff", "\x80", "\x81\x82", "\x01", "EOF", "%s", "=", "a",
}

func TestEveryTextArrivesAsOneArgument(t *testing.T) {
	for _, shell := range shells() {
		t.Run(shell, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12)
				args := []string{strings.Join(text.Draw(t, "first"), ""), strings.Join(text.Draw(t, "second"), "")}
				value := strings.Join(text.Draw(t, "value"), "")
				e := backout.Exec{
					Argv: append([]string{"sh", "-c", `printf '%s\036' "$@" "$BACKOUT_VALUE"`, "sh"}, args...),
					Env:  map[string]string{"BACKOUT_VALUE": value},
				}
				want := args[0] + "\x1e" + args[1] + "\x1e" + value + "\x1e"
				if got := echo(t, shell, attempt.Run(e)); got != want {
					t.Fatalf("sent %q, arrived %q", want, got)
				}
			})
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, p := range pieces {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			if attempt.CheckExec(backout.Exec{Argv: []string{"a", text}}) == nil {
				t.Fatal("NUL was taken")
			}
			return
		}
		if got := echo(t, "/bin/sh", "printf %s "+attempt.Quote(text)+"\n"); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestHalfAScriptRunsNothing(t *testing.T) {
	dir := t.TempDir()
	s := attempt.Script{Dir: dir}
	for name, text := range map[string]string{
		"start": s.Start("a1", backout.Exec{Argv: []string{"true"}}), "stop": s.Stop("a1"), "forget": s.Forget("a1"),
		"run": attempt.Run(backout.Exec{Argv: []string{"echo", "ran"}}),
	} {
		for cut := 1; cut < len(text)-2; cut += max(1, len(text)/23) {
			cmd := exec.Command("/bin/sh", "-s")
			cmd.Stdin = strings.NewReader(text[:cut])
			out, _ := cmd.Output()
			left, err := exec.Command("ls", "-A", dir).Output()
			if len(out) > 0 || len(left) > 0 || err != nil {
				t.Fatalf("%s cut at %d of %d: %q %q %v", name, cut, len(text), out, left, err)
			}
		}
	}
}

func TestTextsAreShell(t *testing.T) {
	s := attempt.Script{}
	e := backout.Exec{Argv: []string{"true"}}
	arg, _ := attempt.RunWithInput(e)
	for name, text := range map[string]string{
		"start": s.Start("a1", e), "probe": s.Probe("a1"), "attach": s.Attach("a1", 7), "stop": s.Stop("a1"), "stop claimed": s.StopClaimed("a1"), "forget": s.Forget("a1"),
		"armed": attempt.Armed(), "arm": attempt.Arm(), "fire": attempt.Fire(e), "input": arg,
	} {
		for _, shell := range shells() {
			cmd := exec.Command(shell, "-n", "-s")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s by %s: %v %s", name, shell, err, out)
			}
		}
	}
}

func TestCheckExec(t *testing.T) {
	good := backout.Exec{Argv: []string{"a", "", "-x", "\n\xff"}, Env: map[string]string{"BACKOUT_X": "\n", "_a1": ""}, Dir: "/x y"}
	if err := attempt.CheckExec(good); err != nil {
		t.Error(err)
	}
	for want, e := range map[string]backout.Exec{
		"argv is empty":         {},
		"argv is empty: name":   {Argv: []string{""}},
		"begin with a dash":     {Argv: []string{"-c"}},
		"argv[1] holds a NUL":   {Argv: []string{"a", "\x00"}},
		"absolute path":         {Argv: []string{"a"}, Dir: "x"},
		"dir holds a NUL":       {Argv: []string{"a"}, Dir: "/\x00"},
		`name "": want`:         {Argv: []string{"a"}, Env: map[string]string{"": "x"}},
		`name "1A": want`:       {Argv: []string{"a"}, Env: map[string]string{"1A": "x"}},
		`name "A=B": want`:      {Argv: []string{"a"}, Env: map[string]string{"A=B": "x"}},
		`name "A;id": want`:     {Argv: []string{"a"}, Env: map[string]string{"A;id": "x"}},
		"IFS\" belongs":         {Argv: []string{"a"}, Env: map[string]string{"IFS": "x"}},
		"environment A holds a": {Argv: []string{"a"}, Env: map[string]string{"A": "\x00"}},
	} {
		if err := attempt.CheckExec(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
}

func TestCheckID(t *testing.T) {
	if err := attempt.CheckID(backout.AttemptID("CHG0030001-r1", 0, 0, 0, 1)); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"", ".", "..", "../x", "a/b", "-a", ".a", "a b", "a\n", "a'", "é", strings.Repeat("a", 201)} {
		if attempt.CheckID(id) == nil {
			t.Errorf("id %q was taken", id)
		}
	}
}

func TestReport(t *testing.T) {
	const boot, claim, pid = "b1", "b1 10 100", "11 110"
	running := attempt.Facts{Seen: true, Boot: boot, Claim: claim, PID: pid, Supervisor: "S 100", Command: "S 110"}
	change := func(f func(*attempt.Facts)) attempt.Facts { c := running; f(&c); return c }
	in := func(now, then string, r backout.AttemptReport) backout.AttemptReport {
		r.Boot, r.ClaimBoot = now, then
		return r
	}
	unknown := func(detail string) backout.AttemptReport {
		return in("b1", "b1", backout.AttemptReport{State: backout.AttemptUnknown, Detail: detail})
	}
	alive := in("b1", "b1", backout.AttemptReport{State: backout.AttemptRunning})
	for name, tt := range map[string]struct {
		f    attempt.Facts
		want backout.AttemptReport
	}{
		"never seen": {attempt.Facts{Boot: boot}, in("b1", "", backout.AttemptReport{State: backout.AttemptNotStarted})},
		"running":    {running, alive},
		"finished": {
			change(func(f *attempt.Facts) { f.Result = "3 1700000000" }),
			in("b1", "b1", backout.AttemptReport{State: backout.AttemptFinished, ExitCode: 3, FinishedAt: time.Unix(1700000000, 0)}),
		},
		"finished before a reboot": {
			change(func(f *attempt.Facts) { f.Result, f.Boot = "0 1700000000", "b2" }),
			in("b2", "b1", backout.AttemptReport{State: backout.AttemptFinished, FinishedAt: time.Unix(1700000000, 0)}),
		},
		"stopped before it began": {
			attempt.Facts{Seen: true, Boot: boot, Result: "143 1700000000"},
			in("b1", "", backout.AttemptReport{State: backout.AttemptFinished, ExitCode: 143, FinishedAt: time.Unix(1700000000, 0)}),
		},
		"rebooted":            {change(func(f *attempt.Facts) { f.Boot = "b2" }), in("b2", "b1", unknown(attempt.DetailRebooted))},
		"both gone":           {change(func(f *attempt.Facts) { f.Supervisor, f.Command = "", "" }), unknown(attempt.DetailGone)},
		"ids reused":          {change(func(f *attempt.Facts) { f.Supervisor, f.Command = "S 999", "R 999" }), unknown(attempt.DetailGone)},
		"zombies":             {change(func(f *attempt.Facts) { f.Supervisor, f.Command = "Z 100", "Z 110" }), unknown(attempt.DetailGone)},
		"never started":       {change(func(f *attempt.Facts) { f.Supervisor, f.Command, f.Unused = "", "", true }), unknown(attempt.DetailNeverStarted)},
		"no claim":            {attempt.Facts{Seen: true, Boot: boot}, in("b1", "", unknown(attempt.DetailNoRecord))},
		"half a claim":        {attempt.Facts{Seen: true, Boot: boot, Claim: "b1 10"}, in("b1", "", unknown(attempt.DetailUnreadable))},
		"torn result":         {change(func(f *attempt.Facts) { f.Result = "3" }), unknown(attempt.DetailUnreadable)},
		"impossible result":   {change(func(f *attempt.Facts) { f.Result = "300 1" }), unknown(attempt.DetailUnreadable)},
		"supervisor is gone":  {change(func(f *attempt.Facts) { f.Supervisor = "" }), in("b1", "b1", backout.AttemptReport{State: backout.AttemptRunning, Detail: attempt.DetailUnsupervised})},
		"claimed, not yet on": {change(func(f *attempt.Facts) { f.PID, f.Command = "", "" }), alive},
	} {
		if diff := cmp.Diff(tt.want, tt.f.Report()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParseFacts(t *testing.T) {
	f, err := attempt.ParseFacts("sudo: unable to resolve host\nbackout-facts-begin\nboot=b\nseen=1\nclaim=b 1 2\nsupervisor=S 2\npid=3 4\ncommand=R 4\nunused=1\nrc=\nbackout-facts-end\n")
	want := attempt.Facts{Seen: true, Boot: "b", Claim: "b 1 2", PID: "3 4", Unused: true, Supervisor: "S 2", Command: "R 4"}
	if diff := cmp.Diff(want, f); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{
		"", "seen=0\nbackout-facts-end\n", "backout-facts-begin\nseen=1\nboot=b\n", "backout-facts-begin\nseen=1\nbackout-facts-end",
		"backout-facts-begin\nwhat=1\nbackout-facts-end\n", "backout-facts-begin\nseen=0\nbackout-facts-begin\n", "backout-facts-end\nbackout-facts-begin\n",
		"backout-facts-begin\nsudo: bye\nseen=0\nbackout-facts-end\n",
	} {
		if f, err := attempt.ParseFacts(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, f)
		}
	}
}

func FuzzParseFacts(f *testing.F) {
	f.Add("backout-facts-begin\nseen=1\nboot=b\nclaim=b 1 2\nrc=0 1\nbackout-facts-end\n")
	f.Fuzz(func(t *testing.T, answer string) {
		facts, err := attempt.ParseFacts(answer)
		if err == nil && !facts.Seen && facts.Report().State != backout.AttemptNotStarted {
			t.Fatalf("%+v", facts)
		}
	})
}

func TestProcessLine(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for stat, want := range map[string]string{
		"7 (sh)" + rest: "S 4242", "7 (a) b (c)" + rest: "S 4242", "7 (a\n) R 1)" + rest: "S 4242", "": "", "7 (sh) S 1": "", "nonsense": "",
	} {
		if got := attempt.ProcessLine(stat); got != want {
			t.Errorf("%q: %q, want %q", stat, got, want)
		}
	}
}

func TestCapped(t *testing.T) {
	var c attempt.Capped
	for range 3 {
		if n, err := c.Write(bytes.Repeat([]byte("x"), attempt.MaxOutput/2)); n != attempt.MaxOutput/2 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(c.Bytes()) != attempt.MaxOutput {
		t.Error(len(c.Bytes()))
	}
}

// tell gives the text to a real shell and returns its exit code and output.
func tell(t *testing.T, shell, text string) (int, string) {
	t.Helper()
	cmd := exec.Command(shell, "-s")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestStopBeforeTheStartPreventsIt(t *testing.T) {
	for _, shell := range shells() {
		dir := filepath.Join(t.TempDir(), "attempts")
		s := attempt.Script{Dir: dir}
		effect := filepath.Join(dir, "effect")
		for range 2 {
			if code, out := tell(t, shell, s.Stop("a1")); code != 0 {
				t.Fatalf("%s: stop ended with %d: %s", shell, code, out)
			}
		}
		if code, out := tell(t, shell, s.Start("a1", backout.Exec{Argv: []string{"touch", effect}})); code != 0 {
			t.Errorf("%s: start ended with %d: %s", shell, code, out)
		}
		began := time.Now()
		_, answer := tell(t, shell, s.Probe("a1"))
		f, err := attempt.ParseFacts(answer)
		if r := f.Report(); err != nil || r.State != backout.AttemptFinished || r.ExitCode != attempt.StoppedUnstarted || time.Since(r.FinishedAt) > time.Minute {
			t.Errorf("%s: %+v, %v", shell, r, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: the probe took %s: it waited for a supervisor", shell, took)
		}
		if _, err := os.Stat(effect); err == nil {
			t.Errorf("%s: it was started after the stop", shell)
		}
		if code, out := tell(t, shell, s.Forget("a1")); code != 0 {
			t.Errorf("%s: forget ended with %d: %s", shell, code, out)
		}
	}
}

func TestStopFailsUntilTheCommandHasBegunOrEnded(t *testing.T) {
	t.Parallel()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal("no /proc here: ", err)
	}
	claim := strings.TrimSpace(string(boot)) + " 1 1\n"
	for name, tt := range map[string]struct {
		files map[string]string
		ends  bool
	}{
		"made a moment ago":       {nil, false},
		"claimed":                 {map[string]string{"claim": claim}, false},
		"torn pid":                {map[string]string{"claim": claim, "pid": "7"}, false},
		"finished":                {map[string]string{"claim": claim, "rc": "0 1"}, true},
		"known to begin no more":  {map[string]string{"claim": claim, "unused": ""}, true},
		"claimed before a reboot": {map[string]string{"claim": "b0 1 1\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "a1"), 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, "a1", file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := attempt.Script{Dir: dir}
			for verb, text := range map[string]string{"stop": s.Stop("a1"), "stop claimed": s.StopClaimed("a1")} {
				if code, out := tell(t, "/bin/sh", text); (code == 0) != tt.ends {
					t.Errorf("%s ended with %d: %s", verb, code, out)
				}
			}
		})
	}
	if code, _ := tell(t, "/bin/sh", attempt.Script{Dir: t.TempDir()}.StopClaimed("a1")); code == 0 {
		t.Error("stop of what is not claimed ended with 0")
	}
}
