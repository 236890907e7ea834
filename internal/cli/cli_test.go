package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
)

var update = flag.Bool("update", false, "write docs/cli.md")

func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "cli.md")
	got := Reference()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/cli.md is stale (go test ./internal/cli -run TestReference -update): %s", diff)
	}
}

func TestReferenceDoesNotDependOnTheEnvironment(t *testing.T) {
	root := newProgram(Options{Getenv: func(string) string { return "/home/somebody" }}).root()
	if flag := root.PersistentFlags().Lookup("server"); flag.DefValue != defaultServer {
		t.Errorf("the help shows %q as the default", flag.DefValue)
	}
}

// run runs one command line and returns what it printed and its exit code.
func run(t *testing.T, o Options, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	o.Stdout, o.Stderr = &out, &err
	code = Run(t.Context(), args, o)
	return out.String(), err.String(), code
}

func TestCommandsGiveExitCodes(t *testing.T) {
	problem := backout.Problems{{File: "rules/web.yaml", Line: 4, Column: 5, What: "unknown key \x1b[31m", Fix: "did you mean \"level\"?"}}
	warning := backout.Problems{{File: "plans/web.yaml", Line: 1, What: "L2 has no approval", Warning: true}}
	check := func(ps backout.Problems) func(context.Context, string) backout.Problems {
		return func(context.Context, string) backout.Problems { return ps }
	}
	explain := func(follows string) func(context.Context, ExplainOptions) ([]handlers.Explained, error) {
		return func(_ context.Context, o ExplainOptions) ([]handlers.Explained, error) {
			if len(o.Alerts) != 1 || o.At.IsZero() || o.Config == "" {
				return nil, errors.New("no alert, no config or no time")
			}
			return []handlers.Explained{{Alert: o.Alerts[0], At: o.At, Rules: []handlers.ExplainedRule{{
				Group: "web", Rule: "Errors\x1b[2J", Mode: "auto", Matched: follows != "", Follows: follows, Why: "because\x1b[2J",
				Parts: []handlers.ExplainPart{{Kind: "match", Text: `severity="page"`, Held: follows != ""}},
			}}}}, nil
		}
	}
	reach := func(ok bool) func(context.Context, string, []string, func(TargetReport)) error {
		return func(_ context.Context, _ string, names []string, report func(TargetReport)) error {
			for _, n := range names {
				report(TargetReport{Target: n, OK: ok, Detail: "boot id 7"})
			}
			return nil
		}
	}
	alert := filepath.Join(t.TempDir(), "alert.json")
	if err := os.WriteFile(alert, []byte(`{"labels":{"alertname":"HTTP5xx"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		o      Options
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"check good", Options{Check: check(nil)}, "check", 0, "backout.yaml: good\n", ""},
		{"check bad", Options{Check: check(problem)}, "check", 1, "rules/web.yaml:4:5: unknown key [31m: did you mean \"level\"?\n1 problem, 0 warnings\n", ""},
		{"check warns", Options{Check: check(warning)}, "check", 0, "plans/web.yaml:1: warning: L2 has no approval\ngood, with 1 warning\n", ""},
		{"rules check", Options{RulesCheck: func(string, ...string) backout.Problems { return problem }}, "rules check -o json", 1, `"what": "unknown key \u001b[31m"`, ""},
		{"rules facts", Options{RulesFacts: func() []FactRow { return []FactRow{{"alert.age", "duration", "time since it fired"}} }}, "rules facts", 0, "FACT       TYPE      MEANING\nalert.age  duration  time since it fired\n", ""},
		{"explain acts", Options{RulesExplain: explain("open")}, "rules explain --alert " + alert, 0, "\n+ acts  web/Errors[2J (auto)\n  because[2J\n  + yes      severity=\"page\"\n", ""},
		{"explain records", Options{RulesExplain: explain("record")}, "rules explain --alert " + alert, 1, "o only recorded", ""},
		{"explain does not", Options{RulesExplain: explain("")}, "rules explain --alert " + alert, 1, "x does not match", ""},
		{"explain as JSON", Options{RulesExplain: explain("open")}, "rules explain -o json --alert " + alert, 0, `"rule": "Errors\u001b[2J"`, ""},
		{"explain needs an alert", Options{RulesExplain: explain("")}, "rules explain", 2, "", "at least one of the flags in the group [alert seen] is required"},
		{"explain of one alert", Options{}, "rules explain --seen 00 --alert " + alert, 2, "", "none of the others can be"},
		{"explain asks one side", Options{}, "rules explain --seen 00 --changes x", 2, "", "none of the others can be"},
		{"explain a time", Options{}, "rules explain --seen 00 --at yesterday", 2, "", "--at: time \"yesterday\""},
		{"kinds", Options{Kinds: func() []KindRow { return []KindRow{{"executor", "command", "runs a command", ""}} }}, "kinds", 0, "executor  command  -      runs a command", ""},
		{"target check", Options{CheckTargets: reach(true)}, "target check web-01", 0, "web-01  reached  0s    boot id 7", ""},
		{"target check bad", Options{CheckTargets: reach(false)}, "target check web-01", 1, "not reached", ""},
		{"missing", Options{}, "serve", 1, "", "backout: not part of this build\n"},
		{"serve ends well", Options{Serve: func(context.Context, ServeOptions) error { return nil }}, "serve", 0, "", ""},
		{"serve fails", Options{Serve: func(context.Context, ServeOptions) error { return errors.New("listen 127.0.0.1:8420: address in use") }}, "serve", 1, "", "backout: listen 127.0.0.1:8420: address in use\n"},
		{"serve format", Options{Serve: func(context.Context, ServeOptions) error { return nil }}, "serve --log-format xml", 2, "", "want text or json"},
		{"demo", Options{Demo: func(_ context.Context, o DemoOptions) error { _, err := io.WriteString(o.Out, "story\n"); return err }}, "demo --exit", 0, "story\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err, code := run(t, c.o, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.stdout) || !strings.Contains(err, c.stderr) {
				t.Errorf("exit code %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", code, c.code, out, c.stdout, err, c.stderr)
			}
			if strings.Contains(out+err, "\x1b") {
				t.Errorf("an escape got through: %q", out+err)
			}
		})
	}
}

func TestExitCodeOfEveryError(t *testing.T) {
	answer := func(status int, code string) error {
		return fmt.Errorf("ask: %w", &client.Error{Status: status, ErrorBody: handlers.ErrorBody{Code: code, Message: "no"}})
	}
	for want, errs := range map[int][]error{
		ExitDone:            {nil},
		ExitFailed:          {errors.New("boom"), answer(404, "not_found"), answer(409, "conflict"), answer(409, "exists"), answer(409, "final"), answer(500, "internal"), answer(503, "unavailable"), answer(502, ""), answer(400, "invalid"), backout.Problems{{}}},
		ExitUsage:           {usagef("no")},
		ExitRefused:         {answer(422, "refused"), answer(423, "paused"), &backout.RefusedError{}},
		ExitUnauthenticated: {answer(401, "unauthenticated"), answer(401, ""), answer(403, "forbidden"), client.ErrPlainToken},
		ExitTimeout:         {fmt.Errorf("%w: 2m are over", errTimeout)},
		ExitHeld:            {heldError{"r", "why"}},
		ExitInterrupted:     {context.Canceled},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != want {
				t.Errorf("exitCode(%v) = %d, want %d", err, got, want)
			}
		}
	}
	for _, e := range exitCodes {
		if !strings.Contains(exitCodesHelp(), fmt.Sprintf("  %-4d ", e.code)) {
			t.Errorf("exit code %d is not in the help", e.code)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 5, time.UTC)
	for in, want := range map[string]string{
		"now": "2026-11-23T02:00:00Z", "+2h": "2026-11-23T04:00:00Z", "+1d": "2026-11-24T02:00:00Z", " +90s ": "2026-11-23T02:01:30Z",
		"2026-11-23T04:00:00+02:00": "2026-11-23T04:00:00+02:00",
	} {
		got, err := parseTime(in, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("parseTime(%q) = %s, %v, want %s", in, got.Format(time.RFC3339), err, want)
		}
	}
	for _, bad := range []string{"", "tomorrow", "+", "+x", "+-2h", "-2h", "2026-11-23", "2026-11-23T04:00:00"} {
		if got, err := parseTime(bad, now); err == nil {
			t.Errorf("parseTime(%q) = %s, want an error", bad, got)
		}
	}
}

func FuzzParseChange(f *testing.F) {
	f.Add([]byte("id: CHG7\nwindow: {opens: now, closes: +2h, watch: 1h}\ntargets: [a]\n"))
	f.Add([]byte("window: {opens: {a: b}}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		spec, problems := parseChange("f.yaml", raw, time.Unix(1e9, 0))
		if problems == nil {
			if _, err := json.Marshal(spec); err != nil {
				t.Errorf("a good file makes a change that cannot be sent: %v", err)
			}
		}
		for _, p := range problems {
			if p.File != "f.yaml" || p.What == "" {
				t.Errorf("a problem without a place or words: %+v", p)
			}
		}
	})
}

func TestParseChangeTellsEveryProblem(t *testing.T) {
	_, problems := parseChange("c.yaml", []byte("id: CHG7\nwindow:\n  opens: tomorrow\n  closes: later\ntargest: [a]\n"), time.Now())
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if diff := cmp.Diff([]int{3, 4, 5}, lines); diff != "" {
		t.Errorf("%s\n%v", diff, problems)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"change", "check", "rollback", "rules", "serve"}
	for in, want := range map[string]string{"chnage": "change", "chek": "check", "roll": "rollback", "rolbak": "rollback", "SERVE": "serve", "frobnicate": "", "x": ""} {
		if got := nearest(in, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestJSONKeepsTextAndHidesItsPower(t *testing.T) {
	in := map[string]string{"v": "\x1b]0;x\x07\u009b\u202e\U000e0041 日本 <&>\n"}
	var b bytes.Buffer
	if err := writeJSON(&b, in, false); err != nil {
		t.Fatal(err)
	}
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if r < ' ' || r == 0x9b || r == 0x202e || r == 0xe0041 {
			t.Errorf("%U is in the output %q", r, b.String())
		}
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(b.String(), "日本 <&>") {
		t.Errorf("harmless text was escaped: %s", b.String())
	}
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-11-23T02:00:00Z"},
	}}
	if got := versionOf(info).String(); !strings.HasPrefix(got, "backout v1.2.3 (0123456789ab, modified) go1.") {
		t.Errorf("version is %q", got)
	}
	if got := versionOf(nil).Version; got != "devel" {
		t.Errorf("without build info the version is %q", got)
	}
}

func TestUnicodeByLocale(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{{"", "", "en_US.UTF-8", true}, {"", "", "C", false}, {"", "", "", false}, {"C", "", "en_US.UTF-8", false}, {"", "de_DE.utf8", "C", true}} {
		env := map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang}
		if got := utf8Locale(func(k string) string { return env[k] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestEveryCommandHasGoodHelp(t *testing.T) {
	reference := Reference()
	for _, missing := range []string{"\n\n.\n", "TODO"} {
		if strings.Contains(reference, missing) {
			t.Errorf("the reference holds %q", missing)
		}
	}
	for _, name := range strings.Fields("serve check change rollback rules target notify notices pause resume demo version completion") {
		if !strings.Contains(reference, "\n## backout "+name) {
			t.Errorf("%s is not in the reference", name)
		}
	}
}

func TestRuleNamesAreCompletedFromTheConfig(t *testing.T) {
	o := Options{RuleNames: func(config string) []string { return []string{"of " + config, "Down\x1b[2J"} }}
	stdout, _, code := run(t, o, "__complete", "rules", "explain", "--config", "other.yaml", "--rule", "")
	if code != 0 || !strings.Contains(stdout, "of other.yaml\n") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit code %d, completed %q", code, stdout)
	}
}
