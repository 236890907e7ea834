package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/executors/executorstest"
)

func section(t *testing.T, argv ...string) string {
	t.Helper()
	data, err := json.Marshal(command.Config{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	effects, gate, got := filepath.Join(dir, "effects"), filepath.Join(dir, "gate"), filepath.Join(dir, "got")
	executorstest.Run(t, executorstest.Suite{
		Kind:     command.Kind(),
		Quick:    section(t, "sh", "-c", `echo x >>"$0"; echo done`, effects),
		Effects:  func() int { data, _ := os.ReadFile(effects); return strings.Count(string(data), "x") },
		Slow:     section(t, "sh", "-c", `echo begun; until [ -e "$0" ]; do sleep 0.02; done`, gate),
		SlowSays: "begun",
		Release:  func() { _ = os.WriteFile(gate, nil, 0o600) },
		Hostile:  section(t, "sh", "-c", "--", `[ "$1" = "$BACKOUT_ALERT_NAME" ] && [ $# = 1 ] && printf %s "$1" >"$0"`, got, "${BACKOUT_ALERT_NAME}"),
		Got:      func() string { data, _ := os.ReadFile(got); return string(data) },
		Bad: map[string]string{
			`{}`:              "argv is empty",
			`{"argv": []}`:    "argv is empty",
			`{"argv": [""]}`:  "argv is empty",
			`{"argv": "a b"}`: "argv",
			`{"argv": ["sh", "-c", "echo ${BACKOUT_TARGET}"]}`:   "environment variable",
			`{"argv": ["${BACKOUT_TARGET"]}`:                     "other text",
			`{"argv": ["${BACKOUT_ALERT_NAME}", "x"]}`:           "name the program",
			`{"argv": ["a\u0000b"]}`:                             "NUL",
			`{"argv": ["a"], "env": {"BACKOUT_TARGET": "x"}}`:    "BACKOUT_",
			`{"argv": ["a"], "env": {"A B": "x"}}`:               "not a variable",
			`{"argv": ["a"], "env": {"A": "x${BACKOUT_LEVEL}"}}`: "other text",
			`{"argv": ["a"], "dir": "tmp"}`:                      "absolute",
		},
	})
}

func TestOutcome(t *testing.T) {
	h := executorstest.Local(t)
	var out bytes.Buffer
	task := executorstest.Task(command.Kind(), "a1")
	e := executorstest.Build(t, command.Kind(), section(t, "sh", "-c", `echo "$BACKOUT_TARGET $BACKOUT_CHANGE_ID $BACKOUT_LEVEL $BACKOUT_ATTEMPT $0"; exit 4`, "${BACKOUT_ROLLBACK_ID}"))
	o, err := e.Execute(t.Context(), task, h, &out)
	if err == nil || o.ExitCode != 4 || o.FinishedAt.IsZero() || out.String() != "web1 CHG1 L1 a1 CHG1-r1\n" {
		t.Errorf("%+v %v %q", o, err, out.String())
	}
	e = executorstest.Build(t, command.Kind(), section(t, "echo", "${BACKOUT_NOT_A_FACT}"))
	if _, err := e.Execute(t.Context(), executorstest.Task(command.Kind(), "a2"), h, &out); !backout.IsPermanent(err) {
		t.Errorf("an unknown fact: %v", err)
	}
	if r, err := h.Probe(t.Context(), "a2"); err != nil || r.State != backout.AttemptNotStarted {
		t.Errorf("and yet it was started: %+v %v", r, err)
	}
}

// TestFactIsNoOption: names of alerts come from outside.
func TestFactIsNoOption(t *testing.T) {
	h := executorstest.Local(t)
	for i, tt := range []struct {
		alert, said string
		argv        []string
	}{
		{"-rf", "", []string{"echo", "${BACKOUT_ALERT_NAME}"}},
		{"--", "", []string{"echo", "${BACKOUT_ALERT_NAME}", "${BACKOUT_ALERT_NAME}"}},
		{"--help", "", []string{"sh", "-c", "echo $0", "${BACKOUT_ALERT_NAME}", "--"}},
		{"-rf", "-rf\n", []string{"printf", "--", "%s\n", "${BACKOUT_ALERT_NAME}"}},
		{"a-b", "a-b\n", []string{"echo", "${BACKOUT_ALERT_NAME}"}},
		{"-rf", "-n\n", []string{"printf", "%s\n", "-n"}},
	} {
		task := executorstest.Task(command.Kind(), fmt.Sprintf("dash%d", i))
		task.Facts["BACKOUT_ALERT_NAME"] = tt.alert
		var out bytes.Buffer
		_, err := executorstest.Build(t, command.Kind(), section(t, tt.argv...)).Execute(t.Context(), task, h, &out)
		refused := backout.IsPermanent(err) && strings.Contains(err.Error(), `put "--" before it`)
		if refused != (tt.said == "") || out.String() != tt.said {
			t.Errorf("%q with %q: %v, said %q", tt.argv, tt.alert, err, out.String())
		}
	}
}

func TestPreflightFindsWhatIsMissing(t *testing.T) {
	h := executorstest.Local(t)
	for want, config := range map[string]command.Config{
		"no-such-program": {Argv: []string{"no-such-program"}},
		"/no/such/dir":    {Argv: []string{"true"}, Dir: "/no/such/dir"},
		"BACKOUT_NO_FACT": {Argv: []string{"true", "${BACKOUT_NO_FACT}"}},
	} {
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := executorstest.Build(t, command.Kind(), string(data)).(backout.Preflighter)
		if !ok {
			t.Fatal("no preflight")
		}
		v := p.Preflight(t.Context(), executorstest.Task(command.Kind(), "p"), h)
		if len(v) != 1 || !strings.Contains(fmt.Sprint(v), want) || v[0].Fix == "" || v[0].Target != "web1" {
			t.Errorf("%+v, want one about %s", v, want)
		}
	}
}
