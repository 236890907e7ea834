package ansible

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// playbook writes one that counts its runs on this machine, and returns its section.
func playbook(t *testing.T, hosts, tasks string) (section string, effects func() int) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		hosttest.Missing(t, "no ansible-playbook here: apt-get install ansible-core")
	}
	dir := t.TempDir()
	count, file := filepath.Join(dir, "count"), filepath.Join(dir, "play book.yml")
	text := fmt.Sprintf(`- hosts: %s
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.raw: echo "{{ backout_target }} {{ backout_change_id }} {{ release | default('none') }}" >> %s
%s`, hosts, count, tasks)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"playbook": %q, "vars": {"release": "2.7"}}`, file), func() int {
		data, _ := os.ReadFile(count)
		if len(data) > 0 && !strings.HasPrefix(string(data), "web1 CHG1 2.7\n") {
			t.Errorf("the playbook saw %q", data)
		}
		return bytes.Count(data, []byte("\n"))
	}
}

func TestConformance(t *testing.T) {
	section, effects := playbook(t, "all", "")
	release := filepath.Join(t.TempDir(), "release")
	slow, _ := playbook(t, "all", fmt.Sprintf("    - ansible.builtin.raw: while [ ! -e %s ]; do sleep 0.1; done\n", release))
	executorstest.Run(t, executorstest.Suite{
		Kind: Kind(), Quick: section, Effects: effects, Slow: slow, SlowSays: "TASK",
		Release: func() {
			if err := os.WriteFile(release, nil, 0o600); err != nil {
				t.Error(err)
			}
		},
		Bad: map[string]string{
			`{}`:                       "playbook is empty",
			`{"playbook": "undo.yml"}`: "absolute path",
			`{"playbook": "/a", "inventory": "web1,"}`:           "absolute path",
			`{"playbook": "/a", "user": "-x"}`:                   "user",
			`{"playbook": "/a", "tags": ["a b"]}`:                "tags",
			`{"playbook": "/a", "vars": {"ansible_host": "x"}}`:  "taken",
			`{"playbook": "/a", "vars": {"backout_target": ""}}`: "taken",
		},
	})
}

// TestAPlaybookThatMatchesNoHostIsAFailure: ansible itself ends with 0.
func TestAPlaybookThatMatchesNoHostIsAFailure(t *testing.T) {
	section, effects := playbook(t, "databases", "")
	var out bytes.Buffer
	_, err := executorstest.Build(t, Kind(), section).Execute(t.Context(), executorstest.Task(Kind(), "none"), executorstest.Local(t), &out)
	if err == nil || effects() != 0 {
		t.Errorf("%v, %d effects\n%s", err, effects(), out.String())
	}
}

// TestAFailedTaskIsToldWithTheRecap.
func TestAFailedTaskIsToldWithTheRecap(t *testing.T) {
	section, _ := playbook(t, "all", "    - ansible.builtin.raw: exit 4\n")
	var out bytes.Buffer
	o, err := executorstest.Build(t, Kind(), section).Execute(t.Context(), executorstest.Task(Kind(), "fails"), executorstest.Local(t), &out)
	if err == nil || !strings.Contains(err.Error(), "failed=1") || o.ExitCode == 0 {
		t.Errorf("%+v, %v\n%s", o, err, out.String())
	}
}

func TestPreflightFindsTheTargetAlone(t *testing.T) {
	good, effects := playbook(t, "all", "")
	other, _ := playbook(t, "databases", "")
	broken, _ := playbook(t, "all", "    - no.such.module: {}\n")
	failing, _ := playbook(t, "all", "    - ansible.builtin.fail: {msg: no}\n")
	check := func(section string) string { return strings.Replace(section, "{", `{"check": true, `, 1) }
	hostile := executorstest.Task(Kind(), "p")
	hostile.Target.Name = "all:!web1"
	for name, c := range map[string]struct {
		section, want string
		task          backout.Task
	}{
		"good":             {good, "", executorstest.Task(Kind(), "p")},
		"another group":    {other, "would run on []", executorstest.Task(Kind(), "p")},
		"unreadable":       {broken, "ends with", executorstest.Task(Kind(), "p")},
		"missing":          {`{"playbook": "/no/such.yml"}`, "", executorstest.Task(Kind(), "p")},
		"check is good":    {check(good), "", executorstest.Task(Kind(), "p")},
		"check fails":      {check(failing), "--check ends with", executorstest.Task(Kind(), "p")},
		"target a pattern": {good, "pattern", hostile},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := executorstest.Build(t, Kind(), c.section).(backout.Preflighter)
			got := p.Preflight(t.Context(), c.task, executorstest.Local(t))
			if name == "missing" {
				if len(got) != 1 {
					t.Errorf("a missing playbook: %+v", got)
				}
				return
			}
			if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0].Reason, c.want)) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
	if effects() != 0 {
		t.Errorf("the gate ran the playbook %d times", effects())
	}
}
