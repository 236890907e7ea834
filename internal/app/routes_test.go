package app

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/notifier"
)

// TestRoutesPage: the examples of docs/notifiers.md are one config, and its routes do
// what the comments beside them say.
func TestRoutesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/notifiers.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, m := range regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```").FindAllStringSubmatch(string(page), -1) {
		text.WriteString(m[1] + "\n")
	}
	file := filepath.Join(t.TempDir(), "backout.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	routes, problems := NoticeRoutes(file)
	if problems != nil {
		t.Fatal(problems)
	}
	if routes.Kinds["ops"] != notifier.Deciders || routes.Kinds["stakeholders"] != notifier.Stakeholders {
		t.Errorf("kinds %v", routes.Kinds)
	}
	day, night := time.Date(2026, 3, 13, 11, 0, 0, 0, time.UTC), time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)
	test, own := map[string]string{"env": "test"}, routes.Table.Audiences
	for name, tc := range map[string]struct {
		n    backout.Notice
		at   time.Time
		want []string
	}{
		"ops, L2, by night":                       {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "ops", Level: "L2"}, night, append([]string{"hook"}, own["ops"]...)},
		"ops, L2, at work":                        {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "ops", Level: "L2"}, day, []string{"hook", "slack-ops"}},
		"ops, L1, at work":                        {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "ops", Level: "L1"}, day, []string{"slack-ops"}},
		"stakeholders of a test, by night":        {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "stakeholders", Level: "L1", Labels: test}, night, nil},
		"stakeholders of a test, by day":          {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "stakeholders", Level: "L1", Labels: test}, day, []string{"mail"}},
		"stakeholders of a test that has failed":  {backout.Notice{Moment: backout.MomentExhausted, Audience: "stakeholders", Level: "L1", Labels: test}, night, []string{"mail"}},
		"stakeholders of what is no test, always": {backout.Notice{Moment: backout.MomentLevelStarted, Audience: "stakeholders", Level: "L1"}, night, own["stakeholders"]},
	} {
		if got := routes.Table.Decide(tc.n, tc.at).Channels; !slices.Equal(got, tc.want) {
			t.Errorf("%s: reaches %v, want %v", name, got, tc.want)
		}
	}
}

// TestRoutesOfTheConfigAreTheOutboxes: what the check has judged is what is followed.
func TestRoutesOfTheConfigAreTheOutboxes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "backout.yaml")
	for name, text := range map[string]string{
		"hook.secret": "0123456789abcdef0123456789abcdef",
		"backout.yaml": `channels:
  day: {type: webhook, url: "http://127.0.0.1:9/", secret: {file: hook.secret}}
  night: {type: webhook, url: "http://127.0.0.1:9/", secret: {file: hook.secret}}
audiences: {board: [day]}
audience_kinds: {board: stakeholders}
routes: [{during: [nights], channels: [night]}]
time_intervals: {nights: [{times: [{start_time: "22:00", end_time: "06:00"}]}]}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, problems := load(file)
	if problems.Fatal() != nil {
		t.Fatal(problems)
	}
	cfg, err := l.outboxConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Kinds["board"] != notifier.Stakeholders {
		t.Errorf("kinds %v", cfg.Kinds)
	}
	table := route.Table{Audiences: cfg.Audiences, Intervals: cfg.Intervals, Routes: cfg.Routes}
	for hour, want := range map[int]string{12: "day", 2: "night"} {
		n := backout.Notice{Moment: backout.MomentHeld, Audience: "board"}
		if got := table.Decide(n, time.Date(2026, 3, 14, hour, 0, 0, 0, time.UTC)).Channels; !slices.Equal(got, []string{want}) {
			t.Errorf("at %d: reaches %v, want %s", hour, got, want)
		}
	}
}
