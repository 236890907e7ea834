package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestSudoersIsWhatVisudoTakes: whatever a config says, the file allows the one rule.
func TestSudoersIsWhatVisudoTakes(t *testing.T) {
	var steps []SudoStep
	for _, s := range []string{"plain", "#include /etc/passwd", "a\n%evil ALL=(ALL) ALL", "ends with \\", "\r\nroot2 ALL=ALL", "#1000 ALL=ALL", "\u2028x ALL=ALL"} {
		steps = append(steps, SudoStep{Where: s, Step: s, Uses: s, Commands: []string{s, s}, Unknown: s})
	}
	for _, n := range []SudoNeeds{
		{Plan: "web", User: "backout", On: true, Steps: steps},
		{Plan: "a\\", User: "backout", On: true},
		{Plan: "web", User: "root", On: true, Steps: steps},
		{Plan: "web", Steps: steps},
	} {
		text, err := sudoers(&n)
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); line != "#" && !strings.HasPrefix(line, "# ") {
				rules = append(rules, line)
			}
			if strings.HasSuffix(line, "\\") {
				t.Errorf("a line goes on in the next: %q", line)
			}
		}
		want := 0
		if n.On && n.User != "root" {
			want = 2
		}
		if len(rules) != want {
			t.Errorf("%s: its rules are %q", n.User, rules)
		}
		visudo(t, text)
	}
	if _, err := sudoers(&SudoNeeds{On: true, User: "x ALL=ALL"}); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("a user that is a rule: %v", err)
	}
}

func visudo(t *testing.T, text string) {
	t.Helper()
	program, err := exec.LookPath("visudo")
	if err != nil {
		t.Log("visudo is not here: apt-get install sudo")
		return
	}
	file := filepath.Join(t.TempDir(), "backout")
	if err := os.WriteFile(file, []byte(text), 0o440); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "-cf", file).CombinedOutput(); err != nil {
		t.Errorf("visudo: %v\n%s\n%s", err, out, text)
	}
}

func TestTheWorstDriftIsTheExitCode(t *testing.T) {
	drift := func(verdicts ...backout.DriftVerdict) (out []backout.Drift) {
		for _, v := range verdicts {
			out = append(out, backout.Drift{Verdict: v})
		}
		return out
	}
	for want, cases := range map[int][][]backout.Drift{
		ExitDone:    {nil, drift(backout.DriftNone, backout.DriftNone)},
		ExitDrifted: {drift(backout.DriftNone, backout.DriftSome, backout.DriftNone)},
		ExitFailed:  {drift(backout.DriftNotBack, backout.DriftSome), drift(backout.DriftSome, backout.DriftNotBack), drift("of a later release")},
	} {
		for _, found := range cases {
			if got := exitCode(driftStatus(found)); got != want {
				t.Errorf("%v: exit code %d, want %d", found, got, want)
			}
		}
	}
}

func TestDriftDefaultsCanBeSeen(t *testing.T) {
	o := Options{DriftDefaults: func() []backout.IgnoreDrift {
		return []backout.IgnoreDrift{{Part: "files", Name: "/var/log/**", Reason: "logs grow"}}
	}}
	out, _, code := run(t, o, "drift", "--defaults")
	if code != 0 || out != "PART   NAME         EXPECTED BECAUSE\nfiles  /var/log/**  logs grow\n" {
		t.Errorf("%d %q", code, out)
	}
}
