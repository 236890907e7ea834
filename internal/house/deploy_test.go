package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/ruletest"
	"github.com/backout-io/backout/rules"
)

// need finds a program, or skips: where all parts are required it fails.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err == nil {
		return p
	}
	why := program + " is not here: apt-get install " + debianPackage
	if os.Getenv("BACKOUT_E2E") == "require" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// run runs a program in a folder of deploy and returns what it printed.
func run(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestUnitIsValidAndHardened: systemd knows every line of it, and little is left
// to an intruder. systemd-analyze answers 0 to unknown lines, so any word of it
// about the unit counts.
func TestUnitIsValidAndHardened(t *testing.T) {
	for _, name := range []string{"backout.service", "backout-runner.service"} {
		t.Run(name, func(t *testing.T) { unitIsValidAndHardened(t, name) })
	}
}

func unitIsValidAndHardened(t *testing.T, name string) {
	analyze := need(t, "systemd-analyze", "systemd")
	unit, err := os.ReadFile(filepath.Join(root, "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "backout")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit = bytes.ReplaceAll(unit, []byte("ExecStart=/usr/local/bin/backout"), []byte("ExecStart="+binary))
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, unit, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, dir, analyze, "verify", file)
	if err != nil || strings.Contains(out, name) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = run(t, dir, analyze, "security", "--offline=yes", "--no-pager", file)
	level := regexp.MustCompile(`exposure level for ` + regexp.QuoteMeta(name) + `: ([0-9.]+)`).FindStringSubmatch(out)
	if level == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	if exposure, err := strconv.ParseFloat(level[1], 64); err != nil || exposure > 2 {
		t.Errorf("exposure %s (%v), at most 2.0 is allowed: see what systemd-analyze security says of each line", level[1], err)
	}
}

// TestPrometheusFiles: the scrape file is valid, and the alerts pass their tests.
func TestPrometheusFiles(t *testing.T) {
	promtool := need(t, "promtool", "prometheus")
	dir := filepath.Join(root, "deploy", "prometheus")
	for _, args := range [][]string{
		{"check", "config", "--syntax-only", "prometheus.yml"},
		{"check", "rules", "backout-alerts.yml", "watchdog.yml"},
		{"test", "rules", "backout-alerts_test.yml"},
		{"check", "rules", "kube-pods-by-node.yml"},
		{"test", "rules", "kube-pods-by-node_test.yml"},
	} {
		if out, err := run(t, dir, promtool, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestRuleTests: the rules that we ship pass their tests, which see nearly all of
// them.
func TestRuleTests(t *testing.T) {
	var files []string
	for _, f := range readTree(t).texts {
		promtool := strings.HasPrefix(f.path, "deploy/prometheus/")
		if strings.HasPrefix(f.path, "deploy/") && rules.IsTestFile(f.path) && !promtool {
			files = append(files, filepath.Join(root, f.path))
		}
	}
	if len(files) == 0 {
		t.Fatal("no tests of rules in deploy")
	}
	report, err := ruletest.Run(t.Context(), files, ruletest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Files {
		if err := f.Problems.Fatal(); err != nil {
			t.Error(err)
		}
		for _, r := range f.Tests {
			for i := range r.Failures {
				t.Errorf("%s: %s", r.Name, strings.Join(r.Failures[i].Lines(), "\n"))
			}
		}
	}
	if !report.OK() || report.Coverage.Percent < 90 {
		t.Errorf("%d tests, coverage %.0f%%, at least 90%% are wanted: see backout rules test --coverage", report.Tests, report.Coverage.Percent)
	}
}

// TestAlertmanagerFile: the snippet is a valid config as it stands.
func TestAlertmanagerFile(t *testing.T) {
	amtool := need(t, "amtool", "prometheus-alertmanager")
	out, err := run(t, filepath.Join(root, "deploy", "alertmanager"), amtool, "check-config", "alertmanager.yml")
	if err != nil {
		t.Errorf("amtool check-config: %v\n%s", err, out)
	}
}

// TestAlertsAskForMetricsThatExist: an alert on a number nobody counts is silent
// for ever.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	p := readTree(t)
	rules, ok := p.text("deploy/prometheus/backout-alerts.yml")
	if !ok {
		t.Fatal("deploy/prometheus/backout-alerts.yml is missing")
	}
	names := regexp.MustCompile(`backout_[a-z0-9_]+`).FindAllString(string(rules), -1)
	if len(names) == 0 {
		t.Fatal("no metric of backout in its alerts")
	}
	for _, metric := range names {
		found := false
		for _, f := range p.code() {
			data, _ := p.text(f.path)
			found = found || bytes.Contains(data, []byte(strconv.Quote(metric)))
		}
		if !found {
			t.Errorf("backout-alerts.yml asks for %s, which no file defines: correct it, or define the metric", metric)
		}
	}
}
