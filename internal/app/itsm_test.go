package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/app"
)

// TestRecordsThatCouldNotBeReadShowAtTheCheck: and not when the first window opens.
func TestRecordsThatCouldNotBeReadShowAtTheCheck(t *testing.T) {
	const (
		snow = "  snow: {type: servicenow, url: \"https://x.service-now.com\", token: {file: token}}\n"
		desk = "  desk: {type: jira, url: \"https://x.atlassian.net\", token: {file: token}FIELDS}\n"
		all  = ", fields: {start: customfield_1, end: customfield_2, plan: customfield_3}"
	)
	for name, test := range map[string]struct{ config, want string }{
		"none":              {"channels:\n" + strings.Replace(desk, "FIELDS", "", 1) + "audiences: {record: [desk]}\n", ""},
		"servicenow":        {"channels:\n" + snow + "audiences: {record: [snow]}\nitsm: {channel: snow}\n", ""},
		"jira":              {"channels:\n" + strings.Replace(desk, "FIELDS", all, 1) + "audiences: {record: [desk]}\nitsm: {channel: desk}\n", ""},
		"jira, no fields":   {"channels:\n" + strings.Replace(desk, "FIELDS", "", 1) + "audiences: {record: [desk]}\nitsm: {channel: desk}\n", "itsm: channel desk: fields: start, end and plan are needed"},
		"jira, two of them": {"channels:\n" + strings.Replace(desk, "FIELDS", ", fields: {start: customfield_1, end: customfield_2}", 1) + "audiences: {record: [desk]}\nitsm: {channel: desk}\n", "fields: start, end and plan are needed"},
		"mail":              {"channels:\n  mail: {type: email, smtp: \"x:25\", from: a@b.example, to: [a@b.example]}\naudiences: {record: [mail]}\nitsm: {channel: mail}\n", `keeps no records of changes: name one of type "jira", "servicenow"`},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"backout.yaml": "data_dir: data\n" + test.config, "token": "0123456789abcdef0123"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := app.Check(t.Context(), filepath.Join(dir, "backout.yaml")).Error()
		if got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
