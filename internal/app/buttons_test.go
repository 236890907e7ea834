package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// checkText checks a config with every secret that it names in place, as systemd
// passes them, and a plan beside it where there is one.
func checkText(t *testing.T, text string, plans ...string) backout.Problems {
	t.Helper()
	dir, credentials := t.TempDir(), t.TempDir()
	for _, plan := range plans {
		if err := os.WriteFile(filepath.Join(dir, "plans.yaml"), []byte(plan), 0o600); err != nil {
			t.Fatal(err)
		}
		text += "plans: [plans.yaml]\n"
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	for _, m := range regexp.MustCompile(`\{credential: ([^}]+)\}`).FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(credentials, m[1]), []byte("a secret that is long enough, of "+m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "backout.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Check(t.Context(), file)
}

// TestCheckFindsButtonsThatNobodyCanPress: a Slack account counts once its person has
// signed in and linked it.
func TestCheckFindsButtonsThatNobodyCanPress(t *testing.T) {
	const (
		slack = `
intake: {tokens: [{name: am, token: {credential: am}}]}
channels:
  ops: {type: slack, channel: C0123456789, token: {credential: slack}, interactive: true, team: T0123456789, app_token: {credential: slack-app}}
audiences: {ops: [ops]}
`
		roles = "roles: [{role: approver, groups: [sre], where: everywhere}, {role: admin, groups: [sre], where: everywhere}]"
		oidc  = "auth: {oidc: {issuer: 'https://id.example.com', client_id: backout, client_secret: {credential: oidc}}, " + roles + "}\n"
	)
	for name, tc := range map[string]struct{ text, want string }{
		"tokens alone":          {"auth: {tokens: [{name: ann, groups: [sre], token: {credential: ann}}], " + roles + "}\n" + slack, "nobody can sign in to link"},
		"no address for people": {oidc + slack, "which only this machine reaches"},
		"all is there":          {oidc + "external_url: https://backout.example.com\n" + slack, ""},
		"no buttons":            {"auth: {tokens: [{name: ann, groups: [sre], token: {credential: ann}}], " + roles + "}\n" + strings.NewReplacer(", interactive: true, team: T0123456789, app_token: {credential: slack-app}", "").Replace(slack), ""},
	} {
		t.Run(name, func(t *testing.T) {
			problems := checkText(t, tc.text)
			if problems.Fatal() != nil {
				t.Fatal(problems)
			}
			switch {
			case tc.want == "" && len(problems) > 0:
				t.Errorf("it says %v", problems)
			case tc.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].What, tc.want) || !problems[0].Warning || problems[0].Fix == ""):
				t.Errorf("it says %v, want a warning with %q", problems, tc.want)
			}
		})
	}
}

// TestSlackGuide: the config and the plan that docs/slack.md shows are good together,
// and nobody who follows it has buttons that do nothing.
func TestSlackGuide(t *testing.T) {
	page, err := os.ReadFile("../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML, want the config and the plan", len(blocks))
	}
	for _, p := range checkText(t, blocks[0][1], blocks[1][1]) {
		t.Error(p)
	}
}
